"""Passwords, addresses and links in mail over HTTP: parse, call, present."""

from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
from msgspec import Meta

from boxoffice.accounts.credentials.errors import (
    AlreadyVerified,
    LinkEnded,
    PasswordChanged,
    PasswordWrong,
)
from boxoffice.accounts.credentials.service import MailedLinks, OwnCredentials
from boxoffice.accounts.routes import (
    Email,
    Language,
    NewPassword,
    Password,
    Session,
    user_agent,
)
from boxoffice.errors import EmailTaken, OutcomeUnknown, PasswordCommon, TooMany
from boxoffice.http.api.operation import Call, Reply, RouteDependencies, operation

LinkText = Annotated[str, Meta(min_length=1, max_length=128, pattern=r"^[A-Za-z0-9_.-]+$(?!\n)")]


class AccountOut(msgspec.Struct, frozen=True):
    """The account of the caller; `email_verified` once a link in mail was opened."""

    user_id: UUID
    email: str
    name: str
    role: str
    email_verified: bool


class LinkRequested(msgspec.Struct, frozen=True):
    """A mail is on its way; its link is valid for `expires_in` seconds from the mail."""

    expires_in: int


class PasswordChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The present password, and the new one."""

    password: Password
    new_password: NewPassword


class EmailChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The new address, and the present password."""

    email: Email
    password: Password


class ResetRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An address that may have an account, and the language of the mail."""

    email: Email
    language: Language | None = None


class PasswordReset(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The token in the link of a mail, and the new password."""

    token: LinkText
    password: NewPassword


class LinkOpened(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The token in the link of a mail."""

    token: LinkText


class EmailConfirmed(msgspec.Struct, frozen=True):
    """The verified address; `changed` where it is a new one of the account."""

    email: str
    outcome: Literal["verified", "changed"]


class _OwnResource:
    def __init__(self, service: OwnCredentials, dependencies: RouteDependencies) -> None:
        self.dependencies = dependencies
        self._service = service


class Me(_OwnResource):
    """`/v1/me`."""

    @operation("Get my account", role="any", returns=AccountOut)
    async def on_get(self, call: Call[Any, Any]) -> Reply:
        """With its current address and role, which the token may precede."""
        own = await self._service.account(call.caller.user_id)
        return Reply(AccountOut(own.user_id, own.email, own.name, own.role, own.email_verified))


class OwnPassword(_OwnResource):
    """`/v1/me/password`."""

    @operation(
        "Change my password",
        role="any",
        body=PasswordChange,
        returns=Session,
        problems=[PasswordWrong, PasswordCommon, PasswordChanged, TooMany, OutcomeUnknown],
    )
    async def on_put(self, call: Call[PasswordChange, Any]) -> Reply:
        """Revoke every token of this person, void links in mail, and return a new token."""
        token, expires_in = await self._service.change_password(
            call.caller,
            call.body.password,
            call.body.new_password,
            call.req.remote_addr,
            user_agent(call.req),
        )
        return Reply(Session(token, expires_in))


class OwnEmail(_OwnResource):
    """`/v1/me/email`."""

    @operation(
        "Change my e-mail address",
        202,
        role="any",
        body=EmailChange,
        returns=LinkRequested,
        problems=[PasswordWrong, TooMany, OutcomeUnknown],
    )
    async def on_put(self, call: Call[EmailChange, Any]) -> Reply:
        """Mail a link to the new address; it becomes the account's once the link is opened."""
        body = call.body
        expires_in = await self._service.request_email(
            call.caller.user_id, body.email, body.password, call.req.remote_addr
        )
        return Reply(LinkRequested(expires_in))


class OwnVerification(_OwnResource):
    """`/v1/me/email/verification`."""

    @operation(
        "Mail the verification of my address",
        202,
        role="any",
        returns=LinkRequested,
        problems=[AlreadyVerified, TooMany, OutcomeUnknown],
    )
    async def on_post(self, call: Call[Any, Any]) -> Reply:
        """Mail a link that verifies the address, as a sign-up does."""
        expires_in = await self._service.request_verification(
            call.caller.user_id, call.req.remote_addr
        )
        return Reply(LinkRequested(expires_in))


class _LinkResource:
    def __init__(self, service: MailedLinks, dependencies: RouteDependencies) -> None:
        self.dependencies = dependencies
        self._service = service


class PasswordResets(_LinkResource):
    """`/v1/password-resets`."""

    @operation(
        "Ask for a password reset",
        202,
        body=ResetRequest,
        returns=LinkRequested,
        problems=[TooMany, OutcomeUnknown],
    )
    async def on_post(self, call: Call[ResetRequest, Any]) -> Reply:
        """Mail a link that resets the password. The answer is the same without an account."""
        expires_in = await self._service.request_reset(
            call.body.email, call.req.remote_addr, call.body.language
        )
        return Reply(LinkRequested(expires_in))


class PasswordResetConfirmations(_LinkResource):
    """`/v1/password-resets/confirm`."""

    @operation(
        "Reset a password",
        204,
        body=PasswordReset,
        problems=[LinkEnded, PasswordCommon, TooMany, OutcomeUnknown],
    )
    async def on_post(self, call: Call[PasswordReset, Any]) -> Reply:
        """By the token of a mail, once: revokes every token of the person, verifies the address."""
        await self._service.reset_password(
            call.body.token, call.body.password, call.req.remote_addr
        )
        return Reply()


class EmailConfirmations(_LinkResource):
    """`/v1/email-confirmations`."""

    @operation(
        "Confirm an e-mail address",
        body=LinkOpened,
        returns=EmailConfirmed,
        problems=[LinkEnded, EmailTaken, OutcomeUnknown],
    )
    async def on_post(self, call: Call[LinkOpened, Any]) -> Reply:
        """By the token of a mail, once: verifies the account's address, or changes it."""
        done = await self._service.confirm_email(call.body.token)
        return Reply({"email": done.email, "outcome": done.outcome})


def routes(
    own: OwnCredentials, links: MailedLinks, dependencies: RouteDependencies
) -> list[tuple[str, object]]:
    """Return the resources of this module by URI template."""
    return [
        ("/v1/me", Me(own, dependencies)),
        ("/v1/me/password", OwnPassword(own, dependencies)),
        ("/v1/me/email", OwnEmail(own, dependencies)),
        ("/v1/me/email/verification", OwnVerification(own, dependencies)),
        ("/v1/password-resets", PasswordResets(links, dependencies)),
        ("/v1/password-resets/confirm", PasswordResetConfirmations(links, dependencies)),
        ("/v1/email-confirmations", EmailConfirmations(links, dependencies)),
    ]
