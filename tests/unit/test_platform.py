"""The small parts that every room stands on."""

import asyncio
import subprocess
import sys
import time
from collections.abc import Coroutine
from typing import Any
from uuid import UUID

import asyncpg
import msgspec
import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from boxoffice import settings as settings_module
from boxoffice.errors import IntegrityError, SettingsInvalid, Unavailable
from boxoffice.platform.circuit_breaker import CircuitBreaker
from boxoffice.platform.clock import DatabaseClock
from boxoffice.platform.ids import (
    ScopedId,
    fast_uuid,
    fingerprint_of,
    new_id,
    parse_scoped,
    parse_uuid,
)
from boxoffice.platform.postgres import sql_files
from boxoffice.platform.postgres.migrations import numbered
from boxoffice.platform.postgres.outcomes import Failure, classify
from boxoffice.platform.postgres.standby import StandbyRequired, StandbyStatus


@given(st.uuids(), st.uuids())
def test_a_scoped_id_survives_the_way_out_and_back(schedule_id: UUID, own_id: UUID) -> None:
    scoped = ScopedId(schedule_id, own_id)
    assert parse_scoped(str(scoped)) == scoped


@given(st.text(max_size=60))
def test_only_our_own_spelling_of_an_id_is_one(text: str) -> None:
    scoped = parse_scoped(text)
    assert scoped is None or str(scoped) == text
    plain = parse_uuid(text)
    assert plain is None or str(plain) == text


def test_every_other_spelling_of_an_id_is_refused() -> None:
    text = str(ScopedId(new_id(), new_id()))
    last = text[-1]
    others = [chr(code) for code in range(33, 127) if chr(code) != last]
    assert [parse_scoped(text[:-1] + other) for other in others].count(None) >= len(others) - 15
    for spelling in (text + "=", text + "\n", " " + text[1:], text[:-1], text + "A", ""):
        assert parse_scoped(spelling) is None
    plain = str(new_id())
    for spelling in (plain.upper(), "{" + plain + "}", plain.replace("-", ""), plain + "\n"):
        assert parse_uuid(spelling) is None


def test_new_ids_are_uuids_of_version_seven_in_order() -> None:
    made = [new_id() for _ in range(1000)]
    assert {value.version for value in made} == {7}
    assert made == sorted(made)


@given(st.uuids())
def test_a_fast_uuid_is_the_standard_one(plain: UUID) -> None:
    for fast in (fast_uuid(plain.bytes), fast_uuid(str(plain))):
        assert isinstance(fast, UUID)
        assert (fast, hash(fast), fast.int, fast.bytes) == (
            plain, hash(plain), plain.int, plain.bytes
        )  # fmt: skip
        assert {plain: 1}[fast] == {fast: 1}[plain] == 1
        assert msgspec.json.encode([fast]) == msgspec.json.encode([plain])


def test_a_standby_that_is_required_is_asked_for_where_it_is_set() -> None:
    """Behind a pooler the setting of the server may be right, and that of the role wrong."""
    assert "set synchronous_standby_names" in str(StandbyRequired(StandbyStatus("", 0, 0)))
    role = str(StandbyRequired(StandbyStatus("*", 1, 1, is_heard=False)))
    assert "synchronous_standby_names" not in role
    assert "client_min_messages to notice" in role


def test_a_fingerprint_tells_where_one_part_ends() -> None:
    assert fingerprint_of("a", "bc") != fingerprint_of("ab", "c")
    assert fingerprint_of("a", "") != fingerprint_of("a")
    assert len(fingerprint_of("좌석")) == 16


def test_statements_are_read_by_name() -> None:
    text = "-- name: one\n-- The first.\nSELECT 1;\n\n-- name: two\n-- The second.\nSELECT 2;\n"
    assert dict(sql_files.parse(text, "x")) == {"one": "SELECT 1", "two": "SELECT 2"}


@pytest.mark.parametrize(
    "text",
    [
        "SELECT 1;",
        "-- name: one\nSELECT 1;",
        "-- name:\n-- No name.\nSELECT 1;",
        "-- name: one\n-- Twice.\nSELECT 1;\n-- name: one\n-- Twice.\nSELECT 1;",
    ],
)
def test_a_statement_without_name_or_description_is_refused(text: str) -> None:
    with pytest.raises(IntegrityError):
        sql_files.parse(text, "x")


def test_migrations_are_numbered_without_gaps() -> None:
    assert [int(m.version) for m in numbered()] == list(range(1, len(numbered()) + 1))


def test_settings_come_from_the_environment() -> None:
    given_ = {"BOXOFFICE_PORT": "9000", "BOXOFFICE_LOG_REQUESTS": "false", "PATH": "/bin"}
    loaded = settings_module.load(given_)
    assert (loaded.server.port, loaded.observability.log_requests) == (9000, False)


@pytest.mark.parametrize(
    ("environ", "sentence"),
    [
        ({"BOXOFFICE_PROT": "1"}, "BOXOFFICE_PROT is not a setting"),
        ({"BOXOFFICE_PORT": "0"}, "BOXOFFICE_PORT"),
        ({"BOXOFFICE_PORT": "many"}, "BOXOFFICE_PORT"),
        ({"BOXOFFICE_VALKEY_TIMEOUT_MS": "101"}, "BOXOFFICE_VALKEY_TIMEOUT_MS"),
        ({"BOXOFFICE_SEAT_LOCK_TTL_MS": "10001"}, "BOXOFFICE_SEAT_LOCK_TTL_MS"),
        ({"BOXOFFICE_DATABASE_URL": "mysql://x"}, "BOXOFFICE_DATABASE_URL"),
        ({"BOXOFFICE_VALKEY_URL": "http://x"}, "BOXOFFICE_VALKEY_URL"),
        ({"BOXOFFICE_CURRENCY": "won"}, "BOXOFFICE_CURRENCY"),
        ({"BOXOFFICE_DB_POOL_MAX": "2"}, "BOXOFFICE_DB_POOL_MAX"),
        ({"BOXOFFICE_BODY_TIMEOUT_MS": "12000"}, "BOXOFFICE_BODY_TIMEOUT_MS"),
        ({"BOXOFFICE_LOCK_TIMEOUT_MS": "9000"}, "BOXOFFICE_LOCK_TIMEOUT_MS"),
    ],
)
def test_a_wrong_setting_is_named(environ: dict[str, str], sentence: str) -> None:
    with pytest.raises(SettingsInvalid, match=sentence):
        settings_module.load(environ)


def test_the_breaker_spares_a_dead_server_and_tries_it_again() -> None:
    breaker = CircuitBreaker(failures_max=2, open_s=1.0)
    breaker.failed(0.0)
    assert breaker.admits(0.0)
    breaker.failed(0.0)
    assert breaker.is_open
    assert not breaker.admits(0.5)
    assert breaker.admits(1.0), "one probe"
    assert not breaker.admits(1.5), "and no second one beside it"
    breaker.failed(2.0)
    assert not breaker.admits(2.5)
    assert breaker.admits(3.0)
    breaker.succeeded()
    assert breaker.admits(3.0)


def test_the_breaker_says_once_that_it_opens_and_that_it_closes() -> None:
    changes: list[bool] = []
    breaker = CircuitBreaker(2, 1.0, changes.append)
    breaker.succeeded()
    for at_s in range(4):
        breaker.failed(float(at_s))
    breaker.succeeded()
    breaker.succeeded()
    assert changes == [True, False]


_BREAKING = """
import logging, sys
from boxoffice.observability import logs
from boxoffice.observability.logs import log
from boxoffice.settings import Settings

def fail(password):
    raise ValueError("it broke")

logs.configure_logs(Settings.of(log_format=sys.argv[1]).observability)
try:
    fail("-".join(["very", "secret"]))
except ValueError as error:
    log.error("request_failed", exc_info=error)
    logging.getLogger("a library").exception("it said")
"""


@pytest.mark.parametrize("log_format", ["json", "console"])
def test_a_traceback_shows_no_values(log_format: str) -> None:
    command = [sys.executable, "-c", _BREAKING, log_format]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert printed.count("ValueError: it broke") == 2
    assert "very-secret" not in printed


def test_the_clock_follows_the_database_and_not_this_machine() -> None:
    told = 1_000_000.0

    async def ask() -> float:
        return told

    clock = DatabaseClock(ask)
    asyncio.run(clock.synchronize())
    assert clock.now() == pytest.approx(told, abs=0.5)
    assert abs(clock.now() - time.time()) > 1e6


def _run(coroutine: Coroutine[Any, Any, None]) -> None:
    """Run a coroutine that waits for nothing: an event loop would look at the clock too."""
    with pytest.raises(StopIteration):
        coroutine.send(None)


def test_a_late_answer_does_not_move_the_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    moments = iter([100.0, 101.5, 200.0, 200.5])

    async def ask() -> float:
        return 1_000_000.0

    clock = DatabaseClock(ask)
    before = clock.now() - time.monotonic()
    monkeypatch.setattr("boxoffice.platform.clock.time.monotonic", lambda: next(moments))
    _run(clock.synchronize())
    assert clock._offset_s == pytest.approx(before, abs=0.1), "the round trip took 1.5 s"
    _run(clock.synchronize())
    assert clock._offset_s == pytest.approx(1_000_000.0 - 200.25)


async def test_a_clock_that_cannot_measure_says_so_and_goes_on() -> None:
    asked_twice = asyncio.Event()
    errors = [Unavailable("away"), Unavailable("still away")]

    async def ask() -> float:
        error = errors.pop(0)
        if not errors:
            asked_twice.set()
        raise error

    with structlog.testing.capture_logs() as logs:
        keeping = asyncio.create_task(DatabaseClock(ask, refresh_s=0.001).keep_synchronized())
        await asyncio.wait_for(asked_twice.wait(), timeout=5)
        keeping.cancel()
    assert logs[0]["event"] == "clock_not_synchronized"
    assert "away" in logs[0]["error"]


@pytest.mark.parametrize(
    ("error", "failure"),
    [
        (asyncpg.DeadlockDetectedError(), Failure.TRANSIENT),
        (asyncpg.SerializationError(), Failure.TRANSIENT),
        (asyncpg.LockNotAvailableError(), Failure.TRANSIENT),
        (asyncpg.QueryCanceledError(), Failure.TRANSIENT),
        (asyncpg.DiskFullError(), Failure.UNAVAILABLE),
        (asyncpg.TooManyConnectionsError(), Failure.UNAVAILABLE),
        (asyncpg.CannotConnectNowError(), Failure.UNAVAILABLE),
        (asyncpg.ReadOnlySQLTransactionError(), Failure.UNAVAILABLE),
        (Unavailable(), Failure.UNAVAILABLE),
        (asyncpg.AdminShutdownError(), Failure.UNKNOWN),
        (asyncpg.ConnectionDoesNotExistError(), Failure.UNKNOWN),
        (ConnectionResetError(), Failure.UNKNOWN),
        (TimeoutError(), Failure.UNKNOWN),
        (asyncpg.UniqueViolationError(), Failure.REFUSED),
        (asyncpg.CheckViolationError(), Failure.REFUSED),
        (asyncpg.DataError(), Failure.REFUSED),
        (asyncpg.UndefinedFunctionError(), Failure.REFUSED),
        (ValueError(), Failure.REFUSED),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else value.value,
)
def test_failures_are_told_apart(error: Exception, failure: Failure) -> None:
    assert classify(error) is failure
