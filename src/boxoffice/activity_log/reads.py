"""Writes an entry for personal data of buyers that is shown, before it is shown.

Other modules use it through `boxoffice.activity_log`.
"""

from collections.abc import Sequence
from typing import NamedTuple
from uuid import UUID

from boxoffice.activity_log.writing import Action, record
from boxoffice.errors import OutcomeUnknown, Unavailable
from boxoffice.permissions import Actor
from boxoffice.platform.postgres.database import Database


class Shown(NamedTuple):
    """Rows of one organization; concert and schedule are None where the rows are of several."""

    organization_id: UUID
    rows: int
    concert_id: UUID | None = None
    schedule_id: UUID | None = None


class ReadLog:
    """Records which personal data of buyers was read, by whom and for which organization."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def record(
        self,
        actor: Actor,
        action: str,
        shown: Sequence[Shown],
        *,
        filters: Sequence[str] = (),
        request_id: str = "",
    ) -> None:
        """Commit an entry per organization; `filters` are names of criteria, never their values.

        Raises `Unavailable` unless the entries are certainly there: then nothing may be shown.
        """
        entries = [
            Action(
                organization_id=one.organization_id,
                actor_id=actor.user_id,
                action=action,
                request_id=request_id,
                concert_id=one.concert_id,
                schedule_id=one.schedule_id,
                details=read_details(one.rows, filters),
            )
            for one in shown
        ]
        if entries:
            await self._write(entries)

    async def _write(self, entries: Sequence[Action]) -> None:
        try:
            async with self._db.writing() as connection:
                for entry in entries:
                    # guard: reads_of_personal_data_are_logged => pass
                    await record(connection, entry)
        except OutcomeUnknown as error:
            # A repeated read is harmless, also where its first entry exists.
            raise Unavailable("The read could not be logged; try again.") from error


def read_details(rows: int, filters: Sequence[str] = ()) -> dict[str, object]:
    """Return the details of a read."""
    return {"rows": rows, "filters": list(filters)}
