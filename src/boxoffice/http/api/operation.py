"""One way to write a route: declare what goes in and out, and handle one typed call.

The declaration validates requests and describes them in the OpenAPI document, so that the two cannot
disagree.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Generic, Protocol, TypeVar, cast

import falcon.asgi
import msgspec

from boxoffice.errors import (
    Forbidden,
    IdempotencyKeyInvalid,
    IdempotencyKeyRequired,
    IntegrityError,
    Invalid,
    NotFound,
    OutcomeUnknown,
    Problem,
    Unauthenticated,
    Unavailable,
)
from boxoffice.http import streams
from boxoffice.http.api import body as bodies
from boxoffice.http.streams import Stream, last_event_id

B = TypeVar("B")
Q = TypeVar("Q")

READS = frozenset({"GET", "HEAD"})
# The extension of a request's scope by which its connection is given to a stream.
STREAMING = "boxoffice.stream"

_KEY = re.compile(r"[!-~]{1,128}")
_encode = msgspec.json.Encoder().encode


class Principal(Protocol):
    """Who calls."""

    @property
    def role(self) -> str: ...


class Request(Protocol):
    """What a handler may know of a request beside its call: Falcon's, or that of the fast path."""

    @property
    def method(self) -> str: ...

    @property
    def remote_addr(self) -> str: ...

    def get_header(self, name: str, /) -> str | None: ...


@dataclass(frozen=True)
class PathId:
    """An id in a path: how to read it, and what to answer for one that nobody could have made.

    Answers to people are counted by the one that is `counted_apart`.
    """

    parse: Callable[[str], Any]
    missing: type[NotFound]
    description: str
    counted_apart: bool = False


@dataclass(frozen=True)
class RawBody:
    """A body that the handler reads itself, such as CSV; `examples` by media type.

    `text` is the schema of what is no JSON: some text, unless any bytes whatever are answered alike.
    """

    media_types: tuple[str, ...]
    max_bytes: int
    schema: type[Any]
    examples: Mapping[str, Any] = field(default_factory=dict)
    text: Mapping[str, Any] = field(default_factory=lambda: {"type": "string", "minLength": 1})


@dataclass(frozen=True)
class Operation:
    """The declaration of one call.

    A `fast_path` one is mostly answered from memory or by the group commit: it may take the fast path
    (`http/server/fast_path.py`), where its handler runs outside a task until it waits for anything but
    its batch. One with `events` (types of data by the events' names) answers with a `Stream`.
    """

    summary: str
    success: int
    returns: Any = None
    body: Any = None
    raw_body: RawBody | None = None
    query: Any = None
    path: Mapping[str, PathId] = field(default_factory=dict)
    # The role that may call it, or several; "any" is everybody with a token.
    role: str | tuple[str, ...] | None = None
    keyed: bool = False
    # What the handler reads itself: the header's name and what it says; a name with `!` is required.
    headers: Mapping[str, str] = field(default_factory=dict)
    cached: bool = False
    fast_path: bool = False
    events: Mapping[str, Any] = field(default_factory=dict)
    invalid: Mapping[str, type[Problem]] = field(default_factory=dict)
    problems: Sequence[type[Problem]] = ()

    @cached_property
    def roles(self) -> tuple[str, ...]:
        """The roles that may call it, none where no particular one is asked for."""
        if self.role in (None, "any"):
            return ()
        return (self.role,) if isinstance(self.role, str) else self.role or ()

    @cached_property
    def reader(self) -> bodies.Reader[Any]:
        """What reads its body."""
        return bodies.Reader(self.body, self.invalid)


@dataclass(slots=True)
class Call(Generic[B, Q]):
    """One request after parsing: only what its operation declares is set."""

    req: Request
    caller: Any = None
    body: B = None  # type: ignore[assignment]
    query: Q = None  # type: ignore[assignment]
    key: str = ""
    last_event_id: str = ""
    raw: bytes = b""
    request_id: str = ""
    ids: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class Reply:
    """A successful answer: a value to encode, or bytes that are encoded already."""

    value: Any = None
    encoded: bytes | None = None
    headers: Mapping[str, str] | None = None
    etag: str = ""

    @property
    def body(self) -> bytes:
        """The bytes of the answer, empty where there are none."""
        if self.encoded is not None:
            return self.encoded
        return b"" if self.value is None else _encode(self.value)


async def _as_the_token_says(caller: Principal) -> Principal:
    return caller


@dataclass(frozen=True)
class RouteDependencies:
    """What every operation needs at run time; set once by the composition root.

    `confirm` returns a caller with the role of this moment: the operations for particular roles ask it.
    """

    authenticate: Callable[[str], Principal]
    body_max_bytes: int
    body_timeout_s: float
    request_timeout_s: float
    confirm: Callable[[Any], Awaitable[Principal]] = _as_the_token_says


Handler = Callable[[Any, Call[Any, Any]], Awaitable[Reply | Stream]]
Responder = Callable[..., Awaitable[None]]


def operation(summary: str, success: int = 200, **declared: Any) -> Callable[[Handler], Responder]:
    """Declare a route's handler; see `Operation` for what can be declared.

    The handler becomes a Falcon responder of a resource that has a `dependencies`.
    """
    op = Operation(summary, success, **declared)
    if op.roles and op.fast_path:
        raise IntegrityError("a role is read anew, and the fast path waits for nothing")
    if op.role is not None and op.events:
        raise IntegrityError("nothing ends a stream when the access token does that began it")

    def wrap(handler: Handler) -> Responder:
        async def responder(
            resource: Any, req: falcon.asgi.Request, resp: falcon.asgi.Response, **params: str
        ) -> None:
            dependencies: RouteDependencies = resource.dependencies
            call: Call[Any, Any] | None = None
            try:
                async with asyncio.timeout(dependencies.request_timeout_s):
                    started = begin(op, dependencies, req, lambda: path_ids(op, params))
                    started.request_id = req.context.request_id
                    resp.context.scope = scope_of(op, started.ids)
                    if op.roles:
                        started.caller = await _confirmed(op, dependencies, started.caller)
                    await _read_body(op, dependencies, req, started)
                    call = started
                    reply = await handler(resource, call)
            except (TimeoutError, asyncio.CancelledError):
                # The process ends, and cancels what is left: nobody else would answer it properly.
                raise out_of_time(req.method, handled=call is not None) from None
            if isinstance(reply, Stream):
                _answer_with_stream(req, resp, reply)
            else:
                _present(op, req, resp, reply)

        responder.operation = op  # type: ignore[attr-defined]
        responder.handler = handler  # type: ignore[attr-defined]
        responder.__doc__ = handler.__doc__
        return responder

    return wrap


def out_of_time(method: str, *, handled: bool) -> Unavailable:
    """Return what is true after the deadline: what a handler began to write may still be written."""
    detail = "The request took longer than this service allows"
    if handled and method not in READS:
        return OutcomeUnknown(f"{detail}; what it was to do may have been done, or may yet be.")
    return Unavailable(f"{detail}.")


def path_ids(op: Operation, params: Mapping[str, str]) -> dict[str, Any]:
    """Return the ids in a path; raise what the operation says of an id that is none."""
    if not op.path:
        return {}
    return {name: _path_id(op.path[name], text) for name, text in params.items()}


def scope_of(op: Operation, ids: Mapping[str, Any]) -> str:
    """Return the id by which answers of `op` are counted apart, or empty."""
    if op.roles:
        return ""  # Readers of the sales statistics are not counted in them.
    return next((str(ids[name]) for name, path in op.path.items() if path.counted_apart), "")


def begin(
    op: Operation, dependencies: RouteDependencies, req: Request, ids: Callable[[], dict[str, Any]]
) -> Call[Any, Any]:
    """Return the call of a request as far as its head goes; the body comes after it."""
    call: Call[Any, Any] = Call(req)
    if op.role is not None:
        call.caller = _authenticate(op.roles, dependencies, req)
    call.ids = ids()
    if op.keyed:
        call.key = _idempotency_key(req)
    if op.events:
        call.last_event_id = last_event_id(req.get_header("Last-Event-ID"))
    return call


def take_body(op: Operation, call: Call[Any, Any], raw: bytes) -> None:
    """Decode the body of an operation that has one."""
    call.body = op.reader.read(raw)


async def _read_body(
    op: Operation, dependencies: RouteDependencies, req: falcon.asgi.Request, call: Call[Any, Any]
) -> None:
    if op.query is not None:
        call.query = _query(op.query, req)
    if op.body is not None:
        bodies.require_json(req)
        take_body(
            op,
            call,
            await bodies.read(req, dependencies.body_max_bytes, dependencies.body_timeout_s),
        )
    elif op.raw_body is not None:
        bodies.require_type(req, op.raw_body.media_types)
        call.raw = await bodies.read(req, op.raw_body.max_bytes, dependencies.body_timeout_s)


def _authenticate(
    roles: tuple[str, ...], dependencies: RouteDependencies, req: Request
) -> Principal:
    header = req.get_header("Authorization")
    if not header:
        raise Unauthenticated
    scheme, _, token = header.partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise Unauthenticated("The Authorization header must be 'Bearer' and an access token.")
    caller = dependencies.authenticate(token.strip())
    if roles:
        _require_role(roles, caller)
    return caller


async def _confirmed(
    op: Operation, dependencies: RouteDependencies, caller: Principal
) -> Principal:
    """Return the caller as of now; a role in a token may have been taken away since."""
    # guard: role_is_read_again_for_sensitive_calls => confirmed = caller
    confirmed = await dependencies.confirm(caller)
    _require_role(op.roles, confirmed)
    return confirmed


def _require_role(roles: tuple[str, ...], caller: Principal) -> None:
    if caller.role not in roles:
        named = " or ".join(f"'{role}'" for role in roles)
        raise Forbidden(f"This call is for the role {named}.")


def _path_id(declared: PathId, text: str) -> Any:
    value = declared.parse(text)
    if value is None:
        raise declared.missing
    return value


def _idempotency_key(req: Request) -> str:
    key = req.get_header("Idempotency-Key")
    if not key:
        raise IdempotencyKeyRequired
    if not _KEY.fullmatch(key):
        raise IdempotencyKeyInvalid
    return key


def _query(kind: type[Q], req: falcon.asgi.Request) -> Q:
    try:
        return msgspec.convert(req.params, kind, strict=False)
    except msgspec.ValidationError as error:
        raise Invalid(f"The query is not acceptable: {error}.") from error


def _present(
    op: Operation, req: falcon.asgi.Request, resp: falcon.asgi.Response, reply: Reply
) -> None:
    for name, value in (reply.headers or {}).items():
        resp.set_header(name, value)
    if reply.etag:
        resp.set_header("ETag", reply.etag)
        if matches(req.get_header("If-None-Match"), reply.etag):
            resp.status = "304"
            return
    resp.status = str(op.success)
    if body := reply.body:
        resp.data = body
    if not op.cached and op.success != 204:
        resp.set_header("Cache-Control", "no-store")


def _answer_with_stream(
    req: falcon.asgi.Request, resp: falcon.asgi.Response, stream: Stream
) -> None:
    """Give the connection to the stream; what the framework answers from here on goes nowhere."""
    if req.method == "HEAD":
        for name, value in streams.HEADERS.items():
            resp.set_header(name, value)
        # Nobody reads it; without it the framework would say that the length is 0.
        resp.stream = cast("AsyncIterator[bytes]", iter(()))
        return
    begin_stream = req.scope.get("extensions", {}).get(STREAMING)
    if begin_stream is None:
        raise IntegrityError("event streams are served by boxoffice.http.server.server alone")
    begin_stream(stream, req.context.request_id, req.remote_addr)


def matches(header: str | None, etag: str) -> bool:
    """Weak comparison of If-None-Match (RFC 9110, section 13.1.2)."""
    if not header:
        return False
    if header.strip() == "*":
        return True
    plain = etag.removeprefix("W/")
    return any(tag.strip().removeprefix("W/") == plain for tag in header.split(","))
