"""What a board shows, and when its bytes change."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import msgspec
import pytest

from boxoffice.settings import WaitingRoomSettings
from boxoffice.waiting_room.board import rules
from boxoffice.waiting_room.board.rules import (
    BoardGapOut,
    BoardOut,
    BoardState,
    BoardTiming,
    CountersReading,
)
from boxoffice.waiting_room.rules import Gap, Mode, Notice, QueueCounters, WaitingRoomState

NOW = 1_800_000_004.0
TIMING = BoardTiming(asks_per_s=5_000, ticket_ttl_s=86_400)
ROOM = WaitingRoomState(
    schedule_id=UUID(int=1),
    mode=Mode.LOBBY,
    is_paused=False,
    is_closed=False,
    rate_per_s=50.0,
    inside_max=500,
    inside_s=600,
    grace_s=60,
    opens_at=NOW - 100,
    seed=b"s" * 32,
    lobby_size=1_000,
    epoch=2,
    numbers_to=2_000,
    joined=1_200,
    called=300,
    gaps=(Gap(1_100, 1_150),),
)
COUNTERS = QueueCounters(
    epoch=2, joined=1_300, called=400, inside=480, rate_per_s=12.345, is_sold_out=False
)


def shown(now: float = NOW, age_s: float = 0.2, **changed: Any) -> BoardOut:
    """Return the board of the room, with changes of its state or of its counters."""
    room = {name: value for name, value in changed.items() if hasattr(ROOM, name)}
    counters = {name: value for name, value in changed.items() if name not in room}
    reading = CountersReading(msgspec.structs.replace(COUNTERS, **counters), now, age_s)
    return rules.board(msgspec.structs.replace(ROOM, **room), reading, TIMING)


def test_it_shows_what_a_client_subtracts_from() -> None:
    found = shown()
    assert (found.state, found.epoch, found.called) == (BoardState.WAITING, 2, 400)
    assert (found.lobby_size, found.draw_seed) == (1_000, ROOM.seed.hex())
    assert found.gaps == [BoardGapOut(1_100, 1_150)]
    assert (found.rate_per_s, found.measured_rate_per_s, found.places_free) == (50.0, 12.3, 20)
    assert (found.grace_s, found.notice, found.opens_at) == (60, None, None)


def test_the_seed_is_secret_before_the_draw() -> None:
    lobby = shown(lobby_size=None, opens_at=NOW + 60)
    assert (lobby.state, lobby.draw_seed, lobby.lobby_size) == (BoardState.LOBBY, None, None)
    assert lobby.notice is Notice.NOT_OPEN
    assert lobby.opens_at == datetime.fromtimestamp(NOW + 60, UTC)
    assert shown(lobby_size=0).draw_seed is None


def test_counters_that_were_never_read_do_not_undo_the_progress_on_record() -> None:
    record = rules.board(ROOM, CountersReading(QueueCounters(), NOW, float("inf")), TIMING)
    assert (record.called, record.notice) == (300, Notice.DELAYED)


@pytest.mark.parametrize(
    ("age_s", "changed", "notice"),
    [
        (2.9, {}, None),
        (3.1, {}, Notice.DELAYED),
        (3.1, {"is_paused": True}, Notice.PAUSED),
        (3.1, {"sale_ends_at": NOW}, Notice.SALE_ENDED),
    ],
)
def test_old_counters_are_reported_unless_there_is_a_better_reason(
    age_s: float, changed: dict[str, Any], notice: Notice | None
) -> None:
    assert shown(age_s=age_s, **changed).notice is notice


def test_a_still_board_keeps_its_bytes_and_all_processes_agree() -> None:
    first, second = shown(NOW), shown(NOW + 2)
    for at in range(3, 30):
        first = rules.following(first, shown(NOW + at))
        second = rules.following(second, shown(NOW + at + 0.5))
        # Both began at another second; after the next multiple of ten they are the same.
        assert first == second or at < 6
    assert first.as_of == datetime.fromtimestamp(1_800_000_030, UTC)
    moved = shown(NOW + 31, called=401)
    assert rules.following(first, moved) == moved


def test_a_board_without_a_room_says_when_it_was_made() -> None:
    off = rules.board_without_room(UUID(int=1), NOW, TIMING)
    assert (off.state, off.as_of) == (BoardState.OFF, datetime.fromtimestamp(NOW, UTC))
    assert rules.following(off, rules.board_without_room(UUID(int=1), NOW + 5, TIMING)) == off
    later = rules.following(off, rules.board_without_room(UUID(int=1), NOW + 6, TIMING))
    assert later == msgspec.structs.replace(off, as_of=datetime.fromtimestamp(NOW + 6, UTC))
    assert rules.following(off, shown()) == shown()


@pytest.mark.parametrize(
    ("waiting", "spread_s"),
    [(0, 1), (5_000, 1), (5_001, 2), (10_001, 4), (800_000, 256), (14_000_000, 4_096)],
)
def test_all_users_ask_at_no_more_than_the_limit(waiting: int, spread_s: int) -> None:
    assert TIMING.spread_s(waiting) == spread_s
    assert waiting / spread_s <= TIMING.asks_per_s


def test_a_ticket_is_renewed_in_time() -> None:
    # A ticket is renewed by a question in its second half, and one comes in each quarter.
    assert TIMING.ask_every_s * 2 <= TIMING.ticket_ttl_s // 2
    assert BoardTiming(1, 60).ask_every_s == 15


def test_no_setting_makes_boards_older_than_clients_reckon_with() -> None:
    # Eight seconds: the counters, the board in its process, in a cache and in a browser.
    longest = msgspec.convert({"queue_board_refresh_ms": 8_000 // 4}, WaitingRoomSettings)
    assert longest.queue_board_refresh_ms == 2_000
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"queue_board_refresh_ms": 2_001}, WaitingRoomSettings)
