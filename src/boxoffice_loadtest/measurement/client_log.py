"""The client's log: the lines that the k6 scenarios print. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import msgspec

# Refusals by business rules; any other status that is not a success is a failure.
REJECTIONS = frozenset({402, 409, 410})
# Answers from memory with few bytes, or with a share of a batch that writes nothing.
_SMALL = frozenset({"concerts", "schedules", "join", "position"})


class LoggedRequest(NamedTuple):
    """One request: when it was sent (epoch, ms), how long it took (ms), and its outcome."""

    what: str
    sent_ms: float
    took_ms: float
    status: int
    code: str

    @property
    def ended_ms(self) -> float:
        """When the answer arrived (epoch, ms)."""
        return self.sent_ms + self.took_ms

    @property
    def is_failure(self) -> bool:
        """Whether it is neither a success nor a business refusal."""
        return not (200 <= self.status < 400 or self.status in REJECTIONS)

    @property
    def is_rejection(self) -> bool:
        """Whether a business rule refused it."""
        return self.status in REJECTIONS

    @property
    def kind(self) -> str:
        """The kind of request for the fit, by the work that it causes.

        A refused hold is a kind of its own. A 304 for a seat map costs as much as any small lookup.
        """
        if self.what == "hold":
            return "hold" if self.status == 201 else "refused"
        is_small = self.what in _SMALL or self.status == 304
        return "lookup" if is_small else self.what


class AcknowledgedHold(NamedTuple):
    """A hold that was answered 201; `user` is a position in the list of users."""

    reservation_id: str
    user: int
    seats: tuple[str, ...]
    key: str
    sent_ms: float
    answered_ms: float


class AcknowledgedPayment(NamedTuple):
    """A payment that was answered 201."""

    payment_id: str
    reservation_id: str
    user: int
    amount: int
    key: str
    answered_ms: float


@dataclass
class ClientLog:
    """What the client sent and was answered in one scenario.

    `lost` has the idempotency keys of commands without an answer, with what they were; `buyers` are the
    users who tried to hold.
    """

    started_ms: float | None = None
    planned_iterations: int = 0
    iterations: int = 0
    began_ms: list[float] = field(default_factory=list)
    requests: list[LoggedRequest] = field(default_factory=list)
    holds: list[AcknowledgedHold] = field(default_factory=list)
    payments: list[AcknowledgedPayment] = field(default_factory=list)
    releases: dict[str, float] = field(default_factory=dict)
    lost: dict[str, str] = field(default_factory=dict)
    lost_releases: set[str] = field(default_factory=set)
    seat_map_bytes: list[int] = field(default_factory=list)
    buyers: set[int] = field(default_factory=set)
    unreadable: int = 0

    @property
    def seats_taken(self) -> set[str]:
        """The seats of all acknowledged holds."""
        return {seat for one in self.holds for seat in one.seats}


def parse(lines: Iterable[bytes]) -> ClientLog:
    """Read the lines of one scenario."""
    log = ClientLog()
    for line in lines:
        add_line(log, line)
    return log


def add_line(log: ClientLog, line: bytes) -> None:
    """Add a line to the log; count it in `unreadable` if it cannot be read."""
    try:
        _add(log, msgspec.json.decode(line))
    except (msgspec.DecodeError, ValueError, TypeError, IndexError, KeyError):
        log.unreadable += 1


def merged(logs: Iterable[ClientLog]) -> ClientLog:
    """Return several logs as one; the start is that of the first."""
    whole = ClientLog()
    for one in logs:
        if whole.started_ms is None:
            whole.started_ms = one.started_ms
        for name in ("iterations", "planned_iterations", "unreadable"):
            setattr(whole, name, getattr(whole, name) + getattr(one, name))
        for name in ("began_ms", "requests", "holds", "payments", "seat_map_bytes"):
            getattr(whole, name).extend(getattr(one, name))
        for name in ("releases", "lost", "lost_releases", "buyers"):
            getattr(whole, name).update(getattr(one, name))
    return whole


def _add(log: ClientLog, line: list[Any]) -> None:
    user, *entries = line
    if user == "start":
        log.started_ms, log.planned_iterations = float(entries[0]), int(entries[1])
        return
    log.iterations += 1
    if entries:
        log.began_ms.append(float(entries[0][1]))
    for entry in entries:
        what, sent_ms, took_ms, status, code, *more = entry
        request = LoggedRequest(str(what), float(sent_ms), float(took_ms), int(status), str(code))
        log.requests.append(request)
        if add_effect := _EFFECTS.get(request.what):
            add_effect(log, int(user), request, more)


def _hold(log: ClientLog, user: int, request: LoggedRequest, more: list[Any]) -> None:
    log.buyers.add(user)
    if request.status == 201:
        key, reservation_id, seats = more
        times = (request.sent_ms, request.ended_ms)
        log.holds.append(AcknowledgedHold(str(reservation_id), user, tuple(seats), key, *times))
    elif more:
        log.lost[more[0]] = "hold"


def _pay(log: ClientLog, user: int, request: LoggedRequest, more: list[Any]) -> None:
    if request.status == 201:
        key, reservation_id, payment_id, amount = more
        log.payments.append(
            AcknowledgedPayment(
                str(payment_id), reservation_id, user, int(amount or 0), key, request.ended_ms
            )
        )
    elif more:
        log.lost[more[0]] = "pay"


def _release(log: ClientLog, _: int, request: LoggedRequest, more: list[Any]) -> None:
    if request.status == 204:
        # Another user may hold the seat before the answer arrives, but not before the request.
        log.releases[more[0]] = request.sent_ms
    elif request.is_failure:
        log.lost_releases.add(more[0])


def _seats(log: ClientLog, _: int, __: LoggedRequest, more: list[Any]) -> None:
    if more:
        log.seat_map_bytes.append(int(more[0]))


_EFFECTS = {"hold": _hold, "pay": _pay, "release": _release, "seats": _seats}


def percentile(ordered: list[float], percent: float) -> float:
    """Return a percentile by the nearest-rank method; 0 for an empty list."""
    if not ordered:
        return 0.0
    return ordered[max(0, -int(-len(ordered) * percent // 100) - 1)]


def by_second(
    requests: Iterable[LoggedRequest], started_ms: float
) -> list[tuple[int, list[LoggedRequest]]]:
    """Return the requests by the second in which they were answered, counted from the start."""
    seconds: dict[int, list[LoggedRequest]] = {}
    for request in requests:
        second = int((request.ended_ms - started_ms) // 1000)
        seconds.setdefault(second, []).append(request)
    return sorted(seconds.items())
