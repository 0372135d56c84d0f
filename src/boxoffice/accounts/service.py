"""The use cases of accounts: sign up, log in, roles, keys, and people for load tests."""

import hmac
import secrets
from collections.abc import Callable
from uuid import UUID

import msgspec

from boxoffice.accounts import rules
from boxoffice.accounts.common_passwords import common_passwords
from boxoffice.accounts.fair_semaphore import LOG_IN, SIGN_UP, Places
from boxoffice.accounts.passwords import Passwords
from boxoffice.accounts.store import AccountStore, Credentials
from boxoffice.accounts.throttle import LoginThrottle
from boxoffice.accounts.tokens import ENDED, Caller, TokenAuthority
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
from boxoffice.platform.client_addresses import address_bucket
from boxoffice.platform.ids import new_id
from boxoffice.platform.valkey import Valkey
from boxoffice.settings import Settings

_SECRET_BYTES = 32  # RFC 7518, section 3.2: a key of HS256 is at least as long as its hash
_ADDRESS_SECRET = "known_addresses"  # noqa: S105 - a name, not a secret
_SEED_CHUNK = 2_000  # people per transaction, well within the statement deadline


class Accounts:
    """People and what proves who they are; `tokens` verifies on the way of every request."""

    def __init__(
        self, settings: Settings, store: AccountStore, tokens: TokenAuthority, valkey: Valkey
    ) -> None:
        self.tokens = tokens
        self._store = store
        self._currency = settings.payments.currency
        self._passwords = Passwords(settings.accounts)
        self._throttle = LoginThrottle(settings.accounts, valkey)
        self._places = Places(settings.accounts.password_hashes_per_address_max)
        self._known_addresses_max = settings.accounts.known_addresses_max
        self._known_address_ttl_s = settings.accounts.known_address_ttl_s
        self._address_secret = b""

    def close(self) -> None:
        """Let the threads that hash passwords go."""
        self._passwords.close()

    async def sign_up(
        self, email: str, password: str, name: str, client_address: str | None = None
    ) -> UUID:
        """Make a buyer with an empty wallet; without an address, for commands, nobody counts it.

        Raises `Invalid`, `PasswordCommon`, `EmailTaken`, `TooMany` for its address, `Overloaded`, and
        `OutcomeUnknown` where the answer of the database was lost: `EmailTaken` at the next attempt, or
        a login, then says that it was done.
        """
        email = rules.normal_email(email)
        password = rules.accepted_password(password)
        rules.require_uncommon(password, email, name, common_passwords())
        if client_address is None:
            return await self._add_buyer(email, password, name, "")
        address = address_bucket(client_address)
        with self._places.of(SIGN_UP, address):
            # Before anything is asked of a server: what will be refused must cost nothing.
            self._passwords.require_room(SIGN_UP, address)
            # guard: addresses_sign_ups_are_counted => pass
            await self._throttle.count_sign_up(address)
            try:
                return await self._add_buyer(email, password, name, address)
            except Unavailable as error:
                if not isinstance(error, OutcomeUnknown):
                    await self._throttle.forgive_sign_up(address)
                raise

    async def _add_buyer(self, email: str, password: str, name: str, address: str) -> UUID:
        password_hash = await self._passwords.hash(password, address)
        user_id = new_id()
        await self._store.add_user(user_id, email, name, password_hash, rules.BUYER, self._currency)
        return user_id

    async def log_in(self, email: str, password: str, client_address: str) -> tuple[str, int]:
        """Return an access token and its life in seconds.

        Raises `CredentialsInvalid`, the same for a wrong password and for an unknown address,
        `TooMany` after too many of those or from one address at one time, and `Overloaded`.
        """
        email = rules.normal_email(email)
        address = address_bucket(client_address)
        with self._places.of(LOG_IN, address):
            # Before anything is asked of a server: what will be refused must cost nothing.
            self._passwords.require_room(LOG_IN, address)
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
        return self.tokens.mint(known.user_id, known.role, known.version), self.tokens.ttl_s

    async def _counted(self, email: str, password: str, address: str) -> Credentials:
        """Return whose these are, unless the account has had too many wrong ones."""
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
        """Count an attempt on an account; say whether its address had to be known for that."""
        try:
            await self._throttle.count(email, address)
        except TooMany:
            # Strangers who guess must not lock the owner out: who logs in from here as ever may try.
            # guard: addresses_owner_logs_in_from_known_address => if True:
            # guard: addresses_unknown_address_is_limited => if False:
            if not await self._store.is_known(email, digest, self._known_address_ttl_s):
                raise
            await self._throttle.count(email, address, is_known=True)
            return True
        return False

    async def _digest(self, email: str, address: str) -> bytes:
        """Return what an address of an account is known by: addresses are stored nowhere."""
        if not self._address_secret:
            self._address_secret = await self._store.secret(_ADDRESS_SECRET)
        return hmac.digest(self._address_secret, f"{email} {address}".encode(), "sha256")

    async def _remember(self, user_id: UUID, digest: bytes) -> None:
        try:
            await self._store.remember_address(
                user_id, digest, self._known_addresses_max, self._known_address_ttl_s
            )
        except Unavailable as error:  # A log-in is worth more; the next one will write it.
            log.warning("address_not_remembered", error=repr(error))

    async def identify(self, email: str, password: str) -> UUID:
        """Return whose these are, for commands: nobody counts the attempts.

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
        """End the token of a caller: here at once, elsewhere with the next refresh of the keys."""
        await self._store.end_token(caller.token_id, caller.expires_at)
        self.tokens.end_token(caller)

    async def log_out_everywhere(self, user_id: UUID) -> None:
        """End every token of a person: here at once, elsewhere with the next refresh of the keys."""
        version = await self._store.end_versions(user_id)
        self.tokens.end_below(user_id, version)

    async def confirm(self, caller: Caller) -> Caller:
        """Return a caller with the role that they have as of now; the token's may be of before.

        Raises `TokenInvalid` for a token that has ended, also since this process last read which ones,
        and `Unavailable` where the database cannot say: nobody sells on a role that was taken away.
        """
        standing = await self._store.standing(caller.user_id, caller.token_id)
        # guard: confirm_token_that_has_ended: standing.is_ended or =>
        # guard: confirm_version_that_has_ended: or caller.version < standing.version =>
        if standing is None or standing.is_ended or caller.version < standing.version:
            raise TokenInvalid(ENDED)
        return msgspec.structs.replace(caller, role=standing.role)

    async def hash_password(self, password: str) -> str:
        """Return what is stored of a password, for commands."""
        return await self._passwords.hash(rules.accepted_password(password))

    async def grant_role(self, email: str, role: str) -> None:
        """Give a person a role, from their next login on; raise `Invalid` or `NotFound`.

        Tokens with another role end: elsewhere with the next refresh of the keys.
        """
        changed = await self._store.set_role(rules.normal_email(email), rules.known_role(role))
        if changed is None:
            raise NotFound("There is no account with this e-mail address.")
        self.tokens.end_below(*changed)

    async def ensure_key(self) -> None:
        """Make a token key where none signs, and load the keys; any number may do so at once."""
        await self._store.add_first_key(*_new_key())
        await self.tokens.refresh()

    async def rotate_keys(self, retire_after_s: float) -> str:
        """Make a new token key and return its id; the others verify for `retire_after_s` more.

        The life of a token plus two key refreshes is a time in which no valid token is refused; 0
        ends every token that is out there, which is what a leaked key calls for.
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
        """Make buyers `buyer-<n>-<tag>@example.test`, n from 1; return their ids in order.

        Their wallets are empty. They share one password, by default one that nobody knows. `progress`
        is told how many there are so far. Raises `EmailTaken` for a used tag.
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


def _new_key() -> tuple[str, bytes]:
    return str(new_id()), secrets.token_bytes(_SECRET_BYTES)
