"""The client's own record: the lines that the scenarios print. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import msgspec

# What the business refuses; everything else that is no success is a failure.
REJECTIONS = frozenset({402, 409, 410})


class Answer(NamedTuple):
    """One request: when it was sent (epoch, ms), how long it took (ms), and how it ended."""

    what: str
    sent_ms: float
    took_ms: float
    status: int
    code: str

    @property
    def ended_ms(self) -> float:
        """When the answer was there (epoch, ms)."""
        return self.sent_ms + self.took_ms

    @property
    def is_failure(self) -> bool:
        """Whether the answer is neither a success nor a refusal that the business means."""
        return not (200 <= self.status < 400 or self.status in REJECTIONS)

    @property
    def is_rejection(self) -> bool:
        """Whether the business refused."""
        return self.status in REJECTIONS

    @property
    def kind(self) -> str:
        """Return the kind of request for the fit, by the work that it makes.

        A hold that is refused is another kind than one that is not, and a map that is not sent again is
        a lookup like any other.
        """
        if self.what == "hold":
            return "hold" if self.status == 201 else "refused"
        is_small = self.what in _SMALL or self.status == 304
        return "lookup" if is_small else self.what


# What is answered from memory with few bytes, or for a share of a batch that writes nothing.
_SMALL = frozenset({"concerts", "schedules", "join", "place"})


class HeldByClient(NamedTuple):
    """A hold that was acknowledged: `person` is a position in the list of people."""

    reservation_id: str
    person: int
    seats: tuple[str, ...]
    key: str
    sent_ms: float
    answered_ms: float


class PaidByClient(NamedTuple):
    """A payment that was acknowledged."""

    payment_id: str
    reservation_id: str
    person: int
    amount: int
    key: str
    answered_ms: float


@dataclass
class Record:
    """What the client was told, of one scenario."""

    started_ms: float | None = None
    planned: int = 0
    visits: int = 0
    began_ms: list[float] = field(default_factory=list)
    answers: list[Answer] = field(default_factory=list)
    holds: list[HeldByClient] = field(default_factory=list)
    payments: list[PaidByClient] = field(default_factory=list)
    releases: dict[str, float] = field(default_factory=dict)
    lost: dict[str, str] = field(default_factory=dict)
    lost_releases: set[str] = field(default_factory=set)
    lookup_bytes: list[int] = field(default_factory=list)
    buyers: set[int] = field(default_factory=set)
    unreadable: int = 0

    @property
    def seats_taken(self) -> set[str]:
        """The seats of all acknowledged holds."""
        return {seat for one in self.holds for seat in one.seats}


def parse(lines: Iterable[bytes]) -> Record:
    """Read the lines of one scenario."""
    record = Record()
    for line in lines:
        take_line(record, line)
    return record


def take_line(record: Record, line: bytes) -> None:
    """Add a line to the record; one that cannot be read is counted, never skipped in silence."""
    try:
        _take(record, msgspec.json.decode(line))
    except (msgspec.DecodeError, ValueError, TypeError, IndexError, KeyError):
        record.unreadable += 1


def merged(records: Iterable[Record]) -> Record:
    """Return several records as one; the start is that of the first."""
    whole = Record()
    for one in records:
        if whole.started_ms is None:
            whole.started_ms = one.started_ms
        whole.visits += one.visits
        whole.planned += one.planned
        whole.unreadable += one.unreadable
        for name in ("began_ms", "answers", "holds", "payments", "lookup_bytes"):
            getattr(whole, name).extend(getattr(one, name))
        whole.releases.update(one.releases)
        whole.lost.update(one.lost)
        whole.lost_releases |= one.lost_releases
        whole.buyers |= one.buyers
    return whole


def _take(record: Record, line: list[Any]) -> None:
    person, *entries = line
    if person == "start":
        record.started_ms, record.planned = float(entries[0]), int(entries[1])
        return
    record.visits += 1
    if entries:
        record.began_ms.append(float(entries[0][1]))
    for entry in entries:
        what, sent_ms, took_ms, status, code, *more = entry
        answer = Answer(str(what), float(sent_ms), float(took_ms), int(status), str(code))
        record.answers.append(answer)
        _EFFECTS.get(answer.what, _nothing)(record, int(person), answer, more)


def _hold(record: Record, person: int, answer: Answer, more: list[Any]) -> None:
    record.buyers.add(person)
    if answer.status == 201:
        key, reservation_id, seats = more
        times = (answer.sent_ms, answer.ended_ms)
        record.holds.append(HeldByClient(str(reservation_id), person, tuple(seats), key, *times))
    elif more:
        record.lost[more[0]] = "hold"


def _pay(record: Record, person: int, answer: Answer, more: list[Any]) -> None:
    if answer.status == 201:
        key, reservation_id, payment_id, amount = more
        one = PaidByClient(
            str(payment_id), reservation_id, person, int(amount or 0), key, answer.ended_ms
        )
        record.payments.append(one)
    elif more:
        record.lost[more[0]] = "pay"


def _release(record: Record, _: int, answer: Answer, more: list[Any]) -> None:
    if answer.status == 204:
        # The seat may be somebody else's before the answer arrives, but not before it was asked for.
        record.releases[more[0]] = answer.sent_ms
    elif answer.is_failure:
        record.lost_releases.add(more[0])


def _look(record: Record, _: int, answer: Answer, more: list[Any]) -> None:
    if more and answer.what == "seats":
        record.lookup_bytes.append(int(more[0]))


def _nothing(_record: Record, _person: int, _answer: Answer, _more: list[Any]) -> None:
    """Leave what has no effect worth keeping."""


_EFFECTS = {"hold": _hold, "pay": _pay, "release": _release, "seats": _look}


def percentile(ordered: list[float], percent: float) -> float:
    """Return the smallest value that `percent` of the values do not exceed; 0 of none."""
    if not ordered:
        return 0.0
    return ordered[max(0, -int(-len(ordered) * percent // 100) - 1)]


def by_second(answers: Iterable[Answer], started_ms: float) -> list[tuple[int, list[Answer]]]:
    """Return the answers by the second in which they came, counted from the start."""
    seconds: dict[int, list[Answer]] = {}
    for answer in answers:
        seconds.setdefault(int((answer.ended_ms - started_ms) // 1000), []).append(answer)
    return sorted(seconds.items())
