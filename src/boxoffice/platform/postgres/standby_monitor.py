"""Logs and measures whether commits wait for a standby, and whether one is connected."""

import asyncio
import math
from dataclasses import dataclass
from typing import Self

from prometheus_client import Gauge

from boxoffice.errors import Overloaded, Unavailable
from boxoffice.observability.logs import log
from boxoffice.platform.postgres import sql_files
from boxoffice.platform.postgres.database import Database, Record
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

STANDBY_REQUIRED = Gauge(
    "boxoffice_standby_required",
    "1 where the settings require a synchronous standby.",
    multiprocess_mode="livemostrecent",
)

_QUERIES = sql_files.load("boxoffice.platform.postgres")
# Values of `synchronous_commit` that wait for a standby.
_WAITING = frozenset({"on", "remote_apply", "remote_write"})
# Values of `client_min_messages` that let a warning through.
_HEARING = frozenset({"debug5", "debug4", "debug3", "debug2", "debug1", "log", "notice", "warning"})


@dataclass(frozen=True)
class StandbyStatus:
    """The standbys that PostgreSQL reports.

    `names` is `synchronous_standby_names`. `connected` counts all that receive the WAL, `synchronous`
    those that stream and that commits wait for; None where this role may not see it. `is_heard`: the
    session waits for a standby, and receives the warning of a wait that was cancelled.
    """

    names: str
    connected: int
    synchronous: int | None
    is_heard: bool = True

    @property
    def is_wanted(self) -> bool:
        """Whether commits wait for a standby."""
        return bool(self.names)

    @property
    def is_missing(self) -> bool:
        """Whether commits wait for a standby that is certainly not connected."""
        return self.is_wanted and (self.connected == 0 or self.synchronous == 0)

    @property
    def is_protected(self) -> bool:
        """Whether commits wait for a standby, and as far as this role sees there is one."""
        return self.is_wanted and self.is_heard and not self.is_missing


async def read_standby(db: Database) -> StandbyStatus:
    """Return what PostgreSQL reports of its standbys; raise what `Database.read` raises."""
    (row,) = await db.read(_QUERIES["standby"])
    return _standby(row)


class StandbyMonitor:
    """Checks at an interval; `run` does so until it is cancelled.

    With `is_required` a shop without a synchronous standby is an error in the log.
    """

    def __init__(self, db: Database, every_s: float, *, is_required: bool = False) -> None:
        self._db = db
        self._every_s = every_s
        self._is_required = is_required
        self._last: StandbyStatus | None = None

    @classmethod
    def of(cls, db: Database, settings: DatabaseSettings) -> Self:
        """Return one that checks as the settings say."""
        every_s = settings.standby_check_interval_ms / 1000
        return cls(db, every_s, is_required=settings.db_standby == "required")

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
        seen = await read_standby(self._db)
        STANDBY_REQUIRED.set(self._is_required)
        COMMITS_SYNCHRONOUS.set(seen.is_wanted)
        STANDBYS.labels("connected").set(seen.connected)
        known = math.nan if seen.synchronous is None else seen.synchronous
        STANDBYS.labels("synchronous").set(known)
        if seen != self._last:
            _say(seen, self._last, is_required=self._is_required)
            self._last = seen
        return seen


def _standby(row: Record) -> StandbyStatus:
    waits = row["synchronous_commit"] in _WAITING
    return StandbyStatus(
        row["names"],
        row["connected"],
        row["synchronous"] if row["is_visible"] else None,
        waits and row["client_min_messages"] in _HEARING,
    )


def _say(seen: StandbyStatus, before: StandbyStatus | None, *, is_required: bool) -> None:
    fields = {
        "synchronous_standby_names": seen.names,
        "connected": seen.connected,
        "synchronous": seen.synchronous,
    }
    if not seen.is_heard:
        log.error("commits_not_heard", **fields)
    if is_required and not seen.is_protected:
        log.error("standby_required", **fields)
    if seen.is_missing:
        log.warning("standby_missing", **fields)
    elif seen.is_wanted:
        log.info("commits_synchronous", **fields)
    elif before is not None and before.is_wanted:
        # For example, a promoted server without the setting in its configuration.
        log.warning("commits_not_synchronous", **fields)
    else:
        log.info("commits_not_synchronous", **fields)
