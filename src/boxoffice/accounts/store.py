"""The statements of this room: named SQL in, frozen types out."""

from uuid import UUID

import msgspec

from boxoffice.accounts.tokens import TokenKey
from boxoffice.errors import EmailTaken
from boxoffice.platform import sqlfiles
from boxoffice.platform.postgres import Database

_Q = sqlfiles.load("boxoffice.accounts")


class Credentials(msgspec.Struct, frozen=True):
    """What a login compares against."""

    user_id: UUID
    role: str
    password_hash: str


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

    async def credentials(self, email: str) -> Credentials | None:
        """Return what is known of an address, or None."""
        row = await self._db.read_one(_Q["credentials"], email)
        return None if row is None else Credentials(**row)

    async def set_role(self, email: str, role: str) -> bool:
        """Change a person's role; say whether there is such a person."""
        async with self._db.writing() as connection:
            return await connection.fetchval(_Q["set_role"], email, role) is not None

    async def keys(self) -> list[TokenKey]:
        """Return every key that still verifies, in no order."""
        return [TokenKey(**row) for row in await self._db.read(_Q["keys"])]

    async def add_first_key(self, kid: str, secret: bytes) -> None:
        """Add a key unless one signs already, whoever else tries at the same time."""
        # A process starts also while the standby is away: it promises nothing by that.
        async with self._db.writing(is_promise=False) as connection:
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
