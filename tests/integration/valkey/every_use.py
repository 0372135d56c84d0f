"""All that the product does with Valkey, through its own parts: every script and every command."""

import time
from hashlib import sha1
from pathlib import Path
from uuid import UUID, uuid4

import boxoffice
from boxoffice.accounts.limits.throttle import LoginThrottle, MailThrottle
from boxoffice.catalog.shared.lookups import SharedLookups
from boxoffice.offers.throttle import CodeThrottle
from boxoffice.outbox.rules import Message
from boxoffice.outbox.stream import EventStream
from boxoffice.platform.clock import DatabaseClock
from boxoffice.platform.concurrency.background import Background
from boxoffice.platform.valkey import Valkey
from boxoffice.platform.valkey.reading_turns import PublishedReading, ReadingTurn, ReadingWanted
from boxoffice.ranking.board import RankingBoard
from boxoffice.ranking.rules import window
from boxoffice.ranking.store import HourOfSales
from boxoffice.reservations.seat_lock import Claim, ClaimResult, SeatLock, Settlement
from boxoffice.sales_stats.rules import TrafficSums
from boxoffice.sales_stats.traffic_store import TrafficStore
from boxoffice.seats.layout import Layout, PackedSeats
from boxoffice.seats.shared.readings import SharedReadings
from boxoffice.seats.store import StatesRow
from boxoffice.settings import Settings
from boxoffice.waiting_room.engine.queue_state import SpentNumber, TicketHolder
from tests.integration.guards.waiting_room.scripts.stand import Stand, bucket

PRODUCT = Path(boxoffice.__file__).parent
_SHARED = "shared.lua"
_TURN = PRODUCT / "platform/valkey/lua/reading_turn.lua"
_IN_TURNS = ("_lookup.lua", "_reading.lua")


def _source(path: Path) -> bytes:
    """What the product sends: a text that scripts share stands before each of them."""
    shared = _TURN if path.name.endswith(_IN_TURNS) else path.with_name(_SHARED)
    return (shared.read_bytes() if shared.exists() else b"") + path.read_bytes()


# Every script by its digest.
SCRIPTS = {
    sha1(_source(path), usedforsecurity=False).hexdigest(): path.relative_to(PRODUCT).as_posix()
    for path in sorted(PRODUCT.rglob("*.lua"))
    if path.name != _SHARED and path != _TURN
}


async def use_everything(valkey: Valkey, settings: Settings, stand: Stand) -> None:
    """Call every part once, for the schedule of `stand`."""
    schedule_id, user_id = stand.room.schedule_id, uuid4()
    lock = SeatLock(valkey, 10_000)
    seats = [f"1-{row}-1" for row in range(8)]
    assert (await lock.claim(schedule_id, [Claim("me", seats)]))[0].answer is ClaimResult.CLEAR
    await lock.settle(schedule_id, [Settlement("me", seats, 5_000)])
    assert (await lock.claim(schedule_id, [Claim("you", seats)]))[0].answer is ClaimResult.TAKEN

    async def restore() -> None:
        await stand.queue_state.restore(stand.room, [bucket((user_id, 1))])
        await stand.queue_state.forget(stand.room, [SpentNumber(1, user_id)])

    await stand.make(restore=restore)
    await stand.join(2)
    await stand.tick()
    await stand.enter(1)
    await stand.leave(1)
    holder = TicketHolder(uuid4(), 2, 2, 1)
    await stand.queue_state.redeem(schedule_id, [(user_id, holder)], keeps_earlier=True)
    assert await stand.queue_state.counters(schedule_id) is not None
    board = RankingBoard(valkey, settings.outbox.relay_stream)
    hours = window(time.time())
    await board.rebuild([HourOfSales(schedule_id, hours[0], 3)], hours)
    assert await board.is_complete()
    assert schedule_id in await board.scores(time.time(), 1_000)
    stream = EventStream(valkey, settings.outbox)
    await stream.publish(
        [Message(event_id=1, topic="reservation.held", created_at="now", data=b"{}")], 1
    )
    store = TrafficStore(valkey)
    sums = TrafficSums()
    sums.add("ok", 1, {})
    await store.add(str(schedule_id), 0, sums)
    await store.read(str(schedule_id), range(3))
    login = LoginThrottle(settings.accounts, valkey)
    await login.count(f"{user_id}@example.test", "192.0.2.1")
    await login.forgive(f"{user_id}@example.test", "192.0.2.1", succeeded=True)
    await login.count_address(f"2001:db8:{user_id.hex[:4]}::1")
    await login.forgive_address(f"2001:db8:{user_id.hex[:4]}::1")
    await _share_a_reading(valkey, schedule_id)
    await _share_a_lookup(valkey)
    await MailThrottle(settings.accounts, valkey).count("reset", f"{user_id}@a.test", "192.0.2.2")

    async def attempt() -> None:
        return None

    await CodeThrottle(settings.offers, valkey).counted(
        user_id, "192.0.2.3", attempt, lambda _: True
    )


async def _share_a_reading(valkey: Valkey, schedule_id: UUID) -> None:
    """Read a hall of one seat for another process."""

    async def now() -> float:
        return time.time()

    clock, background = DatabaseClock(now), Background()
    await clock.synchronize()
    shared = SharedReadings(valkey, 1, lambda: 2, clock, background.start)
    reader, other = shared.of(schedule_id), shared.of(schedule_id)
    seats = PackedSeats()
    seats.append(("1-1-1", "1", "1", 1, "R", 1_000))
    wanted = ReadingWanted(shared.clock() - 30.0, turn_s=5.0)
    assert await reader.find(wanted) is None
    row = StatesRow(1, time.time(), bytes(1), bytes(8), bytes(8), bytes(8), True, 0.0, 9e9, 1)
    reader.publish(row, 0.001, Layout(schedule_id, "KRW", seats, {"1-1-1": 0}))
    await background.finish()
    found = await other.find(wanted)
    assert found is not None
    assert found.row == row
    packed = await other.packed_layout(found.head.layout_digest)
    assert packed is not None
    assert list((await other.layout(packed)).seats) == list(seats)


async def _share_a_lookup(valkey: Valkey) -> None:
    background, key = Background(), f"concert:{uuid4()}"
    shared = SharedLookups(valkey, lambda: True, background.start, "1.0")
    turn = await shared.next(key, 0.0, 5.0)
    assert isinstance(turn, ReadingTurn)
    shared.publish(key, turn, b"{}")
    await background.finish()
    found = await shared.next(key, time.monotonic() - 30.0, 5.0)
    assert isinstance(found, PublishedReading)
    assert found.parts == [b"{}"]
