"""One process reads a schedule for all, and no process uses a reading that it could not have made."""

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from boxoffice.platform.valkey import Valkey
from boxoffice.platform.valkey.reading_turns import ReadingTurn, ReadingWanted
from boxoffice.seats.cache import entries
from boxoffice.seats.cache.states import AVAILABLE, HELD
from boxoffice.seats.changes.publisher import SeatChange
from boxoffice.seats.layout import Layout
from boxoffice.seats.shared.packing import PackedLayout, Unreadable
from boxoffice.seats.shared.readings import SharedReading, SharedSchedule
from boxoffice.settings import Settings
from drills.servers.valkey_process import HOST, PASSWORD, ValkeyProcess
from tests.support.fleet import FleetProcess, busy, fleet, process
from tests.support.waiting import until

from .support import Shop

_PROCESSES = 8
_SEAT = "1-1-1"
_MINUTE_MS = 60_000
# For a loaded machine; what is tried here does not depend on how fast it is.
_PATIENT = {"valkey_timeout_ms": 5_000, "seats_shared_processes_min": 2}


@pytest.fixture
def shared_settings(settings: Settings) -> Settings:
    """Sharing among the few processes of a test."""
    return settings.replace(**_PATIENT)


@pytest.fixture
async def pair(shop: Shop, shared_settings: Settings) -> AsyncIterator[tuple[FleetProcess, ...]]:
    """Two processes that know of each other and have heard all changes for a while."""
    async with fleet(shop.db, shared_settings, 2) as both:
        await until(lambda: _all_hear(both, uuid4()))
        yield tuple(both)


async def _all_hear(
    processes: Sequence[FleetProcess], schedule_id: UUID, for_s: float = 0.1
) -> bool:
    others = len(processes)
    return all(
        one.bus.processes >= others and one.is_complete_for(schedule_id, for_s) for one in processes
    )


def _wanted(one: FleetProcess, max_age_s: float = 5.0, turn_s: float = 5.0) -> ReadingWanted:
    return ReadingWanted(one.entries.clock() - max_age_s, 0.0, 0.0, turn_s)


async def _read_and_publish(one: FleetProcess, schedule_id: UUID, ago_s: float = 0.0) -> None:
    """Read in this process's turn, and publish; by PostgreSQL's clock it was `ago_s` ago."""
    row = await one.store.seat_states(schedule_id)
    assert row is not None
    layout = await one.seats.layout(schedule_id)
    shared = _shared(one, schedule_id)
    shared.publish(row._replace(now=row.now - ago_s), 0.01, layout)
    await one.background.finish()


def _shared(one: FleetProcess, schedule_id: UUID) -> SharedSchedule:
    entry = one.entries.cache.peek(schedule_id)
    assert entry is not None
    assert entry.shared is not None
    return entry.shared


async def _find(one: FleetProcess, schedule_id: UUID, **wanted: float) -> SharedReading | None:
    return await _shared(one, schedule_id).find(_wanted(one, **wanted))


@pytest.fixture
async def sold(shop: Shop, pair: tuple[FleetProcess, ...]) -> UUID:
    """A schedule that both processes have in memory."""
    schedule_id = (await shop.on_sale(3)).schedule_id
    for one in pair:
        await one.seats.layout(schedule_id)
    return schedule_id


async def test_eight_processes_read_as_often_as_one(shop: Shop, shared_settings: Settings) -> None:
    settings = shared_settings.replace(seats_verify_ms=300)
    schedule_id = (await shop.on_sale(3)).schedule_id
    async with fleet(shop.db, settings, _PROCESSES) as processes, busy(processes, schedule_id):
        await until(lambda: _all_hear(processes, schedule_id, 0.5))
        before = [one.store.readings for one in processes]
        read_at = [_read_at(one, schedule_id) for one in processes]

        async def have_all_verified() -> bool:
            return all(
                _read_at(one, schedule_id) > at + 2.0
                for one, at in zip(processes, read_at, strict=True)
            )

        began = time.monotonic()
        await until(have_all_verified, 30.0)
        took_s = time.monotonic() - began
        readings = sum(one.store.readings for one in processes) - sum(before)
        # Each would have read seven times; one reading of the schedule per `seats_verify_ms` is due.
        assert readings <= 2 * took_s / 0.3 + 2, "as many as one or two processes make"


def _read_at(one: FleetProcess, schedule_id: UUID) -> float:
    entry = one.entries.cache.peek(schedule_id)
    assert entry is not None
    return entry.refresher.read_at


async def test_a_new_process_shows_its_first_map_without_postgresql(
    shop: Shop, shared_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(entries, "_FIRST_WAIT_S", 5.0)
    schedule_id = (await shop.on_sale(3)).schedule_id
    async with (
        fleet(shop.db, shared_settings, 2) as others,
        busy(others, schedule_id),
        process(shop.db, shared_settings) as new,
    ):
        await until(lambda: _all_hear([*others, new], schedule_id, 2.5))
        person = uuid4()
        await shop.hold(schedule_id, [_SEAT], person)
        others[0].publisher.publish(
            schedule_id, [SeatChange(person, HELD, [_SEAT], [2], time.time() + 300)]
        )
        await others[0].bus.finish()

        async def has_heard() -> bool:
            return bool(list(new.shared.recent.since(schedule_id, 0.0)))

        await until(has_heard)
        shown = await new.seats.states(schedule_id)
        assert shown.status == bytes([HELD, AVAILABLE, AVAILABLE]), "newer than the reading"
        await new.seats.rendered(schedule_id)
        assert (new.store.readings, new.store.layouts) == (0, 0)
        assert new.refuses(schedule_id, _SEAT)
        assert not new.refusals.is_surely_new(schedule_id, person)
        monkeypatch.setattr(entries, "_FIRST_WAIT_S", 0.25)
        monkeypatch.setattr(SharedSchedule, "layout", _slowly(SharedSchedule.layout, 0.3))

        async def loads_without_postgresql() -> bool:
            new.entries.cache.invalidate(schedule_id)
            layouts = new.store.layouts
            await new.seats.layout(schedule_id)
            return new.store.layouts == layouts

        await until(loads_without_postgresql, 20.0)


def _slowly(
    unpack: Callable[[SharedSchedule, PackedLayout], Awaitable[Layout]], seconds: float
) -> Callable[[SharedSchedule, PackedLayout], Awaitable[Layout]]:
    """A large hall: only Valkey has a deadline, not what this process does."""

    async def unpack_slowly(shared: SharedSchedule, packed: PackedLayout) -> Layout:
        await asyncio.sleep(seconds)
        return await unpack(shared, packed)

    return unpack_slowly


async def test_an_unknown_schedule_takes_no_turn(
    pair: tuple[FleetProcess, ...], valkey: Valkey
) -> None:
    made_up = uuid4()
    assert await pair[0].seats.seats_left(made_up) is None
    assert await valkey.command("EXISTS", f"boxoffice:turn:{{{made_up}}}") == 0


async def test_a_reader_that_was_paused_publishes_nothing(
    pair: tuple[FleetProcess, ...], sold: UUID, valkey: Valkey
) -> None:
    paused, other = pair
    assert await _find(paused, sold, turn_s=0.001) is None
    await asyncio.sleep(0.01)
    assert await _find(other, sold, turn_s=0.001) is None, "the turn has ended, and is another's"
    await _read_and_publish(paused, sold)
    key = f"boxoffice:reading:{{{sold}}}"
    assert await valkey.command("EXISTS", key) == 0, "it is the other's turn still"
    await _read_and_publish(other, sold)
    _shared(paused, sold)._turn = ReadingTurn(secrets.token_bytes(8))
    await _read_and_publish(paused, sold)
    newer = await _find(paused, sold)
    assert newer is not None
    assert newer.token == _shared(other, sold)._token


async def test_a_turn_may_be_asked_for_longer_than_its_key_lives(
    pair: tuple[FleetProcess, ...], sold: UUID
) -> None:
    one, other = pair
    assert await _find(one, sold, turn_s=600.0) is None
    await _read_and_publish(one, sold)
    assert await _find(other, sold) is not None


async def test_one_turn_at_a_time(pair: tuple[FleetProcess, ...], sold: UUID) -> None:
    one, other = pair
    assert await _find(one, sold) is None
    assert await _find(other, sold) is None
    await _read_and_publish(other, sold)
    assert await _find(other, sold) is None, "it had no turn, and has published nothing"
    await _read_and_publish(one, sold)
    found = await _find(other, sold)
    assert found is not None
    assert found.row is not None
    assert await _find(one, sold) is None, "its own reading is of no use to it"


@pytest.mark.parametrize("clock", ["valkey", "postgresql", "valkey in the future"])
async def test_a_reading_is_as_old_as_the_worse_of_two_clocks_says(
    pair: tuple[FleetProcess, ...], sold: UUID, valkey: Valkey, clock: str
) -> None:
    """Its age counts from the begin of the turn, and a clock that went back makes it no younger."""
    one, other = pair
    assert await _find(one, sold) is None
    if clock == "valkey":
        await valkey.command("PEXPIRE", f"boxoffice:turn:{{{sold}}}", _MINUTE_MS - 2_000)
    await _read_and_publish(one, sold, ago_s=2.0 if clock == "postgresql" else 0.0)
    if clock == "valkey in the future":
        await valkey.command("PEXPIRE", f"boxoffice:reading:{{{sold}}}", 10 * _MINUTE_MS)
    assert await _find(other, sold, max_age_s=1.5) is None
    took_turn = await valkey.command("EXISTS", f"boxoffice:turn:{{{sold}}}")
    assert took_turn == (clock != "postgresql"), "where Valkey knows, a turn is taken at once"
    found = await _find(other, sold, max_age_s=30.0, turn_s=0.0)
    if clock == "valkey in the future":
        assert found is None
        return
    assert found is not None
    assert other.entries.clock() - found.began_at > 2.0


async def test_a_turn_from_the_future_ends(
    pair: tuple[FleetProcess, ...], sold: UUID, valkey: Valkey
) -> None:
    assert await _find(pair[0], sold) is None
    await valkey.command("PEXPIRE", f"boxoffice:turn:{{{sold}}}", 10 * _MINUTE_MS)
    assert await _find(pair[1], sold) is None
    await _read_and_publish(pair[1], sold)
    assert await _find(pair[0], sold) is not None, "the clock of Valkey went back"


async def test_an_unchanged_hall_is_not_sent_again(
    pair: tuple[FleetProcess, ...], shop: Shop, sold: UUID
) -> None:
    one, other = pair
    assert await _find(one, sold) is None
    await _read_and_publish(one, sold)
    first = await _find(other, sold)
    assert first is not None
    same = await _shared(other, sold).find(_wanted(other), first.digest)
    assert same is not None
    assert same.row is None
    await shop.hold(sold, [_SEAT], uuid4())
    _shared(other, sold).have(first.token)
    assert await _find(one, sold, max_age_s=0.0) is None
    await _read_and_publish(one, sold)
    changed = await _shared(other, sold).find(_wanted(other), first.digest)
    assert changed is not None
    assert changed.row is not None


async def test_a_layout_is_taken_only_with_its_reading(
    pair: tuple[FleetProcess, ...], sold: UUID, valkey: Valkey
) -> None:
    one, other = pair
    assert await _find(one, sold) is None
    await _read_and_publish(one, sold)
    found = await _find(other, sold)
    assert found is not None
    shared = _shared(other, sold)
    published = await shared.packed_layout(found.head.layout_digest)
    assert published is not None
    layout = await shared.layout(published)
    assert list(layout.seats) == list((await one.seats.layout(sold)).seats)
    assert await shared.packed_layout(secrets.token_bytes(16)) is None
    left_ms = await valkey.command("PTTL", f"boxoffice:layout:{{{sold}}}")
    assert 0 < left_ms <= _MINUTE_MS
    # Another one that comes late is replaced with the next reading.
    await valkey.command("HSET", f"boxoffice:layout:{{{sold}}}", "digest", b"late")
    assert await _find(one, sold, max_age_s=0.0) is None
    await _read_and_publish(one, sold)
    assert await shared.packed_layout(found.head.layout_digest) is not None
    await valkey.command("HDEL", f"boxoffice:layout:{{{sold}}}", "body")
    cut = await shared.packed_layout(found.head.layout_digest)
    assert cut is not None
    with pytest.raises(Unreadable):
        await shared.layout(cut)


@pytest.mark.parametrize("lost", ["head", "body"])
async def test_a_reading_without_a_part_is_not_used(
    pair: tuple[FleetProcess, ...], sold: UUID, valkey: Valkey, lost: str
) -> None:
    one, other = pair
    assert await _find(one, sold) is None
    await _read_and_publish(one, sold)
    await valkey.command("HDEL", f"boxoffice:reading:{{{sold}}}", lost)
    assert await _find(other, sold) is None


async def test_a_reading_of_another_layout_is_not_taken_over(
    pair: tuple[FleetProcess, ...], sold: UUID
) -> None:
    one, other = pair
    entry = other.entries.cache.peek(sold)
    row = await one.store.seat_states(sold)
    assert entry is not None
    assert row is not None
    later = row._replace(layout_version=row.layout_version + 1)
    assert await other.entries._unpack_shared(entry, later) is None
    assert await other.entries._unpack_shared(entry, row) is not None


async def test_a_process_that_missed_a_change_takes_no_older_reading(
    pair: tuple[FleetProcess, ...], sold: UUID
) -> None:
    one, other = pair
    await other.seats.states(sold, max_age_s=0)
    assert await _find(one, sold) is None
    await _read_and_publish(one, sold)
    found = await _find(other, sold)
    entry = other.entries.cache.peek(sold)
    assert found is not None
    assert found.row is not None
    assert entry is not None
    stored = await other.entries._unpack_shared(entry, found.row)
    other.applier.invalidate(sold)
    assert not await entry.refresher.take_over(_shared(other, sold), found, stored)
    assert other.refuses(sold, _SEAT) is None


async def test_a_caller_that_waits_is_not_made_to_wait_for_another_process(
    pair: tuple[FleetProcess, ...], sold: UUID, valkey: Valkey
) -> None:
    one, other = pair
    await other.seats.states(sold)
    assert await _find(one, sold, turn_s=60.0) is None
    other.applier.invalidate(sold)
    await asyncio.sleep(0.06)  # no two readings begin within 50 ms
    readings = other.store.readings
    assert other.refuses(sold, _SEAT) is None, "which has begun to ask for a reading"
    await other.seats.states(sold, max_age_s=0)
    assert other.store.readings == readings + 1
    assert await valkey.command("EXISTS", f"boxoffice:turn:{{{sold}}}") == 1


@pytest.fixture
def own_valkey(tmp_path: Path) -> Iterator[ValkeyProcess]:
    """A server of this test, which may die."""
    server = ValkeyProcess(tmp_path)
    server.start()
    yield server
    server.kill()


async def test_without_valkey_each_process_reads_and_refuses_no_free_seat(
    shop: Shop,
    shared_settings: Settings,
    own_valkey: ValkeyProcess,
) -> None:
    url = f"redis://:{PASSWORD}@{HOST}:{own_valkey.port}"
    settings = shared_settings.replace(valkey_url=url, valkey_timeout_ms=100, seats_verify_ms=300)
    schedule_id = (await shop.on_sale(3)).schedule_id
    reservation = await shop.hold(schedule_id, [_SEAT], uuid4())
    async with fleet(shop.db, settings, 4) as processes, busy(processes, schedule_id):
        await until(lambda: _all_hear(processes, schedule_id, 0.5))
        await until(lambda: _all_say(processes, schedule_id, refused=True))
        own_valkey.kill()
        before = [one.store.readings for one in processes]
        # The hold ends while no message arrives: only a reading can know.
        await shop.lapse(schedule_id, reservation)
        await until(lambda: _all_say(processes, schedule_id, refused=False))
        assert all(one.store.readings > was for one, was in zip(processes, before, strict=True))
        own_valkey.start()
        await until(lambda: _all_hear(processes, schedule_id, 0.5), 20.0)
        at = [_read_at(one, schedule_id) for one in processes]
        readings = sum(one.store.readings for one in processes)

        async def have_all_verified() -> bool:
            return all(
                _read_at(one, schedule_id) > was + 1.0
                for one, was in zip(processes, at, strict=True)
            )

        began = time.monotonic()
        await until(have_all_verified, 20.0)
        took_s = time.monotonic() - began
        assert sum(one.store.readings for one in processes) - readings <= 2 * took_s / 0.3 + 2


async def _all_say(processes: Sequence[FleetProcess], schedule_id: UUID, *, refused: bool) -> bool:
    return all(one.refuses(schedule_id, _SEAT) is refused for one in processes)
