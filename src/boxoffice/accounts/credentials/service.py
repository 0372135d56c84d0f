"""The use cases of credentials: what the owner changes, and what links in mail do."""

from uuid import UUID

from boxoffice.accounts.credentials.errors import (
    AlreadyVerified,
    LinkEnded,
    PasswordChanged,
    PasswordWrong,
)
from boxoffice.accounts.credentials.rules import (
    CHANGE_EMAIL,
    VERIFY_EMAIL,
    NewLink,
    parse_link,
)
from boxoffice.accounts.credentials.store import CredentialStore, EmailOutcome, OwnAccount
from boxoffice.accounts.limits.throttle import MailThrottle
from boxoffice.accounts.rules import accepted_password, normal_email
from boxoffice.accounts.service import Accounts
from boxoffice.accounts.store import Credentials
from boxoffice.accounts.tokens import Caller
from boxoffice.errors import CredentialsInvalid, EmailTaken, IntegrityError, Invalid
from boxoffice.platform.ids import new_id
from boxoffice.settings import AccountSettings

# The member of a request that has a new password beside the present one.
_NEW_PASSWORD = "$.new_password"  # noqa: S105 - a name, not a secret


class MailedLinks:
    """What a person does with the mail alone: reset a password, confirm an address."""

    def __init__(
        self,
        store: CredentialStore,
        accounts: Accounts,
        throttle: MailThrottle,
        settings: AccountSettings,
    ) -> None:
        self._store = store
        self._accounts = accounts
        self._throttle = throttle
        self._ttl_s = settings.password_reset_ttl_s
        self._retention_s = settings.account_link_retention_s

    async def request_reset(self, email: str, client_address: str, language: str | None) -> int:
        """Mail a link that resets a password; return for how many seconds it will be valid.

        The same is done and returned where no account has the address. Raises `TooMany`.
        """
        email = normal_email(email)
        await self._throttle.count("reset_password", email, client_address)
        await self._store.request_reset(new_id(), email, language, self._ttl_s, self._retention_s)
        return self._ttl_s

    async def reset_password(self, token: str, password: str, client_address: str) -> None:
        """Set a password by a link, and end all sessions of its account.

        Raises `LinkEnded`, `Invalid`, `PasswordCommon`, `TooMany` and `Overloaded`.
        """
        accepted_password(password)
        link = parse_link(token)
        owner = await self._store.link_owner(link)
        if owner is None:
            raise LinkEnded
        password_hash = await self._accounts.hash_new_password(
            password, owner.email, owner.name, client_address
        )
        done = await self._store.reset_password(link, password_hash)
        if done is None:
            raise LinkEnded
        # guard: reset_ends_sessions_of_this_process_at_once => pass
        self._accounts.tokens.revoke_below(done.user_id, done.version)

    async def confirm_email(self, token: str) -> EmailOutcome:
        """Verify an address, or make it that of its account; raise `LinkEnded` and `EmailTaken`."""
        done = await self._store.confirm_email(parse_link(token))
        if done is None:
            raise LinkEnded
        if done.outcome == "taken":
            raise EmailTaken
        return done


class OwnCredentials:
    """What a person with a session does: see the account, change password and address."""

    def __init__(
        self,
        store: CredentialStore,
        accounts: Accounts,
        throttle: MailThrottle,
        settings: AccountSettings,
    ) -> None:
        self._store = store
        self._accounts = accounts
        self._throttle = throttle
        self._ttl_s = settings.email_link_ttl_s
        self._retention_s = settings.account_link_retention_s

    async def account(self, user_id: UUID) -> OwnAccount:
        """Return the account of a person with a session."""
        found = await self._store.account(user_id)
        if found is None:
            raise IntegrityError(f"account {user_id} is gone")
        return found

    async def request_verification(self, user_id: UUID, client_address: str) -> int:
        """Mail a link that verifies the address; return for how many seconds it will be valid.

        Raises `AlreadyVerified` and `TooMany`.
        """
        own = await self.account(user_id)
        if own.email_verified:
            raise AlreadyVerified
        await self._throttle.count(VERIFY_EMAIL, own.email, client_address)
        await self._store.request_link(user_id, self._link(VERIFY_EMAIL, own.email))
        return self._ttl_s

    async def request_email(
        self, user_id: UUID, email: str, password: str, client_address: str
    ) -> int:
        """Mail a link to a new address that makes it the account's; return its seconds.

        The same is done where another account has the address: the link is refused then. Raises
        `Invalid`, `PasswordWrong` and `TooMany`.
        """
        email = normal_email(email)
        own = await self.account(user_id)
        # guard: change_of_address_asks_for_the_password => pass
        await self._prove(own.email, password, client_address)
        if email == own.email:
            message = "This is the present address."
            raise Invalid(message, errors=[{"path": "$.email", "message": message}])
        await self._throttle.count(CHANGE_EMAIL, email, client_address)
        await self._store.request_link(user_id, self._link(CHANGE_EMAIL, email, own.email))
        return self._ttl_s

    async def change_password(
        self, caller: Caller, password: str, new_password: str, client_address: str, user_agent: str
    ) -> tuple[str, int]:
        """Change a password, end all sessions, and return a new one: its token and lifetime.

        Raises `PasswordWrong`, `Invalid`, `PasswordCommon`, `TooMany`, `PasswordChanged` and
        `Overloaded`.
        """
        accepted_password(new_password, _NEW_PASSWORD)
        own = await self.account(caller.user_id)
        known = await self._prove(own.email, password, client_address)
        new_hash = await self._accounts.hash_new_password(
            new_password, own.email, own.name, client_address, _NEW_PASSWORD
        )
        version = await self._store.set_password(own.user_id, known.password_hash, new_hash)
        if version is None:
            raise PasswordChanged
        # guard: password_change_ends_sessions_of_this_process_at_once => pass
        self._accounts.tokens.revoke_below(own.user_id, version)
        return await self._accounts.begin_session(own.user_id, own.role, version, user_agent)

    async def _prove(self, email: str, password: str, client_address: str) -> Credentials:
        """Return the account of a present password; the attempt counts as a log-in."""
        try:
            return await self._accounts.prove(email, password, client_address)
        except CredentialsInvalid:
            message = PasswordWrong.title
            errors = [{"path": "$.password", "message": message}]
            raise PasswordWrong(message, errors=errors) from None

    def _link(self, purpose: str, email: str, email_before: str | None = None) -> NewLink:
        return NewLink(new_id(), purpose, email, self._ttl_s, self._retention_s, email_before)
