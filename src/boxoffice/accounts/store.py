"""Named SQL in, frozen types out."""

from collections.abc import Sequence
from typing import NamedTuple
from uuid import UUID

import msgspec

from boxoffice.accounts.credentials.rules import NewLink
from boxoffice.accounts.devices.rules import Device
from boxoffice.accounts.revocations import (
    RETAINED_S,
    LostTime,
    MinimumVersion,
    NewRevocations,
    RevokedToken,
)
from boxoffice.accounts.tokens import IssuedToken
from boxoffice.errors import EmailTaken, IntegrityError
from boxoffice.platform.postgres import sql_files
from boxoffice.platform.postgres.database import Database
from boxoffice.platform.signing import SigningKey

_Q = sql_files.load("boxoffice.accounts")


class Credentials(msgspec.Struct, frozen=True):
    """What a login is checked against."""

    user_id: UUID
    role: str
    password_hash: str
    version: int
    is_seen: bool


class NewPerson(NamedTuple):
    """An account that is to be made."""

    user_id: UUID
    email: str
    name: str
    password_hash: str
    role: str


class NewSession(NamedTuple):
    """A log-in, with its token and the person's token version."""

    session_id: UUID
    user_id: UUID
    token: IssuedToken
    version: int
    device: Device


class AccountStatus(msgspec.Struct, frozen=True):
    """A person's current role and minimum token version, and whether one token is revoked.

    `organization_ids` are those in which the person has one of the roles that were asked for.
    """

    role: str
    version: int
    is_revoked: bool
    organization_ids: list[UUID]


class AccountStore:
    """People and token keys.

    Calls raise `Unavailable` where the database cannot answer now, and writes raise `OutcomeUnknown`
    where the answer was lost.
    """

    def __init__(self, db: Database) -> None:
        self._db = db

    async def add_user(self, person: NewPerson, currency: str, link: NewLink | None = None) -> None:
        """Add a person with an empty wallet, and mail a link; raise `EmailTaken`."""
        async with self._db.writing() as connection:
            if not await connection.fetch(_Q["insert_user"], *person):
                raise EmailTaken
            await connection.execute(_Q["insert_wallet"], person.user_id, currency)
            if link is not None:
                await connection.fetch(
                    _Q["mail_link"],
                    link.link_id,
                    person.user_id,
                    link.purpose,
                    link.email,
                    link.language,
                    link.ttl_s,
                    link.retention_s,
                )

    async def add_session(self, session: NewSession) -> None:
        """Record a log-in, and delete some that have expired."""
        async with self._db.writing(forces_write=False) as connection:
            await connection.execute(_Q["commit_without_waiting"])
            await connection.execute(
                _Q["insert_session"],
                session.user_id,
                session.session_id,
                session.token.expires_at,
                session.version,
                session.token.token_id,
                session.device.browser,
                session.device.system,
            )
            await connection.execute(_Q["forget_sessions"])

    async def credentials(self, email: str, address_digest: bytes) -> Credentials | None:
        """Return the credentials of an e-mail address, None where there is no account."""
        row = await self._db.read_one(_Q["credentials"], email, address_digest)
        return None if row is None else Credentials(**row)

    async def secret(self, name: str) -> bytes:
        """Return a secret of the schema; raise `IntegrityError` where there is none."""
        row = await self._db.read_one(_Q["secret"], name)
        if row is None:
            raise IntegrityError(f"the schema has lost its secret {name!r}")
        return bytes(row["secret"])

    async def is_known(self, email: str, address_digest: bytes, ttl_s: int) -> bool:
        """Return whether an account has logged in from an address in the last `ttl_s` seconds."""
        row = await self._db.read_one(_Q["is_known"], email, address_digest, ttl_s)
        return row is not None and row["is_known"]

    async def remember_address(
        self, user_id: UUID, address_digest: bytes, addresses_max: int, ttl_s: int
    ) -> None:
        """Record that an account has logged in from an address; keep the newest ones only."""
        async with self._db.writing() as connection:
            await connection.execute(_Q["commit_without_waiting"])
            await connection.execute(_Q["remember_address"], user_id, address_digest)
            await connection.execute(_Q["forget_more_addresses"], user_id, addresses_max)
            await connection.execute(_Q["forget_old_addresses"], ttl_s)

    async def set_role(self, email: str, role: str) -> tuple[UUID, int] | None:
        """Change a person's role and revoke their tokens; return the person and the minimum version.

        The version is 0 where the role did not change. Returns None for an unknown e-mail address.
        """
        async with self._db.writing() as connection:
            changed = await connection.fetchrow(_Q["set_role"], email, role)
            if changed is None:
                return None
            user_id, version = changed["user_id"], 0
            if changed["role_before"] != role:
                version = await connection.fetchval(_Q["revoke_all_tokens"], user_id)
            return user_id, version

    async def account_status(
        self, user_id: UUID, token_id: str, member_roles: Sequence[str] = ()
    ) -> AccountStatus | None:
        """Return the current status of a person and a token, None for an unknown person."""
        row = await self._db.read_one(_Q["account_status"], user_id, token_id, member_roles)
        return None if row is None else AccountStatus(**row)

    async def revoke_all_tokens(self, user_id: UUID) -> int:
        """Revoke every token of a person; return the version of their next ones."""
        async with self._db.writing() as connection:
            return int(await connection.fetchval(_Q["revoke_all_tokens"], user_id))

    async def revoke_token(self, token_id: str, expires_at: float) -> None:
        """Revoke one token, and delete some revocations that have expired."""
        async with self._db.writing() as connection:
            await connection.execute(_Q["revoke_token"], token_id, expires_at)
            await connection.execute(_Q["forget_revoked_tokens"])

    async def revocations(self, since: float) -> NewRevocations:
        """Return the revocations since a time, in seconds since the Unix epoch."""
        versions = await self._db.read(_Q["minimum_versions_since"], since)
        tokens = await self._db.read(_Q["revoked_tokens_since"], since)
        lost = await self._db.read(_Q["lost_times"], RETAINED_S)
        return NewRevocations(
            [MinimumVersion(**row) for row in versions],
            [RevokedToken(**row) for row in tokens],
            [LostTime(**row) for row in lost],
        )

    async def keys(self) -> list[SigningKey]:
        """Return every key that still verifies, in no order."""
        return [SigningKey(**row) for row in await self._db.read(_Q["keys"])]

    async def add_first_key(self, kid: str, secret: bytes) -> None:
        """Add a key unless there is a signing key; safe to call concurrently."""
        # A process must start while the standby is away; this write is no promise to a client.
        async with self._db.writing(forces_write=False) as connection:
            await connection.execute(_Q["lock_keys"])
            await connection.execute(_Q["insert_first_key"], kid, secret)

    async def replace_keys(self, kid: str, secret: bytes, retire_after_s: float) -> None:
        """Add a key; every other key verifies for at most `retire_after_s` more."""
        async with self._db.writing() as connection:
            await connection.execute(_Q["lock_keys"])
            await connection.execute(_Q["retire_keys"], retire_after_s)
            await connection.execute(_Q["insert_key"], kid, secret)

    async def seed(
        self, user_ids: list[UUID], first: int, tag: str, password_hash: str, currency: str
    ) -> None:
        """Add people numbered from `first` with empty wallets.

        Their addresses are `buyer-<number>-<tag>@example.test`. Raises `EmailTaken` for a used tag.
        """
        async with self._db.writing() as connection:
            made = await connection.fetch(_Q["seed_users"], user_ids, tag, password_hash, first - 1)
            if len(made) < len(user_ids):
                raise EmailTaken
            await connection.execute(_Q["seed_wallets"], user_ids, currency)
