"""Notices over HTTP: parse, call, present. There is no log-in: the provider signs, or it is a hint."""

import re
from collections.abc import Awaitable, Callable

import msgspec

from boxoffice.errors import NotFound, NoticeRefused
from boxoffice.http.api import body as bodies
from boxoffice.http.api.operation import (
    Call,
    PathId,
    RawBody,
    Reply,
    RouteDependencies,
    operation,
)
from boxoffice.payments.notices.service import Notices

_NAME = re.compile(r"[a-z_]{1,40}")


def _name(text: str) -> str | None:
    return text if _NAME.fullmatch(text) else None


PROVIDER = {"provider": PathId(_name, NotFound, "The name of a payment provider, such as `toss`.")}


class NoticeBody(msgspec.Struct):
    """An event in the provider's own form."""


class NoticeOut(msgspec.Struct, kw_only=True):
    """Whether the notice is kept and was not known before."""

    is_new: bool


class WebhookReceiver:
    """The address that a provider sends its notices to."""

    def __init__(self, notices: Notices) -> None:
        self._notices = notices

    async def receive(self, call: Call[None, None]) -> Reply:
        """For payment providers.

        Answers 200 once the notice is stored. A notice that is stored already has no further effect.
        After another answer the provider sends the notice again.
        """
        is_new = await self._notices.receive(call.ids["provider"], call.req.headers(), call.raw)
        return Reply(NoticeOut(is_new=is_new))


def _resource(
    dependencies: RouteDependencies,
    handler: Callable[[Call[None, None]], Awaitable[Reply]],
    max_bytes: int,
) -> object:
    """Return the resource, whose POST is declared here because the limit of its body is a setting."""

    async def on_post(_resource: object, call: Call[None, None]) -> Reply:
        return await handler(call)

    on_post.__doc__ = handler.__doc__
    responder = operation(
        "Receive a notice of a payment provider",
        path=PROVIDER,
        raw_body=RawBody((bodies.JSON_TYPE,), max_bytes, NoticeBody),
        returns=NoticeOut,
        problems=[NoticeRefused],
    )(on_post)
    return type("WebhookResource", (), {"on_post": responder, "dependencies": dependencies})()


def routes(
    notices: Notices, dependencies: RouteDependencies, max_bytes: int
) -> list[tuple[str, object]]:
    """Return the resources by URI template."""
    receiver = WebhookReceiver(notices)
    return [("/v1/webhooks/{provider}", _resource(dependencies, receiver.receive, max_bytes))]
