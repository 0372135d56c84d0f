"""A real standby: what a role sees of it, and what is worth nothing when it comes from there."""

import asyncio
import tempfile
from pathlib import Path

import asyncpg
import pytest

from boxoffice.audit import audit
from boxoffice.errors import OutcomeUnknown
from boxoffice.platform.postgres.database import Database
from boxoffice.platform.postgres.migrations import migrate
from boxoffice.platform.postgres.outcomes import Failure, classify
from boxoffice.platform.postgres.standby import StandbyStatus
from boxoffice.platform.postgres.standby_monitor import read_standby
from boxoffice.reservations.store import ReservationStore
from boxoffice.settings import Settings
from boxoffice_embedded.servers.postgres import HOST
from faults.cluster.cluster import start_cluster
from faults.cluster.standby import STANDBY_NAME, Pair, with_standby
from faults.interference.external_clients import allow_traversal
from tests.support.hall import open_hall
from tests.support.waiting import until


async def _seen_by(pair: Pair, role: str) -> StandbyStatus:
    """Return what a role sees of the standbys."""
    host = pair.primary.url.rpartition("@")[2]
    db = Database(Settings.of(database_url=f"postgresql://{role}:{role}@{host}"))
    await db.open()
    try:
        return await read_standby(db)
    finally:
        await db.close()


async def _check_roles(pair: Pair) -> None:
    one = await asyncpg.connect(pair.primary.url)
    await one.execute("CREATE ROLE ordinary LOGIN PASSWORD 'ordinary'")
    await one.execute("CREATE ROLE monitor LOGIN PASSWORD 'monitor'; GRANT pg_monitor TO monitor")
    await one.close()
    assert await _seen_by(pair, "ordinary") == StandbyStatus(STANDBY_NAME, 1, None)
    seen = await _seen_by(pair, "monitor")
    assert seen == StandbyStatus(STANDBY_NAME, 1, 1)
    assert seen.is_protected


async def _check_reads_of_a_standby(pair: Pair, settings: Settings) -> None:
    """A session that is left over from another time must not promise what a standby shows."""
    db = Database(settings.replace(database_url=pair.primary.url))
    behind = Database(settings.replace(database_url=pair.standby.url))
    await db.open()
    await behind.open()
    try:
        hall = await open_hall(db)
        command = hall.hold_command(hall.people[0], "S001")
        await hall.hold_batch(command)

        async def is_there() -> bool:
            return bool(await behind.fetch("SELECT FROM reservations"))

        await until(is_there)
        store = ReservationStore(behind)
        with pytest.raises(OutcomeUnknown):
            await store.find_holds(hall.schedule_id, [command])
        # A repetition may be decided there without a write: what was decided is not known either.
        with pytest.raises((OutcomeUnknown, asyncpg.ReadOnlySQLTransactionError)) as raised:
            await store.hold(hall.schedule_id, [command])
        assert classify(raised.value) in (Failure.UNKNOWN, Failure.UNAVAILABLE)
    finally:
        await behind.close()
        await db.close()


async def _check_commands(pair: Pair, settings: Settings) -> None:
    """Commands find the primary where the standby is named first."""
    before, _, after = pair.primary.url.rpartition("@")
    database = after.partition("/")[2]
    hosts = f"{HOST}:{pair.standby.port},{HOST}:{pair.primary.port}"
    both = settings.replace(database_url=f"{before}@{hosts}/{database}")
    assert await migrate(both) == 0
    assert (await audit(both)).ok
    db = Database(both)
    await db.open()
    try:
        assert (await read_standby(db)).is_wanted
    finally:
        await db.close()


async def test_a_real_standby() -> None:
    with tempfile.TemporaryDirectory(
        prefix="boxoffice-standby-", ignore_cleanup_errors=True
    ) as name:
        folder = allow_traversal(Path(name))
        async with (
            asyncio.timeout(50),
            start_cluster(folder, lambda _: None) as one,
            with_standby(one),
        ):
            assert one.pair is not None
            await _check_roles(one.pair)
            await _check_commands(one.pair, one.settings)
            await _check_reads_of_a_standby(one.pair, one.settings)
