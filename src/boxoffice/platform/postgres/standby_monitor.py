"""Logs and measures whether commits wait for a standby, and whether one is connected."""

import asyncio
import math
from typing import Self

from prometheus_client import Gauge

from boxoffice.errors import Overloaded, Unavailable
from boxoffice.observability.logs import log
from boxoffice.platform.postgres.database import Database
from boxoffice.platform.postgres.standby import STANDBY, StandbyRequired, StandbyStatus
from boxoffice.settings.servers import DatabaseSettings

STANDBYS = Gauge(
    "boxoffice_standbys",
    "Standbys that receive the WAL, and those that commits wait for (NaN: not visible).",
    ("state",),
    multiprocess_mode="livemostrecent",
)

COMMITS_SYNCHRONOUS = Gauge(
    "boxoffice_commits_synchronous",
    "1 where commits wait for a synchronous standby.",
    multiprocess_mode="livemostrecent",
)

STANDBY_EXPECTED = Gauge(
    "boxoffice_standby_expected",
    "1 where the settings expect or require a synchronous standby.",
    multiprocess_mode="livemostrecent",
)


async def read_standby(db: Database) -> StandbyStatus:
    """Return what PostgreSQL reports of its standbys; raise what `Database.read` raises."""
    (row,) = await db.read(STANDBY)
    return StandbyStatus.of(row)


class StandbyMonitor:
    """Checks at an interval; `run` does so until it is cancelled.

    With `is_expected` a shop without a synchronous standby is an error in the log.
    """

    def __init__(self, db: Database, every_s: float, *, is_expected: bool = False) -> None:
        self._db = db
        self._every_s = every_s
        self._is_expected = is_expected
        self._last: StandbyStatus | None = None

    @classmethod
    def of(cls, db: Database, settings: DatabaseSettings) -> Self:
        """Return one that checks as the settings say."""
        every_s = settings.standby_check_interval_ms / 1000
        return cls(db, every_s, is_expected=settings.db_standby != "optional")

    async def run(self) -> None:
        """Check periodically; while the database is unavailable, the last result stands."""
        while True:
            try:
                await self.check()
            except (Unavailable, Overloaded) as error:
                log.debug("standby_unknown", error=str(error))
            await asyncio.sleep(self._every_s)

    async def check(self) -> StandbyStatus:
        """Check once, and log a change; raises what `Database.read` raises."""
        seen = await self._read()
        STANDBY_EXPECTED.set(self._is_expected)
        COMMITS_SYNCHRONOUS.set(seen.is_wanted)
        STANDBYS.labels("connected").set(seen.connected)
        known = math.nan if seen.synchronous is None else seen.synchronous
        STANDBYS.labels("synchronous").set(known)
        if seen != self._last:
            _say(seen, self._last, is_expected=self._is_expected)
            self._last = seen
        return seen

    async def _read(self) -> StandbyStatus:
        try:
            return await read_standby(self._db)
        except Unavailable as error:
            # The database has refused a session for what this one would have seen.
            if isinstance(error.__cause__, StandbyRequired):
                return error.__cause__.status
            raise


def _say(seen: StandbyStatus, before: StandbyStatus | None, *, is_expected: bool) -> None:
    fields = {
        "synchronous_standby_names": seen.names,
        "connected": seen.connected,
        "synchronous": seen.synchronous,
    }
    if not seen.is_heard:
        log.error("commits_not_heard", **fields)
    if is_expected and not seen.is_protected:
        log.error("commits_unprotected", **fields)
    if seen.is_missing:
        log.warning("standby_missing", **fields)
    elif seen.is_wanted:
        log.info("commits_synchronous", **fields)
    elif before is not None and before.is_wanted:
        # For example, a promoted server without the setting in its configuration.
        log.warning("commits_not_synchronous", **fields)
    else:
        log.info("commits_not_synchronous", **fields)
