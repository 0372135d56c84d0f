"""The use cases of accounts: sign-up, login, roles, keys, and seeding people for load tests."""

import hmac
import secrets
from collections.abc import Callable
from uuid import UUID

import msgspec

from boxoffice.accounts import rules
from boxoffice.accounts.credentials.rules import VERIFY_EMAIL, NewLink
from boxoffice.accounts.devices.rules import device_of
from boxoffice.accounts.limits.throttle import LoginThrottle
from boxoffice.accounts.passwords.common_passwords import common_passwords
from boxoffice.accounts.passwords.fair_semaphore import LOG_IN, SIGN_UP, ConcurrencyLimit
from boxoffice.accounts.passwords.hashing import Passwords
from boxoffice.accounts.revocations import RevokedToken
from boxoffice.accounts.store import (
    AccountStatus,
    AccountStore,
    Credentials,
    NewPerson,
    NewSession,
)
from boxoffice.accounts.tokens import REVOKED, Caller, TokenAuthority
from boxoffice.errors import (
    CredentialsInvalid,
    Invalid,
    NotFound,
    OutcomeUnknown,
    Problem,
    TokenInvalid,
    TooMany,
    Unavailable,
)
from boxoffice.observability.logs import log
from boxoffice.permissions import OPERATOR_PERMISSIONS, Permission, roles_with
from boxoffice.platform.client_addresses import address_bucket
from boxoffice.platform.ids import new_id
from boxoffice.platform.valkey import Valkey
from boxoffice.settings import Settings

_SECRET_BYTES = 32  # RFC 7518, section 3.2: a key of HS256 is at least as long as its hash
_ADDRESS_SECRET = "known_addresses"  # noqa: S105 - a name, not a secret
_SEED_CHUNK = 2_000  # people per transaction, well within the statement deadline


class Accounts:
    """People, their sessions and roles; `tokens` verifies the token of every request."""

    def __init__(
        self, settings: Settings, store: AccountStore, tokens: TokenAuthority, valkey: Valkey
    ) -> None:
        self.tokens = tokens
        self._store = store
        self._settings = settings.accounts
        self._currency = settings.payments.currency
        self._passwords = Passwords(settings.accounts)
        self._throttle = LoginThrottle(settings.accounts, valkey)
        self._concurrency = ConcurrencyLimit(settings.accounts.password_hashes_per_address_max)
        self._known_addresses_max = settings.accounts.known_addresses_max
        self._known_address_ttl_s = settings.accounts.known_address_ttl_s
        self._address_secret = b""

    def close(self) -> None:
        """Shut down the threads that hash passwords."""
        self._passwords.close()

    async def sign_up(
        self,
        email: str,
        password: str,
        name: str,
        client_address: str | None = None,
        language: str | None = None,
    ) -> UUID:
        """Create a buyer with an empty wallet, and mail a link that verifies the e-mail address.

        Without a client's address (commands) no limit applies and nothing is mailed. The mail is in the
        language, or in that of the person's mail.

        Raises `Invalid`, `PasswordCommon`, `EmailTaken`, `TooMany` for its address, `Overloaded`, and
        `OutcomeUnknown` where the database's answer was lost. In that case `EmailTaken` on the next
        attempt, or a successful login, shows that the account exists.
        """
        email = rules.normal_email(email)
        password = rules.accepted_password(password)
        rules.require_uncommon(password, email, name, common_passwords())
        if client_address is None:
            return await self._add_buyer(email, password, name, "", None)
        address = address_bucket(client_address)
        with self._concurrency.slot(SIGN_UP, address):
            # Before any query, so that a refusal costs nothing.
            self._passwords.check_capacity(SIGN_UP, address)
            # guard: addresses_sign_ups_are_counted => pass
            await self._throttle.count_sign_up(address)
            try:
                link = self._verification(email, language)
                return await self._add_buyer(email, password, name, address, link)
            except Unavailable as error:
                if not isinstance(error, OutcomeUnknown):
                    await self._throttle.forgive_sign_up(address)
                raise

    def _verification(self, email: str, language: str | None) -> NewLink:
        settings = self._settings
        times_s = settings.email_link_ttl_s, settings.account_link_retention_s
        return NewLink(new_id(), VERIFY_EMAIL, email, *times_s, language=language)

    async def _add_buyer(
        self, email: str, password: str, name: str, address: str, link: NewLink | None
    ) -> UUID:
        password_hash = await self._passwords.hash(password, address)
        user_id = new_id()
        person = NewPerson(user_id, email, name, password_hash, rules.BUYER)
        await self._store.add_user(person, self._currency, link)
        return user_id

    async def log_in(
        self, email: str, password: str, client_address: str, user_agent: str = ""
    ) -> tuple[str, int]:
        """Return an access token and its lifetime in seconds; raise what `prove` raises."""
        known = await self.prove(email, password, client_address)
        return await self.begin_session(known.user_id, known.role, known.version, user_agent)

    async def begin_session(
        self, user_id: UUID, role: str, version: int, user_agent: str
    ) -> tuple[str, int]:
        """Return an access token and its lifetime in seconds, and list it as a device."""
        issued = self.tokens.issue(user_id, role, version)
        session = NewSession(new_id(), user_id, issued, version, device_of(user_agent))
        try:
            await self._store.add_session(session)
        except Unavailable as error:  # The log-in goes on; a log-out everywhere ends it too.
            log.warning("session_not_listed", error=repr(error))
        return issued.text, self.tokens.ttl_s

    async def prove(self, email: str, password: str, client_address: str) -> Credentials:
        """Return the account of these credentials.

        Raises `CredentialsInvalid`, the same for a wrong password and an unknown e-mail address,
        `TooMany` after too many of those or for too many concurrent attempts of an address, and
        `Overloaded`.
        """
        email = rules.normal_email(email)
        address = address_bucket(client_address)
        with self._concurrency.slot(LOG_IN, address):
            # Before any query, so that a refusal costs nothing.
            self._passwords.check_capacity(LOG_IN, address)
            # guard: addresses_what_address_tries_is_counted => pass
            await self._throttle.count_address(address)
            try:
                known = await self._counted(email, password, address)
            except CredentialsInvalid:
                raise
            except Problem:
                await self._throttle.forgive_address(address)
                raise
            await self._throttle.forgive_address(address)
        return known

    async def _counted(self, email: str, password: str, address: str) -> Credentials:
        """Return the account of these credentials, unless it has had too many failed log-ins."""
        digest = await self._digest(email, address)
        is_known = await self._count(email, address, digest)
        try:
            known = await self._identified(email, password, digest, address)
        except Unavailable:
            await self._throttle.forgive(email, address, succeeded=False, is_known=is_known)
            raise
        await self._throttle.forgive(email, address, succeeded=True, is_known=is_known)
        if not known.is_seen:
            await self._remember(known.user_id, digest)
        return known

    async def _count(self, email: str, address: str, digest: bytes) -> bool:
        """Count an attempt on an account; return whether only a known address allowed it."""
        try:
            await self._throttle.count(email, address)
        except TooMany:
            # Guesses from elsewhere must not lock the owner out, who logs in from a known address.
            # guard: addresses_owner_logs_in_from_known_address => if True:
            # guard: addresses_unknown_address_is_limited => if False:
            if not await self._store.is_known(email, digest, self._known_address_ttl_s):
                raise
            await self._throttle.count(email, address, is_known=True)
            return True
        return False

    async def _digest(self, email: str, address: str) -> bytes:
        """Return the digest of an account's address; addresses are not stored."""
        if not self._address_secret:
            self._address_secret = await self._store.secret(_ADDRESS_SECRET)
        return hmac.digest(self._address_secret, f"{email} {address}".encode(), "sha256")

    async def _remember(self, user_id: UUID, digest: bytes) -> None:
        try:
            await self._store.remember_address(
                user_id, digest, self._known_addresses_max, self._known_address_ttl_s
            )
        except Unavailable as error:  # The log-in goes on, and the next one writes it.
            log.warning("address_not_remembered", error=repr(error))

    async def identify(self, email: str, password: str) -> UUID:
        """Return the account of these credentials, for commands: no limit applies.

        Raises `CredentialsInvalid`.
        """
        known = await self._identified(rules.normal_email(email), password, b"", "")
        return known.user_id

    async def _identified(
        self, email: str, password: str, digest: bytes, address: str
    ) -> Credentials:
        known = await self._store.credentials(email, digest)
        password_hash = None if known is None else known.password_hash
        for spelling in rules.password_spellings(password):
            if (
                await self._passwords.matches(password_hash, spelling, address)
                and known is not None
            ):
                return known
        raise CredentialsInvalid

    async def log_out(self, caller: Caller) -> None:
        """Revoke the caller's token: here at once, in other processes with the next key refresh."""
        await self._store.revoke_token(caller.token_id, caller.expires_at)
        self.tokens.revoke_token(RevokedToken(caller.token_id, caller.expires_at))

    async def log_out_everywhere(self, user_id: UUID) -> None:
        """Revoke all tokens of a person: here at once, in other processes with the next key refresh."""
        version = await self._store.revoke_all_tokens(user_id)
        self.tokens.revoke_below(user_id, version)

    async def confirm(self, caller: Caller, permission: str = "") -> Caller:
        """Return a caller with the current role, which the token's role may precede.

        With a permission also with the organizations in which the caller has it. Raises `TokenInvalid`
        for a revoked token, also where this process has not read the revocation yet, and `Unavailable`
        where the database cannot answer, so that a revoked role is not used.
        """
        roles = roles_with(Permission(permission)) if permission else []
        status = await self._store.account_status(caller.user_id, caller.token_id, roles)
        # guard: confirm_token_that_has_ended: status.is_revoked or =>
        # guard: confirm_version_that_has_ended: or caller.version < status.version =>
        if status is None or status.is_revoked or caller.version < status.version:
            raise TokenInvalid(REVOKED)
        return msgspec.structs.replace(
            caller, role=status.role, organization_ids=_allowed_in(status, permission)
        )

    async def act_as(self, user_id: UUID, permission: Permission) -> Caller:
        """Return a person with the organizations in which the person has a permission, for commands.

        Raises `NotFound`.
        """
        status = await self._store.account_status(user_id, "", roles_with(permission))
        if status is None:
            raise NotFound("There is no such account.")
        return Caller(user_id, status.role, organization_ids=_allowed_in(status, permission))

    async def hash_password(self, password: str) -> str:
        """Return the hash of a password, for commands."""
        return await self._passwords.hash(rules.accepted_password(password))

    async def hash_new_password(
        self,
        password: str,
        email: str,
        name: str,
        client_address: str,
        path: str = "$.password",
    ) -> str:
        """Return the hash of a new password of a person; `path` is the member of the request.

        Raises `Invalid`, `PasswordCommon`, `TooMany` for the client's address and `Overloaded`.
        """
        password = rules.accepted_password(password, path)
        rules.require_uncommon(password, email, name, common_passwords(), path)
        address = address_bucket(client_address)
        with self._concurrency.slot(SIGN_UP, address):
            return await self._passwords.hash(password, address)

    async def grant_role(self, email: str, role: str) -> None:
        """Give a person a role, from the next login on; raise `Invalid` or `NotFound`.

        Tokens with another role are revoked: in other processes with the next key refresh.
        """
        changed = await self._store.set_role(rules.normal_email(email), rules.known_role(role))
        if changed is None:
            raise NotFound("There is no account with this e-mail address.")
        self.tokens.revoke_below(*changed)

    async def ensure_key(self) -> None:
        """Create a token key where none signs, and load the keys; safe to call concurrently."""
        await self._store.add_first_key(*_new_key())
        await self.tokens.refresh()

    async def rotate_keys(self, retire_after_s: float) -> str:
        """Create a token key and return its id; the other keys verify for `retire_after_s` more.

        With the lifetime of a token plus two key refreshes, no valid token is refused. 0 invalidates
        every token, as a leaked key requires.
        """
        if retire_after_s < 0:
            raise Invalid("Keys cannot be retired in the past.")
        kid, secret = _new_key()
        await self._store.replace_keys(kid, secret, retire_after_s)
        await self.tokens.refresh()
        return kid

    async def seed_people(
        self,
        count: int,
        *,
        password: str | None = None,
        tag: str | None = None,
        progress: Callable[[int], None] = lambda _: None,
    ) -> list[UUID]:
        """Create buyers `buyer-<n>-<tag>@example.test`, n from 1; return their ids in order.

        Their wallets are empty. They share one password, by default a random one. `progress` receives
        the number of buyers so far. Raises `EmailTaken` for a used tag.
        """
        tag = tag or secrets.token_hex(4)
        rules.normal_email(f"buyer-{count}-{tag}@example.test")
        password_hash = await self._passwords.hash(
            rules.accepted_password(password or secrets.token_urlsafe())
        )
        user_ids = [new_id() for _ in range(count)]
        for start in range(0, count, _SEED_CHUNK):
            chunk = user_ids[start : start + _SEED_CHUNK]
            await self._store.seed(chunk, start + 1, tag, password_hash, self._currency)
            progress(start + len(chunk))
        return user_ids


def _allowed_in(status: AccountStatus, permission: str) -> tuple[UUID, ...] | None:
    """Return the organizations of a person in which a permission holds; None: in all."""
    # guard: operators_only_read_in_other_organizations => if status.role == rules.OPERATOR:
    if status.role == rules.OPERATOR and permission in OPERATOR_PERMISSIONS:
        return None
    return tuple(status.organization_ids)


def _new_key() -> tuple[str, bytes]:
    return str(new_id()), secrets.token_bytes(_SECRET_BYTES)
