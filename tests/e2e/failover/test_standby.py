"""What is said of the standby: whether commits wait for one, and that it is not there."""

from collections.abc import Iterator
from typing import Any

import pytest
import structlog
from prometheus_client import REGISTRY

from boxoffice.accounts.store import AccountStore
from boxoffice.app import open_application
from boxoffice.errors import Unavailable
from boxoffice.platform.postgres.database import Database
from boxoffice.platform.postgres.standby import StandbyRequired, StandbyStatus
from boxoffice.platform.postgres.standby_monitor import StandbyMonitor
from boxoffice.settings import Settings
from tests.e2e.failover.conftest import Primary
from tests.support.waiting import until


@pytest.fixture
def lines() -> Iterator[list[Any]]:
    """What is logged."""
    with structlog.testing.capture_logs() as captured:
        yield captured


def _gauges() -> tuple[float | None, ...]:
    wanted = REGISTRY.get_sample_value("boxoffice_commits_synchronous")
    states = ("connected", "synchronous")
    return (
        wanted,
        *(REGISTRY.get_sample_value("boxoffice_standbys", {"state": s}) for s in states),
    )


def _said(lines: list[Any]) -> list[tuple[str, str]]:
    return [(line["log_level"], line["event"]) for line in lines]


async def _seen(watch: StandbyMonitor, names: str) -> StandbyStatus:
    """Check until the session has heard of a setting; return what was seen then."""
    seen: list[StandbyStatus] = []

    async def is_heard() -> bool:
        seen.append(await watch.check())
        return seen[-1].names == names

    await until(is_heard)
    return seen[-1]


async def test_what_changes_is_said_once(
    patient: Database, primary: Primary, lines: list[Any]
) -> None:
    watch = StandbyMonitor(patient, 1.0)
    assert await watch.check() == StandbyStatus("", 0, 0)
    assert _gauges() == (0, 0, 0)
    async with primary.without_standby():
        seen = await _seen(watch, "nobody")
        await watch.check()
        assert seen == StandbyStatus("nobody", 0, 0)
        assert seen.is_missing
        assert _gauges() == (1, 0, 0)
    await _seen(watch, "")
    assert _gauges() == (0, 0, 0)
    assert _said(lines) == [
        ("info", "commits_not_synchronous"),
        ("warning", "standby_missing"),
        # A server that was promoted and runs without the setting looks so.
        ("warning", "commits_not_synchronous"),
    ]


async def test_a_standby_that_is_expected_and_not_there_is_an_error(
    patient: Database, primary: Primary, lines: list[Any]
) -> None:
    watch = StandbyMonitor(patient, 1.0, is_expected=True)
    seen = await watch.check()
    async with primary.without_standby():
        await _seen(watch, "nobody")
    assert not seen.is_protected
    assert _said(lines).count(("error", "commits_unprotected")) == 2
    assert REGISTRY.get_sample_value("boxoffice_standby_expected") == 1


async def test_a_server_whose_commits_do_not_wait_is_no_server_where_that_is_required(
    settings: Settings, primary: Primary, lines: list[Any]
) -> None:
    bounds = {"standby_check_interval_ms": 100, "statement_timeout_ms": 20_000}
    strict = settings.replace(db_standby="required", **bounds)
    db = Database(strict)
    with pytest.raises(StandbyRequired, match="synchronous_standby_names"):
        await db.open()
    await db.close()
    watch = StandbyMonitor.of(db, strict.database)
    async with primary.without_standby():
        await db.open()
        assert (await watch.check()).is_acknowledging
    try:
        # The setting was emptied meanwhile. No role but `serve` has a monitor.
        await until(lambda: _is_refused(db))
        assert not (await watch.check()).is_acknowledging
        assert _gauges()[0] == 0
        assert ("error", "commits_unprotected") in _said(lines)
        async with primary.without_standby():
            assert await db.fetch("SELECT 1")
            assert (await watch.check()).is_acknowledging
    finally:
        await db.close()


async def _is_refused(db: Database) -> bool:
    try:
        await db.fetch("SELECT 1")
    except Unavailable as error:
        return isinstance(error.__cause__, StandbyRequired)
    return False


async def test_an_ordinary_role_is_not_told_more_than_it_may_know(
    settings: Settings, primary: Primary, lines: list[Any]
) -> None:
    await primary.run("CREATE ROLE ordinary LOGIN PASSWORD 'ordinary'")
    host = primary.database_url.rpartition("@")[2]
    db = Database(Settings.of(database_url=f"postgresql://ordinary:ordinary@{host}"))
    try:
        async with primary.without_standby():
            await db.open()
            seen = await StandbyMonitor(db, 1.0).check()
    finally:
        await db.close()
        await primary.run("DROP ROLE ordinary")
    assert seen == StandbyStatus("nobody", 0, None)
    assert seen.is_missing
    assert not StandbyStatus("nobody", 1, None).is_missing
    assert _said(lines) == [("warning", "standby_missing")]


@pytest.mark.parametrize(
    ("setting", "value"), [("client_min_messages", "error"), ("synchronous_commit", "local")]
)
async def test_a_pooled_role_that_does_not_hear_or_wait_is_an_error(
    settings: Settings, primary: Primary, lines: list[Any], setting: str, value: str
) -> None:
    await primary.run(f"ALTER ROLE boxoffice SET {setting} = {value}")
    db = Database(
        Settings.of(
            database_url=settings.database.database_url, db_pooler="transaction", db_pool_max=3
        )
    )
    try:
        await db.open()
        assert not (await StandbyMonitor(db, 1.0).check()).is_heard
    finally:
        await primary.run(f"ALTER ROLE boxoffice RESET {setting}")
        await db.close()
    assert ("error", "commits_not_heard") in _said(lines)


async def test_a_process_says_so_at_its_start(
    patient: Database, settings: Settings, primary: Primary, lines: list[Any]
) -> None:
    # The very first start of a shop writes a key, and needs the standby for it.
    await AccountStore(patient).add_first_key("first", b"s" * 32)

    async def is_said() -> bool:
        return ("warning", "standby_missing") in _said(lines)

    async with primary.without_standby():
        # What a process writes in the background waits for the standby as well, and is left behind.
        soon = settings.replace(drain_timeout_ms=100)
        async with open_application(soon):
            await until(is_said)
    assert _gauges()[0] == 1
