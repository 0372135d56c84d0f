"""Which changes are known since when, on a clock that the test sets."""

import math
from uuid import UUID, uuid4

import pytest

from boxoffice.seats.cache import recent
from boxoffice.seats.cache.recent import RecentChanges
from boxoffice.seats.cache.states import SOLD, PositionChange

ONE, OTHER = uuid4(), uuid4()


class Watch:
    """The log of changes, its clock, and whether it is wanted."""

    def __init__(self) -> None:
        self.now_s = 100.0
        self.is_wanted = True
        self.changes = RecentChanges(lambda: self.now_s, lambda: self.is_wanted)

    def note(self, version: int, schedule_id: UUID = ONE) -> None:
        self.changes.note(schedule_id, [PositionChange(0, SOLD, 0.0, version, 7)])

    def versions(self, since: float) -> list[int]:
        return [change.version for change in self.changes.since(ONE, since)]


@pytest.fixture
def watch() -> Watch:
    watch = Watch()
    watch.note(1)
    return watch


def test_the_changes_of_one_schedule_since_a_time(watch: Watch) -> None:
    watch.now_s += 1
    watch.note(2)
    watch.note(9, OTHER)
    assert watch.changes.complete_since(ONE) == 100.0
    assert watch.versions(99.0) == [1, 2]
    assert watch.versions(100.0) == [2]


def test_old_changes_are_dropped_and_not_claimed_to_be_known(watch: Watch) -> None:
    for version in range(2, 12):
        watch.now_s += 1
        watch.note(version)
        since = watch.changes.complete_since(ONE)
        assert watch.now_s - since <= 2 * recent._KEPT_S
        assert watch.versions(since) == [v for v in range(1, version + 1) if 99 + v > since]


def test_very_many_changes_are_bounded(watch: Watch, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recent, "_CHANGES_MAX", 10)
    for version in range(2, 100):
        watch.now_s += 0.001
        watch.note(version)
    since = watch.changes.complete_since(ONE)
    known = watch.versions(0.0)
    assert 10 <= len(known) <= 22
    assert known == watch.versions(since - 0.0005)


def test_what_was_missed_is_not_known_before(watch: Watch) -> None:
    watch.now_s += 1
    watch.changes.miss(ONE)
    assert watch.changes.complete_since(ONE) == 101.0
    assert watch.changes.complete_since(OTHER) == 100.0
    watch.now_s += 1
    watch.changes.miss_all()
    assert watch.changes.complete_since(ONE) == watch.changes.complete_since(OTHER) == 102.0


def test_nothing_is_kept_while_it_is_not_wanted(watch: Watch) -> None:
    watch.is_wanted = False
    watch.note(2)
    watch.changes.miss(ONE)
    assert watch.changes.complete_since(ONE) == math.inf
    watch.is_wanted = True
    watch.now_s += 1
    assert watch.changes.complete_since(ONE) == 101.0, "what came between is not known"
    assert watch.versions(0.0) == []
