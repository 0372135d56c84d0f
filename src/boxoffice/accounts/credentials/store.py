"""Named SQL in, frozen types out."""

from uuid import UUID

import msgspec

from boxoffice.accounts.credentials.link_tokens import LinkToken
from boxoffice.accounts.credentials.rules import NewLink
from boxoffice.platform.postgres import sql_files
from boxoffice.platform.postgres.database import Database

_Q = sql_files.load("boxoffice.accounts.credentials")


class OwnAccount(msgspec.Struct, frozen=True):
    """What an account shows to its owner."""

    user_id: UUID
    email: str
    name: str
    role: str
    email_verified: bool


class LinkOwner(msgspec.Struct, frozen=True):
    """Whose password a link resets."""

    email: str
    name: str


class NewTokens(msgspec.Struct, frozen=True):
    """A person whose tokens are revoked, and the version of the next ones."""

    user_id: UUID
    version: int


class EmailOutcome(msgspec.Struct, frozen=True):
    """What a link did: `verified` or `changed` the address, or it is `taken` by another account."""

    user_id: UUID
    email: str
    outcome: str


class CredentialStore:
    """Links, passwords and addresses.

    Calls raise `Unavailable` where the database cannot answer now, and writes raise `OutcomeUnknown`
    where the answer was lost.
    """

    def __init__(self, db: Database) -> None:
        self._db = db

    async def account(self, user_id: UUID) -> OwnAccount | None:
        """Return an account, None where there is none."""
        row = await self._db.read_one(_Q["account"], user_id)
        return None if row is None else OwnAccount(**row)

    async def request_link(self, user_id: UUID, link: NewLink) -> None:
        """Make a link of an account and queue its mail."""
        async with self._db.writing() as connection:
            await connection.fetch(
                _Q["request_link"],
                link.link_id,
                user_id,
                link.purpose,
                link.email,
                link.email_before,
                link.language,
                link.ttl_s,
                link.retention_s,
            )

    async def request_reset(
        self, link_id: UUID, email: str, language: str | None, ttl_s: int, retention_s: int
    ) -> None:
        """Make a link that resets the password of an address; the same work without an account."""
        async with self._db.writing() as connection:
            await connection.fetch(
                _Q["request_reset"], link_id, email, language, ttl_s, retention_s
            )

    async def link_owner(self, token: LinkToken) -> LinkOwner | None:
        """Return whose password an open link resets."""
        row = await self._db.read_one(_Q["link_owner"], token.row_id, token.hash)
        return None if row is None else LinkOwner(**row)

    async def reset_password(self, token: LinkToken, password_hash: str) -> NewTokens | None:
        """Set a password by a link; None where the token opens none."""
        async with self._db.writing() as connection:
            row = await connection.fetchrow(
                _Q["reset_password"], token.row_id, token.hash, password_hash
            )
        return None if row is None else NewTokens(**row)

    async def confirm_email(self, token: LinkToken) -> EmailOutcome | None:
        """Verify or change an address by a link; None where the token opens none."""
        async with self._db.writing() as connection:
            row = await connection.fetchrow(_Q["confirm_email"], token.row_id, token.hash)
        return None if row is None else EmailOutcome(**row)

    async def set_password(self, user_id: UUID, hash_before: str, password_hash: str) -> int | None:
        """Change a password and return the version of the next tokens.

        None where the hash is not `hash_before` any more.
        """
        async with self._db.writing() as connection:
            version = await connection.fetchval(
                _Q["set_password"], user_id, hash_before, password_hash
            )
        return None if version is None else int(version)

    async def requires_verified(self, schedule_id: UUID) -> bool:
        """Return whether a schedule's organizer asks for a verified address."""
        row = await self._db.read_one(_Q["requires_verified"], schedule_id)
        return row is not None and row["requires_verified_email"]

    async def is_verified(self, user_id: UUID) -> bool:
        """Return whether a person's address is verified."""
        row = await self._db.read_one(_Q["is_verified"], user_id)
        return row is not None and row["is_verified"]
