"""What all integration tests share."""

from uuid import uuid4

import pytest

from boxoffice.seats.changes import bus


@pytest.fixture(autouse=True)
def channel_of_seat_changes(monkeypatch: pytest.MonkeyPatch) -> str:
    """A channel of this test alone: the servers of other tests publish through the same Valkey.

    A pod that hears of a new peer reads its schedules again, which tests of readings would count.
    """
    channel = f"test:seats:{uuid4().hex}"
    monkeypatch.setattr(bus, "CHANNEL", channel)
    return channel
