"""A draw with hundreds of streams: each gets its place, without blocking the event loop."""

import asyncio
import random
from collections.abc import Iterator
from typing import Any
from uuid import UUID, uuid4

import msgspec
import pytest

from boxoffice.http.streams import Streams, Subscriber, limits_of
from boxoffice.settings import Settings
from boxoffice.waiting_room import position_streams as module
from boxoffice.waiting_room.engine.shuffle import place_of
from boxoffice.waiting_room.position_streams import PositionStreams
from boxoffice.waiting_room.queue_tickets import QueueTicket
from boxoffice.waiting_room.registry import WaitingRoomRegistry
from boxoffice.waiting_room.rules import Mode, QueueCounters, WaitingRoomState
from tests.integration.waiting_room.conftest import START_S

CROWD = 500
CALLED = 40
SEED = b"s" * 32


class Wire(asyncio.Transport):
    """The client of a stream: the bytes received, and whether it was closed."""

    def __init__(self) -> None:
        super().__init__()
        self.events: list[tuple[str, Any]] = []
        self.is_closed = False
        self.is_broken = False

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Return an empty buffer."""

    def write(self, data: Any) -> None:
        """Parse messages."""
        if self.is_broken:
            raise RuntimeError("as if the loop had refused it")
        for block in bytes(data).decode().split("\n\n"):
            fields = dict(line.split(": ", 1) for line in block.split("\n") if ": " in line)
            if "event" in fields:
                self.events.append((fields["event"], msgspec.json.decode(fields["data"])))

    def close(self) -> None:
        """End it."""
        self.is_closed = True

    def abort(self) -> None:
        """End it."""
        self.is_closed = True

    def named(self, name: str) -> list[Any]:
        """The data of its events of one name."""
        return [data for kind, data in self.events if kind == name]


class Lobby:
    """A lobby and its streams in memory, without Valkey and PostgreSQL."""

    def __init__(self) -> None:
        settings = Settings().replace(streams_max=10_000)
        self.rooms = WaitingRoomRegistry(settings.waiting_room, None, None)  # type: ignore[arg-type]
        self.position_streams = PositionStreams(
            Streams(limits_of(settings.streams)), self.rooms, lambda: START_S + 9
        )
        self.schedule_id = uuid4()
        self.wires: dict[int, Wire] = {}
        self.subscribers: dict[int, Subscriber] = {}
        self.says(QueueCounters(epoch=1, joined=CROWD), None)

    def says(
        self, counters: QueueCounters, lobby_size: int | None, mode: Mode = Mode.LOBBY
    ) -> None:
        """Set the cached room without a notification."""
        self.rooms._counters[self.schedule_id] = counters
        self.rooms.by_schedule[self.schedule_id] = _room(self.schedule_id, lobby_size, mode)

    def draw(self, size: int = CROWD) -> None:
        """Draw, call the first users, and notify."""
        self.says(QueueCounters(epoch=1, joined=CROWD, called=CALLED), size)
        self.position_streams.publish(self.schedule_id)

    def switch_off(self) -> None:
        """Switch the room off, and notify."""
        del self.rooms.by_schedule[self.schedule_id]
        self.position_streams.publish(self.schedule_id)

    def follow(self, number: int, *, is_broken: bool = False) -> Wire:
        """Open a stream for a number."""
        room = self.rooms.by_schedule.get(self.schedule_id)
        assert room is not None
        ticket = QueueTicket(self.schedule_id, uuid4(), 1, number, START_S, START_S + 999)
        stream = self.position_streams.open(room, ticket)
        self.wires[number] = Wire()
        self.wires[number].is_broken = is_broken
        opened = stream.channel.streams.open(stream, self.wires[number], b"", "")
        self.subscribers[number] = opened
        return self.wires[number]

    def told(self) -> int:
        """The streams that got their drawn place."""
        return sum(
            any(one["place"] is not None for one in wire.named("position"))
            for wire in self.wires.values()
        )

    async def all_told(self, sizes: list[int] | None = None) -> None:
        """Run the event loop until all is sent; `sizes` gets the count per iteration."""
        before = self.told()
        for _ in range(2 * CROWD):
            await asyncio.sleep(0)
            now = self.told()
            if sizes is not None:
                sizes.append(now - before)
            before = now
            room_stream = self.position_streams._room_streams.get(self.schedule_id)
            if room_stream is None:
                return
            if not room_stream.to_place:
                await room_stream.channel.sent()
                return
        raise AssertionError("it never came to an end")


def _room(schedule_id: UUID, lobby_size: int | None, mode: Mode) -> WaitingRoomState:
    return WaitingRoomState(
        schedule_id=schedule_id, mode=mode, is_paused=False, is_closed=False, rate_per_s=10.0,
        inside_max=10, inside_s=60, grace_s=30, opens_at=START_S, seed=SEED, lobby_size=lobby_size,
        epoch=1, numbers_to=CROWD, joined=CROWD, called=0,
    )  # fmt: skip


@pytest.fixture
async def lobby() -> Lobby:
    """A lobby before its draw, with streams."""
    made = Lobby()
    for number in range(1, CROWD + 1):
        made.follow(number)
    return made


def check(lobby: Lobby, numbers: Iterator[int] | range, size: int = CROWD) -> None:
    """Each stream got its place once, then the progress; a called user got one turn."""
    for number in numbers:
        wire, place = lobby.wires[number], place_of(SEED, size, number)
        first, last = wire.named("position")
        assert (first["place"], last["place"]) == (None, place)
        assert last["position"] == max(0, place - CALLED)
        assert wire.named("turn") == ([{"come_within_s": 30}] if place <= CALLED else [])
        assert [one["called"] for one in wire.named("progress")] == [CALLED]
        kinds = [kind for kind, _ in wire.events]
        assert kinds.index("progress") > kinds.index("position", 1)


async def test_drawn_places_are_sent_in_portions(lobby: Lobby) -> None:
    lobby.draw()
    assert lobby.told() == 0
    sizes: list[int] = []
    await lobby.all_told(sizes)
    assert max(sizes) <= module._PLACES_PER_ITERATION
    check(lobby, range(1, CROWD + 1))


async def test_all_at_once_is_noticed(lobby: Lobby, monkeypatch: pytest.MonkeyPatch) -> None:
    """Negative control: the same measurement without the bound."""
    bound = module._PLACES_PER_ITERATION
    monkeypatch.setattr(module, "_PLACES_PER_ITERATION", CROWD)
    lobby.draw()
    sizes: list[int] = []
    await lobby.all_told(sizes)
    assert max(sizes) > bound


async def test_readers_that_leave_and_join_meanwhile(lobby: Lobby) -> None:
    seed = random.randrange(1 << 30)
    print("seed", seed)
    rng = random.Random(seed)
    lobby.draw()
    await asyncio.sleep(0)
    left = rng.sample(range(1, CROWD + 1), CROWD // 3)
    for number in left:
        lobby.subscribers[number].lost()
    heard = {number: len(lobby.wires[number].events) for number in left}
    newcomer = lobby.follow(left[0])
    late = lobby.follow(CROWD + 1)
    await lobby.all_told()
    check(lobby, iter(set(range(1, CROWD + 1)) - set(left)))
    assert all(len(lobby.wires[number].events) == heard[number] for number in left[1:])
    for number, wire in ((left[0], newcomer), (CROWD + 1, late)):
        (position,) = wire.named("position")
        assert position["place"] == place_of(SEED, CROWD, number)
        assert bool(wire.named("turn")) == (position["place"] <= CALLED)
    room_stream = lobby.position_streams._room_streams[lobby.schedule_id]
    readers = [reader for one in room_stream.by_place.values() for reader in one]
    assert len(readers) == len(room_stream.channel) == CROWD - len(left) + 2


async def test_one_broken_reader_does_not_stop_the_others(lobby: Lobby) -> None:
    broken = lobby.wires[7]
    broken.is_broken = True
    lobby.draw()
    await lobby.all_told()
    assert broken.is_closed
    check(lobby, iter(set(range(1, CROWD + 1)) - {7}))


async def test_a_broken_reader_whose_turn_it_is_does_not_stop_the_others(lobby: Lobby) -> None:
    lobby.draw()
    await lobby.all_told()
    number_at = {place_of(SEED, CROWD, number): number for number in lobby.wires}
    broken, *others = (lobby.wires[number_at[CALLED + n]] for n in (1, 2, 3))
    broken.is_broken = True
    lobby.says(QueueCounters(epoch=1, joined=CROWD, called=CALLED + 3), CROWD)
    lobby.position_streams.publish(lobby.schedule_id)
    assert [wire.named("turn") for wire in others] == [[{"come_within_s": 30}]] * 2
    assert broken.is_closed


async def test_a_broken_reader_does_not_stop_the_end_of_a_room(lobby: Lobby) -> None:
    broken = lobby.wires.pop(1)
    broken.is_broken = True
    lobby.switch_off()
    assert broken.is_closed
    for wire in lobby.wires.values():
        assert wire.events[-1] == ("turn", {"come_within_s": 0})
        assert wire.is_closed


async def test_a_stream_that_cannot_be_begun_leaves_nothing_behind(lobby: Lobby) -> None:
    streams = lobby.position_streams._streams
    before = len(streams)
    wire = lobby.follow(CROWD + 1, is_broken=True)
    assert wire.is_closed
    assert len(streams) == before
    room_stream = lobby.position_streams._room_streams[lobby.schedule_id]
    assert len(room_stream.channel) == sum(map(len, room_stream.by_place.values())) == before


async def test_a_room_that_is_switched_off_meanwhile_calls_all_users(lobby: Lobby) -> None:
    lobby.draw()
    await asyncio.sleep(0)
    assert 0 < lobby.told() < CROWD
    lobby.switch_off()
    for wire in lobby.wires.values():
        assert wire.events[-1] == ("turn", {"come_within_s": 0})
        assert wire.is_closed
    heard = [len(wire.events) for wire in lobby.wires.values()]
    for _ in range(CROWD):
        await asyncio.sleep(0)
    assert [len(wire.events) for wire in lobby.wires.values()] == heard
    assert not lobby.position_streams._room_streams


async def test_a_change_of_the_draw_meanwhile_begins_anew(lobby: Lobby) -> None:
    lobby.draw()
    for _ in range(3):
        await asyncio.sleep(0)
    told = lobby.told()
    assert 0 < told < CROWD
    lobby.draw(CROWD - 100)
    sizes: list[int] = []
    for wire in lobby.wires.values():
        wire.events = [one for one in wire.events if one[1].get("place") is None]
    await lobby.all_told(sizes)
    assert max(sizes) <= module._PLACES_PER_ITERATION
    check(lobby, range(1, CROWD + 1), CROWD - 100)
