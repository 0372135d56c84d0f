"""Sign-up and login over HTTP."""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from boxoffice.accounts import rules
from boxoffice.accounts.service import Accounts
from boxoffice.errors import (
    CredentialsInvalid,
    EmailTaken,
    OutcomeUnknown,
    PasswordCommon,
    TooMany,
)
from boxoffice.http.api.operation import Call, Reply, Request, RouteDependencies, operation
from boxoffice.platform.values import Line

Email = Annotated[str, Meta(max_length=rules.EMAIL_CHARS_MAX, pattern=rules.EMAIL_PATTERN)]
# The length counts in normal form; the rules check it.
NewPassword = Annotated[
    str,
    Meta(
        pattern=rules.PASSWORD_PATTERN,
        extra_json_schema={
            "minLength": rules.PASSWORD_CHARS_MIN,
            "maxLength": rules.PASSWORD_CHARS_MAX,
        },
    ),
]
Password = Annotated[str, Meta(max_length=rules.PASSWORD_TYPED_CHARS_MAX)]
# The language of a mail; without it, that of the person's mail.
Language = Literal["ko", "en"]


class SignUp(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A new account; the link that verifies its address is mailed in `language`."""

    email: Email
    password: NewPassword
    name: Line
    language: Language | None = None


class SignedUp(msgspec.Struct, frozen=True):
    """The created account."""

    user_id: str


class LogIn(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The credentials of an account."""

    email: Email
    password: Password


class Session(msgspec.Struct, frozen=True):
    """An access token (RFC 6750) and its lifetime in seconds."""

    access_token: str
    expires_in: int
    token_type: str = "Bearer"  # noqa: S105 - a scheme, not a secret


def user_agent(req: Request) -> str:
    """Return what the client calls itself, or nothing."""
    return req.get_header("User-Agent") or ""


class Users:
    """`/v1/users`."""

    def __init__(self, service: Accounts, dependencies: RouteDependencies) -> None:
        self.dependencies = dependencies
        self._service = service

    @operation(
        "Sign up",
        201,
        body=SignUp,
        returns=SignedUp,
        problems=(EmailTaken, PasswordCommon, TooMany, OutcomeUnknown),
    )
    async def on_post(self, call: Call[SignUp, Any]) -> Reply:
        """Create an account with the role buyer and an empty wallet; mail a link to verify it."""
        body = call.body
        user_id = await self._service.sign_up(
            body.email, body.password, body.name, call.req.remote_addr, body.language
        )
        return Reply(SignedUp(str(user_id)))


class Sessions:
    """`/v1/sessions`."""

    def __init__(self, service: Accounts, dependencies: RouteDependencies) -> None:
        self.dependencies = dependencies
        self._service = service

    @operation("Log out", 204, role="any", problems=(OutcomeUnknown,))
    async def on_delete(self, call: Call[Any, Any]) -> Reply:
        """Revoke the token of this request; every process refuses it within the key refresh."""
        await self._service.log_out(call.caller)
        return Reply()

    @operation("Log in", 201, body=LogIn, returns=Session, problems=(CredentialsInvalid, TooMany))
    async def on_post(self, call: Call[LogIn, Any]) -> Reply:
        """Exchange e-mail and password for an access token."""
        token, expires_in = await self._service.log_in(
            call.body.email, call.body.password, call.req.remote_addr, user_agent(call.req)
        )
        return Reply(Session(token, expires_in))


def routes(service: Accounts, dependencies: RouteDependencies) -> list[tuple[str, object]]:
    """Return the resources of this module by URI template."""
    return [
        ("/v1/users", Users(service, dependencies)),
        ("/v1/sessions", Sessions(service, dependencies)),
    ]
