"""The relay on real servers: at least once, in order, one leader, through outages."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING
from uuid import uuid4

import asyncpg
import msgspec
import pytest

from boxoffice.outbox.relay import run
from boxoffice.outbox.service import ROLE, Relay
from boxoffice.outbox.stream import EventStream, RelayFenced, fence_key
from boxoffice.platform.lease.lease import Lease
from boxoffice.platform.lease.store import LeaseStore
from boxoffice.platform.postgres.database import Database
from boxoffice.platform.valkey import Valkey, ValkeyUnavailable
from boxoffice.settings import Settings

if TYPE_CHECKING:
    from tests.integration.outbox.conftest import Line, Read, Write

_REFUSE_DELETE = """
    CREATE FUNCTION refuse_delete() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN RAISE EXCEPTION 'the relay crashed here'; END $$;
    CREATE TRIGGER refuse_delete BEFORE DELETE ON outbox
        FOR EACH STATEMENT EXECUTE FUNCTION refuse_delete();
"""


async def until(condition: Callable[[], Awaitable[bool]], timeout_s: float = 10) -> None:
    """Wait until the condition holds; fail after a timeout."""
    async with asyncio.timeout(timeout_s):
        while not await condition():  # noqa: ASYNC110 - the condition is in another process
            await asyncio.sleep(0.005)


async def waiting(db: Database) -> int:
    rows = await db.fetch("SELECT count(*) AS n FROM outbox")
    count: int = rows[0]["n"]
    return count


def ids(entries: list[dict[str, str]]) -> list[int]:
    return [int(entry["event_id"]) for entry in entries]


@asynccontextmanager
async def running(settings: Settings) -> AsyncIterator[asyncio.Event]:
    """Run the role until the block is left."""
    stop = asyncio.Event()
    role = asyncio.create_task(run(settings, stop))
    try:
        yield stop
    finally:
        stop.set()
        async with asyncio.timeout(10):
            await role


async def test_a_round_delivers_the_oldest_in_order_and_deletes_them(
    db: Database, valkey: Valkey, settings: Settings, write: "Write", read: "Read"
) -> None:
    relay = Relay(db, valkey, settings.replace(relay_batch_max=3).outbox)
    written = await write(5)

    assert await relay.relay_once() == 3
    assert ids(await read()) == written[:3]
    assert await relay.relay_once() == 2
    assert ids(await read()) == written
    assert await relay.relay_once() == 0
    assert await waiting(db) == 0


async def test_a_row_is_published_event_by_event(
    db: Database, valkey: Valkey, settings: Settings, write: "Write", read: "Read"
) -> None:
    """Rows stay whole: as many as fit, or one that does not fit, in parts that the stream takes."""
    relay = Relay(db, valkey, settings.replace(relay_batch_max=3).outbox)
    written = await write(2, 2) + await write(1, 7)

    assert [await relay.relay_once() for _ in range(4)] == [2, 2, 7, 0]
    entries = await read()
    assert ids(entries) == written == sorted(set(written))
    seats = [msgspec.json.decode(entry["data"])["seat_ids"] for entry in entries]
    assert seats[:2] == [["A-1-1", "A-1-2"], ["A-1-3", "A-1-4"]]
    assert seats[-1] == ["A-1-13", "A-1-14"]
    assert len({entry["data"] for entry in entries}) == len(entries)


async def test_a_partly_published_row_is_published_again(
    db: Database, valkey: Valkey, settings: Settings, write: "Write", read: "Read"
) -> None:
    relay = Relay(db, valkey, settings.replace(relay_batch_max=2).outbox)
    written = await write(1, 3)
    async with db.connection() as connection:
        await connection.execute(_REFUSE_DELETE)
    with pytest.raises(asyncpg.RaiseError, match="crashed here"):
        await relay.relay_once()
    await db.fetch("DROP TRIGGER refuse_delete ON outbox")
    assert await relay.relay_once() == 3
    entries = await read()
    assert ids(entries) == written + written
    assert entries[:3] == entries[3:], "every event has the id that it had"


async def test_a_crash_between_publish_and_delete_delivers_again(
    db: Database, valkey: Valkey, settings: Settings, write: "Write", read: "Read"
) -> None:
    relay = Relay(db, valkey, settings.outbox)
    written = await write(4)
    async with db.connection() as connection:
        await connection.execute(_REFUSE_DELETE)

    with pytest.raises(asyncpg.RaiseError, match="crashed here"):
        await relay.relay_once()
    assert ids(await read()) == written
    assert await waiting(db) == 4

    await db.fetch("DROP TRIGGER refuse_delete ON outbox")
    assert await relay.relay_once() == 4
    entries = await read()
    assert ids(entries) == written + written
    assert entries[:4] == entries[4:], "a consumer can tell a repetition by its event_id"
    assert await waiting(db) == 0


async def test_the_stream_keeps_a_bounded_number(
    db: Database, valkey: Valkey, settings: Settings, write: "Write", read: "Read"
) -> None:
    relay = Relay(db, valkey, settings.replace(relay_stream_max=100).outbox)
    written = await write(1_000)

    while await relay.relay_once():
        pass
    kept = ids(await read())
    assert 100 <= len(kept) < 400, "trimming is approximate"
    assert kept == written[-len(kept) :]


async def test_a_full_batch_fits_the_deadline(
    db: Database, valkey: Valkey, settings: Settings, write: "Write", read: "Read"
) -> None:
    relay = Relay(db, valkey, settings.outbox)
    await write(settings.outbox.relay_batch_max)

    started = time.monotonic()
    assert await relay.relay_once() == settings.outbox.relay_batch_max
    print(f"one round of {settings.outbox.relay_batch_max}: {time.monotonic() - started:.3f} s")
    assert len(await read()) == settings.outbox.relay_batch_max


async def test_topics_of_a_later_release_wait_for_it(
    db: Database, valkey: Valkey, settings: Settings, write: "Write", read: "Read"
) -> None:
    relay = Relay(db, valkey, settings.outbox)
    [later, known] = await write(2)
    await db.fetch(
        "UPDATE outbox SET topic = 'reservation.upgraded' WHERE batch_id = $1", later >> 16
    )

    assert await relay.relay_once() == 1
    assert ids(await read()) == [known]
    assert await waiting(db) == 1


async def test_with_valkey_away_rows_stay_and_follow_when_it_is_back(
    db: Database, settings_over_line: Settings, line: "Line", write: "Write", read: "Read"
) -> None:
    written = await write(3)
    async with running(settings_over_line):
        await until(lambda: _is_empty(db))
        await line.cut()
        more = await write(3)
        await until(lambda: _has_failed(settings_over_line))
        assert await waiting(db) == 3
        assert ids(await read()) == written

        await line.mend()
        await until(lambda: _is_empty(db))
    assert set(ids(await read())) == set(written + more)


async def test_a_batch_that_valkey_does_not_take_is_halved_and_grows_again(
    db: Database, settings_over_line: Settings, line: "Line", write: "Write", read: "Read"
) -> None:
    settings = settings_over_line.replace(relay_batch_max=8, breaker_failures_max=1_000)
    valkey = Valkey(settings.valkey)
    relay = Relay(db, valkey, settings.outbox)
    written = await write(20)
    await line.cut()
    for size in (4, 2, 1, 1):
        with pytest.raises(ValkeyUnavailable):
            await relay.relay_once()
        assert relay.batch_size == size
    await line.mend()

    assert [await relay.relay_once() for _ in range(5)] == [1, 2, 4, 8, 5]
    assert ids(await read()) == written
    await valkey.close()


async def test_one_relay_leads_and_the_other_waits(
    db: Database, valkey: Valkey, settings: Settings, write: "Write", read: "Read"
) -> None:
    first, second = Relay(db, valkey, settings.outbox), Relay(db, valkey, settings.outbox)
    assert await first.relay_once() == 0
    written = await write(2)

    assert await second.relay_once() == 0
    assert (first.leads, second.leads) == (True, False)
    assert await first.relay_once() == 2
    assert ids(await read()) == written


async def test_another_relay_takes_over_within_the_lease_after_a_crash(
    db: Database, valkey: Valkey, settings: Settings, write: "Write", read: "Read"
) -> None:
    settings = settings.replace(relay_lease_ms=300)
    crashed, heir = Relay(db, valkey, settings.outbox), Relay(db, valkey, settings.outbox)
    await crashed.relay_once()
    written = await write(2)

    started = time.monotonic()
    await until(lambda: _delivers(heir))
    # Far from the lease that a relay has by default, and more than a busy machine takes.
    assert time.monotonic() - started < Settings().outbox.relay_lease_ms / 1000 - 1
    assert ids(await read()) == written


async def test_a_relay_that_resumes_late_is_fenced(
    db: Database, valkey: Valkey, settings: Settings, write: "Write", read: "Read"
) -> None:
    frozen, heir = (LeaseStore(db, ROLE, uuid4()) for _ in range(2))
    old = await frozen.take(1)
    await until(lambda: _takes(heir))
    new = await heir.take(60_000)
    assert old is not None
    assert new == old + 1

    stream = EventStream(valkey, settings.outbox)
    await stream.publish([], new)
    with pytest.raises(RelayFenced):
        await stream.publish([], old)
    await stream.publish([], new)
    assert await frozen.take(60_000) is None
    assert 0 < await valkey.command("PTTL", fence_key(settings.outbox.relay_stream)) <= 20_000

    # Negative control: it was the fence that refused.
    await valkey.command("DEL", fence_key(settings.outbox.relay_stream))
    await stream.publish([], old)


async def test_the_fenced_relay_steps_down_and_loses_nothing(
    db: Database, valkey: Valkey, settings: Settings, write: "Write", read: "Read"
) -> None:
    relay = Relay(db, valkey, settings.outbox)
    await write(1)
    await valkey.command("SET", fence_key(settings.outbox.relay_stream), 1_000_000)

    with pytest.raises(RelayFenced):
        await relay.relay_once()
    assert not relay.leads
    assert await waiting(db) == 1
    assert await read() == []


async def test_the_fence_shares_the_slot_of_the_stream(valkey: Valkey) -> None:
    for stream in ("boxoffice:events", "{shop}:events"):
        slots = [
            await valkey.command("CLUSTER", "KEYSLOT", key) for key in (stream, fence_key(stream))
        ]
        assert slots[0] == slots[1]


async def test_the_token_grows_with_every_change_of_hands_only(db: Database) -> None:
    first, second = (LeaseStore(db, "some-role", uuid4()) for _ in range(2))
    assert await first.take(60_000) == 1
    assert await first.take(60_000) == 1
    assert await second.take(60_000) is None
    await second.release(1)
    assert await second.take(60_000) is None, "only the holder gives a lease back"
    await first.release(1)
    assert await second.take(60_000) == 2
    await first.release(1)
    assert await first.take(60_000) is None


async def test_of_many_that_ask_at_once_one_gets_the_lease(db: Database) -> None:
    stores = [LeaseStore(db, "some-role", uuid4()) for _ in range(20)]
    tokens = await asyncio.gather(*(store.take(60_000) for store in stores))
    assert sorted(token for token in tokens if token is not None) == [1]


async def test_a_lease_is_renewed_after_a_third_and_over_when_its_time_is(db: Database) -> None:
    now = [100.0]
    lease = Lease(LeaseStore(db, "some-role", uuid4()), 9_000, clock=lambda: now[0])
    assert await lease.keep() == 1

    async def expires_at() -> object:
        return (await db.fetch("SELECT expires_at FROM leases"))[0]["expires_at"]

    granted = await expires_at()
    now[0] += 2.9
    await lease.keep()
    assert await expires_at() == granted
    now[0] += 0.2
    await lease.keep()
    assert await expires_at() != granted
    now[0] += 9.1
    assert lease.token is None


async def test_two_relays_at_once_deliver_everything(
    settings: Settings, db: Database, write: "Write", read: "Read"
) -> None:
    settings = settings.replace(relay_batch_max=7, relay_lease_ms=100)
    written: list[int] = []
    async with running(settings), running(settings):
        for _ in range(20):
            written += await write(5)
        await until(lambda: _is_empty(db))
    assert set(ids(await read())) == set(written)


async def test_a_clean_stop_releases_the_lease(
    settings: Settings, db: Database, write: "Write", read: "Read"
) -> None:
    settings = settings.replace(relay_lease_ms=600_000)
    async with running(settings):
        await write(1)
        await until(lambda: _is_empty(db))
    [lease] = await db.fetch("SELECT token, expires_at <= clock_timestamp() AS over FROM leases")
    assert (lease["token"], lease["over"]) == (1, True)

    async with running(settings):
        await write(1)
        await until(lambda: _is_empty(db))
    assert len(await read()) == 2


async def test_the_role_goes_on_after_postgresql_drops_its_connections(
    settings: Settings, db: Database, write: "Write", read: "Read"
) -> None:
    async with running(settings):
        written = await write(2)
        await until(lambda: _is_empty(db))
        await db.fetch(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        written += await write(2)
        await until(lambda: _is_empty(db))
    assert set(ids(await read())) == set(written)


async def _is_empty(db: Database) -> bool:
    return await waiting(db) == 0


async def _delivers(relay: Relay) -> bool:
    return await relay.relay_once() > 0


async def _takes(store: LeaseStore) -> bool:
    return await store.take(60_000) is not None


async def _has_failed(settings: Settings) -> bool:
    """Whether a client through the cut proxy is refused, as the relay is."""
    valkey = Valkey(settings.valkey)
    try:
        await valkey.command("PING")
    except ValkeyUnavailable:
        return True
    finally:
        await valkey.close()
    return False
