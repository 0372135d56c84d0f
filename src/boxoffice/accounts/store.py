"""The statements of this room: named SQL in, frozen types out."""

from uuid import UUID

import msgspec

from boxoffice.accounts.revocations import EndedToken, News, Version
from boxoffice.errors import EmailTaken, IntegrityError
from boxoffice.platform.postgres import sql_files
from boxoffice.platform.postgres.database import Database
from boxoffice.platform.signing import SigningKey

_Q = sql_files.load("boxoffice.accounts")


class Credentials(msgspec.Struct, frozen=True):
    """What a login compares against."""

    user_id: UUID
    role: str
    password_hash: str
    version: int
    is_seen: bool


class Standing(msgspec.Struct, frozen=True):
    """What a person may do as of now, the least version of their tokens, and whether one has ended."""

    role: str
    version: int
    is_ended: bool


class AccountStore:
    """People and token keys.

    Calls raise `Unavailable` where the database cannot do it now, and those that change something
    `OutcomeUnknown` where its answer was lost.
    """

    def __init__(self, db: Database) -> None:
        self._db = db

    async def add_user(
        self, user_id: UUID, email: str, name: str, password_hash: str, role: str, currency: str
    ) -> None:
        """Add a person with an empty wallet; raise `EmailTaken`."""
        async with self._db.writing() as connection:
            if not await connection.fetch(
                _Q["insert_user"], user_id, email, name, password_hash, role
            ):
                raise EmailTaken
            await connection.execute(_Q["insert_wallet"], user_id, currency)

    async def credentials(self, email: str, address_digest: bytes) -> Credentials | None:
        """Return what is known of an e-mail address, or None."""
        row = await self._db.read_one(_Q["credentials"], email, address_digest)
        return None if row is None else Credentials(**row)

    async def secret(self, name: str) -> bytes:
        """Return a secret of the schema; raise `IntegrityError` where there is none."""
        row = await self._db.read_one(_Q["secret"], name)
        if row is None:
            raise IntegrityError(f"the schema has lost its secret {name!r}")
        return bytes(row["secret"])

    async def is_known(self, email: str, address_digest: bytes, ttl_s: int) -> bool:
        """Say whether an account has logged in from an address in the last `ttl_s` seconds."""
        row = await self._db.read_one(_Q["is_known"], email, address_digest, ttl_s)
        return row is not None and row["is_known"]

    async def remember_address(
        self, user_id: UUID, address_digest: bytes, addresses_max: int, ttl_s: int
    ) -> None:
        """Remember that an account has logged in from an address; keep the newest ones only."""
        async with self._db.writing() as connection:
            await connection.execute(_Q["commit_without_waiting"])
            await connection.execute(_Q["remember_address"], user_id, address_digest)
            await connection.execute(_Q["forget_more_addresses"], user_id, addresses_max)
            await connection.execute(_Q["forget_old_addresses"], ttl_s)

    async def set_role(self, email: str, role: str) -> tuple[UUID, int] | None:
        """Change a person's role and end their tokens with the one before; return who, and the version.

        The version is 0 where it was their role already; None where nobody has that address.
        """
        async with self._db.writing() as connection:
            changed = await connection.fetchrow(_Q["set_role"], email, role)
            if changed is None:
                return None
            user_id, version = changed["user_id"], 0
            if changed["role_before"] != role:
                version = await connection.fetchval(_Q["end_versions"], user_id)
            return user_id, version

    async def standing(self, user_id: UUID, token_id: str) -> Standing | None:
        """Return what a person and a token of theirs are worth as of now, or None for nobody."""
        row = await self._db.read_one(_Q["standing"], user_id, token_id)
        return None if row is None else Standing(**row)

    async def end_versions(self, user_id: UUID) -> int:
        """End every token of a person; return the version that the next ones will have."""
        async with self._db.writing() as connection:
            return int(await connection.fetchval(_Q["end_versions"], user_id))

    async def end_token(self, token_id: str, expires_at: float) -> None:
        """End one token, and forget some that have expired."""
        async with self._db.writing() as connection:
            await connection.execute(_Q["end_token"], token_id, expires_at)
            await connection.execute(_Q["forget_ended_tokens"])

    async def endings(self, since: float) -> News:
        """Return which tokens have ended since a time, in seconds since the Unix epoch."""
        versions = await self._db.read(_Q["versions_since"], since)
        tokens = await self._db.read(_Q["ended_tokens_since"], since)
        return News([Version(**row) for row in versions], [EndedToken(**row) for row in tokens])

    async def keys(self) -> list[SigningKey]:
        """Return every key that still verifies, in no order."""
        return [SigningKey(**row) for row in await self._db.read(_Q["keys"])]

    async def add_first_key(self, kid: str, secret: bytes) -> None:
        """Add a key unless one signs already, whoever else tries at the same time."""
        # A process starts also while the standby is away: it promises nothing by that.
        async with self._db.writing(forces_write=False) as connection:
            await connection.execute(_Q["lock_keys"])
            await connection.execute(_Q["insert_first_key"], kid, secret)

    async def replace_keys(self, kid: str, secret: bytes, retire_after_s: float) -> None:
        """Add a key and let every other one verify for `retire_after_s` more at most."""
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
