"""Identities of people without an account, and how many may join from one address."""

from uuid import uuid4

import msgspec
import pytest

from boxoffice.errors import TooMany
from boxoffice.platform.ids import new_id
from boxoffice.settings import WaitingRoomSettings
from boxoffice.waiting_room.anonymous.limits import JoinLimits
from boxoffice.waiting_room.anonymous.rules import (
    anonymous_id,
    is_anonymous,
    keeps_earlier_number,
)
from boxoffice.waiting_room.rules import Mode, WaitingRoomState

SECRET = "a" * 32
ROOM = WaitingRoomState(
    schedule_id=uuid4(), mode=Mode.FIFO, is_paused=False, is_closed=False, rate_per_s=1.0,
    inside_max=1, inside_s=60, grace_s=60, opens_at=0.0, seed=b"s" * 32, lobby_size=None, epoch=1,
    numbers_to=10, joined=0, called=0, allows_anonymous=True, anonymous_key=b"k" * 16,
)  # fmt: skip


def test_a_secret_has_one_identity_per_room() -> None:
    other = msgspec.structs.replace(ROOM, anonymous_key=b"l" * 16)
    assert anonymous_id(ROOM, SECRET) == anonymous_id(ROOM, SECRET)
    assert (
        len({anonymous_id(ROOM, SECRET), anonymous_id(ROOM, "b" * 32), anonymous_id(other, SECRET)})
        == 3
    )


def test_no_account_is_anonymous() -> None:
    found = anonymous_id(ROOM, SECRET)
    assert (found.version, found.variant) == (8, uuid4().variant)
    assert is_anonymous(found)
    assert not any(is_anonymous(one) for one in (new_id(), uuid4()))


def test_an_account_keeps_the_earlier_number_where_nothing_is_drawn() -> None:
    rooms = [
        ROOM,
        msgspec.structs.replace(ROOM, mode=Mode.LOBBY),
        msgspec.structs.replace(ROOM, mode=Mode.LOBBY, lobby_size=5),
        msgspec.structs.replace(ROOM, lobby_size=5),
    ]
    assert [keeps_earlier_number(one) for one in rooms] == [True, False, False, False]


def test_an_address_joins_so_often_in_a_window(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("boxoffice.waiting_room.anonymous.limits._WINDOWS_MAX", 2)
    now = 0.0
    settings = WaitingRoomSettings(queue_anonymous_joins_max=2, queue_anonymous_joins_window_s=60)
    limits = JoinLimits(settings, lambda: now)
    for address in ("10.0.0.1", "10.0.0.1", "10.0.0.2"):
        limits.count(address)
    now = 20.0
    with pytest.raises(TooMany) as refused:
        limits.count("10.0.0.1")
    assert refused.value.extra["retry_after_s"] == 40
    now = 60.0
    limits.count("10.0.0.1")
    # Of more addresses than are counted, the oldest begins anew.
    limits.count("10.0.0.3")
    limits.count("10.0.0.4")
    assert len(limits._windows) == 2
