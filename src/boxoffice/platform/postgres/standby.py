"""Whether commits wait for a synchronous standby, as a session of PostgreSQL shows it."""

from dataclasses import dataclass
from typing import TypeAlias

import asyncpg

from boxoffice.errors import SettingsInvalid
from boxoffice.platform.postgres import sql_files

STANDBY = sql_files.load("boxoffice.platform.postgres")["standby"]
# Values of `synchronous_commit` that wait for a standby.
_WAITING = frozenset({"on", "remote_apply", "remote_write"})
# Values of `client_min_messages` that let a warning through.
_HEARING = frozenset({"debug5", "debug4", "debug3", "debug2", "debug1", "log", "notice", "warning"})
_SERVER_DOES_NOT_WAIT = (
    "commits of this PostgreSQL do not wait for a standby: set synchronous_standby_names there"
)
# Behind a pooler, where the role carries what else a session sets.
_ROLE_HEARS_NOTHING = (
    "commits of this role do not wait for a standby, or the role hears no warning of it: set its"
    " synchronous_commit to on and client_min_messages to notice"
)


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

    @classmethod
    def of(cls, row: asyncpg.Record) -> "StandbyStatus":
        """Return what a row of the statement `standby` says."""
        waits = row["synchronous_commit"] in _WAITING
        return cls(
            row["names"],
            row["connected"],
            row["synchronous"] if row["is_visible"] else None,
            waits and row["client_min_messages"] in _HEARING,
        )

    @property
    def is_wanted(self) -> bool:
        """Whether commits wait for a standby."""
        return bool(self.names)

    @property
    def is_missing(self) -> bool:
        """Whether commits wait for a standby that is certainly not connected."""
        return self.is_wanted and (self.connected == 0 or self.synchronous == 0)

    @property
    def is_acknowledging(self) -> bool:
        """Whether a commit is acknowledged with a standby only; without one it waits."""
        return self.is_wanted and self.is_heard

    @property
    def is_protected(self) -> bool:
        """Whether commits wait for a standby, and as far as this role sees there is one."""
        return self.is_acknowledging and not self.is_missing


class StandbyRequired(SettingsInvalid):
    """The settings require commits that wait for a standby, and on this server they do not."""

    def __init__(self, status: StandbyStatus) -> None:
        fault = _ROLE_HEARS_NOTHING if status.is_wanted else _SERVER_DOES_NOT_WAIT
        super().__init__(f"BOXOFFICE_DB_STANDBY=required, and {fault}; expected sells so")
        self.status = status


Session: TypeAlias = (
    "asyncpg.Connection[asyncpg.Record] | asyncpg.pool.PoolConnectionProxy[asyncpg.Record]"
)


async def require_standby(connection: Session) -> None:
    """Raise `StandbyRequired` where a commit of this session is acknowledged without a standby."""
    [row] = await connection.fetch(STANDBY)
    status = StandbyStatus.of(row)
    # guard: session_whose_commits_wait_for_no_standby_is_refused => if False:
    if not status.is_acknowledging:
        raise StandbyRequired(status)
