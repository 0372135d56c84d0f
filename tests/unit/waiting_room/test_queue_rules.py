"""Positions, estimates and settings: values in, values out."""

import random
from itertools import pairwise

import msgspec
import pytest

from boxoffice.errors import Invalid, QueueDrawn
from boxoffice.platform.ids import new_id
from boxoffice.waiting_room import rules
from boxoffice.waiting_room.rules import (
    Gap,
    Mode,
    Notice,
    QueueCounters,
    RateMeter,
    TokenBucket,
    WaitingRoomChange,
    WaitingRoomState,
    apply_change,
    eta_s,
    notice,
    poll_after_s,
    position,
)

NOW = 1_800_000_000.0
ROOM = WaitingRoomState(
    schedule_id=new_id(), mode=Mode.FIFO, is_paused=False, is_closed=False, rate_per_s=10.0,
    inside_max=100, inside_s=600, grace_s=60, opens_at=NOW - 1, seed=b"s" * 32, lobby_size=None,
    epoch=1, numbers_to=10_000, joined=0, called=0,
)  # fmt: skip


def _room(**changes: object) -> WaitingRoomState:
    return msgspec.structs.replace(ROOM, **changes)


def test_a_position_is_a_subtraction() -> None:
    assert position(ROOM, QueueCounters(called=40), 41) == 1
    assert position(ROOM, QueueCounters(called=40), 140) == 100
    assert position(ROOM, QueueCounters(called=40), 40) == 0


def test_vacant_numbers_are_not_counted() -> None:
    room = _room(gaps=(Gap(100, 20_100),))
    assert position(room, QueueCounters(called=40), 20_101) == 61
    assert position(room, QueueCounters(called=15_000), 20_101) == 1
    assert position(room, QueueCounters(called=20_100), 20_101) == 1
    assert position(room, QueueCounters(called=40), 90) == 50
    in_lobby = _room(mode=Mode.LOBBY, lobby_size=2_000, gaps=(Gap(1_000, 2_000),))
    assert position(in_lobby, QueueCounters(called=0), 1_000) == 500


def test_a_position_never_grows() -> None:
    seed = random.randrange(1 << 30)
    print("seed", seed)
    rng = random.Random(seed)
    for _ in range(300):
        cuts = sorted(rng.sample(range(1, 500), 4))
        room = _room(
            lobby_size=rng.choice([None, cuts[1]]),
            gaps=(Gap(cuts[0], cuts[1]), Gap(cuts[2], cuts[3])),
        )
        place = rng.randrange(1, 600)
        seen = [position(room, QueueCounters(called=called), place) for called in range(place + 1)]
        assert all(after <= before for before, after in pairwise(seen))
        assert seen[-1] == 0
        assert all(one >= 1 for one in seen[:-1])


def test_an_estimate_follows_the_measured_rate_and_the_opening() -> None:
    assert eta_s(ROOM, QueueCounters(), 100, None, NOW) == 10
    assert eta_s(ROOM, QueueCounters(rate_per_s=2.0, inside=100), 100, None, NOW) == 50
    assert eta_s(ROOM, QueueCounters(rate_per_s=0.0, inside=100), 100, None, NOW) is None
    later = _room(opens_at=NOW + 30)
    assert eta_s(later, QueueCounters(), 100, Notice.NOT_OPEN, NOW) == 40
    for reason in (Notice.PAUSED, Notice.CLOSED, Notice.SOLD_OUT):
        assert eta_s(ROOM, QueueCounters(), 100, reason, NOW) is None
    assert eta_s(_room(rate_per_s=0.01), QueueCounters(), 10**9, None, NOW) == 86_400


def test_a_single_user_polls_again_at_once() -> None:
    quiet = QueueCounters(called=40, inside=0, rate_per_s=0.0)
    assert eta_s(ROOM, quiet, 1, None, NOW) == 0
    assert poll_after_s(eta_s(ROOM, quiet, 1, None, NOW), 60) == 1
    almost_full = QueueCounters(called=40, inside=99, rate_per_s=0.5)
    assert eta_s(ROOM, almost_full, 1, None, NOW) == 0
    assert eta_s(ROOM, almost_full, 2, None, NOW) == 4


def test_a_distant_user_polls_seldom_but_in_time_for_a_call() -> None:
    waits = [poll_after_s(eta, 60) for eta in (0, 3, 8, 40, 400, 40_000)]
    assert waits == [1, 1, 2, 10, 20, 20]
    assert poll_after_s(None, 60) == 20
    for grace_s in (3, 10, 60, 3_600):
        assert 1 <= poll_after_s(86_400, grace_s) <= max(1, grace_s / 2)


def test_the_most_final_reason_is_returned() -> None:
    assert notice(ROOM, QueueCounters(), NOW) is None
    assert notice(_room(opens_at=NOW + 1), QueueCounters(), NOW) is Notice.NOT_OPEN
    assert notice(_room(mode=Mode.LOBBY), QueueCounters(), NOW) is Notice.NOT_OPEN
    assert notice(_room(is_paused=True, opens_at=NOW + 1), QueueCounters(), NOW) is Notice.PAUSED
    assert notice(_room(is_paused=True), QueueCounters(is_sold_out=True), NOW) is Notice.SOLD_OUT
    assert notice(_room(is_closed=True), QueueCounters(is_sold_out=True), NOW) is Notice.CLOSED


def test_a_lobby_needs_a_room_without_calls() -> None:
    assert apply_change(ROOM, WaitingRoomChange(mode=Mode.LOBBY)).is_lobby
    with pytest.raises(QueueDrawn):
        apply_change(_room(called=1), WaitingRoomChange(mode=Mode.LOBBY))
    # A draw stays drawn, whatever mode is set afterwards.
    drawn = _room(mode=Mode.LOBBY, lobby_size=7, called=3)
    assert apply_change(drawn, WaitingRoomChange(mode=Mode.FIFO)).drawn == 7
    assert apply_change(drawn, WaitingRoomChange(paused=True)).is_paused


def test_settings_that_are_not_given_stay() -> None:
    assert apply_change(ROOM, WaitingRoomChange()) == ROOM
    assert apply_change(ROOM, WaitingRoomChange(rate_per_s=3.0)).rate_per_s == 3.0
    with pytest.raises(Invalid):
        apply_change(ROOM, WaitingRoomChange(grace_s=700))
    with pytest.raises(Invalid):
        apply_change(ROOM, WaitingRoomChange(opens_at=1e12))


def test_a_token_bucket_gives_the_rate_and_no_more() -> None:
    token_bucket = TokenBucket()
    given = 0
    for tick in range(101):
        may = token_bucket.available(NOW + tick * 0.1, 3.0)
        token_bucket.take(may)
        given += may
    # Nothing at first, then three a second; the sums of tenths round down once.
    assert 29 <= given <= 30
    # A long pause does not accumulate tokens.
    assert token_bucket.available(NOW + 10_000, 3.0) == 3
    # A clock that goes back adds no tokens.
    token_bucket.take(3)
    assert token_bucket.available(NOW, 3.0) == 0


def test_the_rate_is_measured_over_half_a_minute() -> None:
    rate_meter = RateMeter()
    assert rate_meter.per_s(NOW, 0) is None
    for second in range(100):
        rate_meter.add(NOW + second, second * 5 if second < 50 else 250)
    assert rate_meter.per_s(NOW + 99, 250) == 0
    assert rules.RATE_WINDOW_S == 30


def test_consecutive_places_are_one_range() -> None:
    assert rules.ranges([], 10) == []
    assert rules.ranges([7, 8, 9, 20, 22, 23], 10) == ["7-9", "20-20", "22-23"]
    assert rules.ranges(range(1, 8), 3) == ["1-3", "4-6", "7-7"]
