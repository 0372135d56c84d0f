"""Messages between processes: duplicated, late, damaged or lost."""

import asyncio
from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid4

import pytest

from boxoffice.platform.valkey import Valkey, ValkeyUnavailable
from boxoffice.seats.cache.entries import ScheduleEntries, SeatChangeApplier
from boxoffice.seats.cache.states import AVAILABLE, HELD, PositionChange
from boxoffice.seats.changes import bus
from boxoffice.seats.changes.bus import SeatChangeBus
from boxoffice.seats.changes.publisher import SeatChange, SeatChangePublisher
from boxoffice.seats.read_model import SeatReadModel
from boxoffice.seats.refusals import SeatRefusals
from boxoffice.seats.store import SeatStore, StatesRow
from boxoffice.settings import Settings
from tests.support.waiting import until

from .support import Shop

FAR = 4_000_000_000.0
# Longer than a busy machine lets some turns of the event loop take.
_LONG_S = 0.5


class Tape:
    """A Valkey that only remembers what was published."""

    def __init__(self) -> None:
        self.messages: list[bytes] = []
        self.away = False

    async def command(self, *words: Any) -> int:
        if self.away:
            raise ValkeyUnavailable("away")
        assert words[:2] == ("PUBLISH", bus.CHANNEL)
        self.messages.append(words[2])
        return 1


class Side:
    """One process: its seat maps and its change bus, on a tape."""

    def __init__(self, shop: Shop) -> None:
        self.tape = Tape()
        self.entries = shop.entries
        self.seats = shop.seats
        self.refusals = shop.refusals
        self.change_bus = SeatChangeBus(self.tape, shop.applier)  # type: ignore[arg-type]
        self.publisher = SeatChangePublisher(shop.applier, shop.seats, self.change_bus)

    async def greet(self, other: "Side") -> None:
        await self.change_bus._send(None, ())
        other.change_bus.receive(self.tape.messages.pop())


@pytest.fixture
async def sides(make_shop: Callable[[], Shop]) -> tuple[Side, Side, UUID]:
    """A seller and a listener who know each other and a schedule of three seats."""
    shops = make_shop(), make_shop()
    sold = await shops[0].on_sale(3)
    seller, listener = Side(shops[0]), Side(shops[1])
    await seller.greet(listener)
    await listener.greet(seller)
    for side in (seller, listener):
        await side.seats.states(sold.schedule_id, max_age_s=0)
    return seller, listener, sold.schedule_id


def _seat_change(
    state: int, version: int, seat: str = "1-1-1", person: UUID | None = None
) -> SeatChange:
    return SeatChange(person or uuid4(), state, [seat], [version], FAR if state == HELD else 0.0)


async def _status(side: Side, schedule_id: UUID) -> bytes:
    side.seats.show_newest(schedule_id)
    return (await side.seats.states(schedule_id)).status


async def _sell(seller: Side, schedule_id: UUID) -> list[bytes]:
    for change in (
        _seat_change(HELD, 2),
        _seat_change(AVAILABLE, 3),
        _seat_change(HELD, 4),
        _seat_change(HELD, 2, "1-1-2"),
    ):
        seller.publisher.publish(schedule_id, [change])
        await seller.change_bus.finish()
    return seller.tape.messages


async def test_what_comes_late_or_twice_changes_nothing(sides: tuple[Side, Side, UUID]) -> None:
    seller, listener, schedule_id = sides
    messages = await _sell(seller, schedule_id)
    assert len(messages) == 4
    for message in [*reversed(messages), *messages]:
        listener.change_bus.receive(message)
    assert await _status(listener, schedule_id) == bytes([HELD, HELD, AVAILABLE])
    assert await _status(seller, schedule_id) == bytes([HELD, HELD, AVAILABLE])


async def test_a_lost_message_is_detected_with_the_next(sides: tuple[Side, Side, UUID]) -> None:
    seller, listener, schedule_id = sides
    stranger = uuid4()
    messages = await _sell(seller, schedule_id)
    listener.change_bus.receive(messages[0])
    assert listener.entries.trusted(schedule_id) is not None
    listener.change_bus.receive(messages[2])
    assert listener.refusals.taken(schedule_id, ["1-1-1"], stranger) is None, "to be read first"


async def test_an_unsent_message_is_detected_too(sides: tuple[Side, Side, UUID]) -> None:
    seller, listener, schedule_id = sides
    seller.tape.away = True
    await _sell(seller, schedule_id)
    seller.tape.away = False
    await seller.greet(listener)
    assert listener.refusals.taken(schedule_id, ["1-1-1"], uuid4()) is None


@pytest.mark.parametrize("damage", ["other format", "cut", "garbage", "state", "seat", "short"])
async def test_a_message_that_cannot_be_read_has_the_schedule_read(
    sides: tuple[Side, Side, UUID], damage: str
) -> None:
    seller, listener, schedule_id = sides
    changes = {
        "state": PositionChange(0, 9, 0.0, 2, 8),
        "seat": PositionChange(77, HELD, FAR, 2, 8),
    }
    await seller.change_bus.deliver(
        schedule_id, [changes.get(damage, PositionChange(0, HELD, FAR, 2, 8))]
    )
    message = seller.tape.messages.pop()
    message = {
        "other format": b"\x09" + message[1:],
        "cut": message[:-1],
        "garbage": message + b"\xff",
        "short": b"\x01\x02",
    }.get(damage, message)
    listener.change_bus.receive(message)
    assert listener.refusals.taken(schedule_id, ["1-1-1"], uuid4()) is None
    assert await _status(listener, schedule_id) == bytes(3), "and nothing else has happened"
    # What is read after it is believed again.
    await listener.seats.states(schedule_id, max_age_s=0)
    assert listener.entries.trusted(schedule_id) is not None


async def test_without_peers_nothing_is_sent_and_the_backlog_is_bounded(
    sides: tuple[Side, Side, UUID], make_shop: Callable[[], Shop]
) -> None:
    seller, listener, schedule_id = sides
    lonely = Side(make_shop())
    lonely.change_bus.post(schedule_id, [PositionChange(0, HELD, FAR, 2, 8)])
    await lonely.change_bus.finish()
    assert lonely.tape.messages == []
    seller.change_bus.post(schedule_id, [PositionChange(0, HELD, FAR, 2, 8)] * 30_000)
    await seller.change_bus.finish()
    assert seller.tape.messages == []
    await seller.greet(listener)
    assert listener.refusals.taken(schedule_id, ["1-1-1"], uuid4()) is None, "the gap shows it"


async def _let_it_send() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def _sent_after_each(seller: Side, schedule_id: UUID) -> list[int]:
    """Sell and free a seat in turns of the event loop; return the messages sent after each change."""
    sent = []
    for version in range(2, 7):
        change = _seat_change((AVAILABLE, HELD)[version % 2 == 0], version)
        seller.publisher.publish(schedule_id, [change])
        await _let_it_send()
        sent.append(len(seller.tape.messages))
    return sent


async def test_a_lone_change_goes_at_once_and_the_next_ones_together(
    sides: tuple[Side, Side, UUID], monkeypatch: pytest.MonkeyPatch
) -> None:
    seller, listener, schedule_id = sides
    monkeypatch.setattr(bus, "_PAUSE_S", _LONG_S)
    assert await _sent_after_each(seller, schedule_id) == [1, 1, 1, 1, 1]
    monkeypatch.setattr(bus, "_PAUSE_S", 0.0)
    await seller.change_bus.finish()
    assert len(seller.tape.messages) == 2
    for message in seller.tape.messages:
        listener.change_bus.receive(message)
    assert listener.entries.trusted(schedule_id) is not None, "no gap"
    assert await _status(listener, schedule_id) == bytes([HELD, AVAILABLE, AVAILABLE])


async def test_without_the_pause_each_change_is_a_message(
    sides: tuple[Side, Side, UUID], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The negative control."""
    seller, _, schedule_id = sides
    monkeypatch.setattr(bus, "_PAUSE_S", 0.0)
    assert await _sent_after_each(seller, schedule_id) == [1, 2, 3, 4, 5]
    await seller.change_bus.finish()


async def test_an_unknown_change_among_those_of_a_pause_has_the_schedule_read(
    sides: tuple[Side, Side, UUID], monkeypatch: pytest.MonkeyPatch
) -> None:
    seller, listener, schedule_id = sides
    monkeypatch.setattr(bus, "_PAUSE_S", _LONG_S)
    post, change = seller.change_bus.post, PositionChange(0, HELD, FAR, 2, 8)
    post(schedule_id, [change])
    await _let_it_send()
    listener.change_bus.receive(seller.tape.messages[0])
    assert listener.entries.trusted(schedule_id) is not None
    for changes in ([], [change._replace(position=1)]):
        post(schedule_id, changes)
    monkeypatch.setattr(bus, "_PAUSE_S", 0.0)
    await seller.change_bus.finish()
    assert len(seller.tape.messages) == 2
    listener.change_bus.receive(seller.tape.messages[1])
    assert listener.refusals.taken(schedule_id, ["1-1-1"], uuid4()) is None, "to be read first"


class Gated(SeatStore):
    """A store whose readings arrive late."""

    gate = asyncio.Event()
    read = asyncio.Event()

    async def seat_states(self, schedule_id: UUID) -> StatesRow | None:
        row = await super().seat_states(schedule_id)
        self.read.set()
        await self.gate.wait()
        return row


async def test_a_reading_undoes_nothing_that_came_after_it_began(
    shop: Shop, settings: Settings
) -> None:
    sold = await shop.on_sale(3)
    store = Gated(shop.db)
    store.gate, store.read = asyncio.Event(), asyncio.Event()
    entries = ScheduleEntries(settings.seats, store, shop.clock)
    seats, refusals = SeatReadModel(entries), SeatRefusals(entries)
    store.gate.set()
    await seats.states(sold.schedule_id)
    store.gate.clear()
    store.read.clear()
    late = asyncio.create_task(seats.states(sold.schedule_id, max_age_s=0))
    await store.read.wait()
    # The row that was read has the seat free; meanwhile a person holds it.
    await shop.hold(sold.schedule_id, ["1-1-1"], person := uuid4())
    SeatChangeApplier(entries).apply(
        sold.schedule_id, [PositionChange(0, HELD, FAR, 2, person.int & ((1 << 62) - 1))]
    )
    store.gate.set()
    assert (await late).status == bytes([HELD, 0, 0])
    assert refusals.is_surely_new(sold.schedule_id, uuid4())
    assert not refusals.is_surely_new(sold.schedule_id, person)


async def test_a_real_subscription_receives_and_its_end_is_detected(
    valkey: Valkey, make_shop: Callable[[], Shop]
) -> None:
    shops = make_shop(), make_shop()
    both = [SeatChangeBus(valkey, shop.applier) for shop in shops]
    running = [asyncio.create_task(one.run()) for one in both]

    async def acquainted() -> bool:
        return all(one.has_peers and one.is_receiving for one in both)

    await until(acquainted, 3.0)
    await valkey.command("CLIENT", "KILL", "TYPE", "pubsub")

    async def lost() -> bool:
        return not all(one.is_receiving for one in both)

    await until(lost, 3.0)
    await until(acquainted, 5.0)
    for task in running:
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)
