"""The comparison of a provider's statement with our books. Pure.

A movement is found by its key. The statement and the books may date a movement differently, so both are
read with an overlap around the compared window; a finding belongs to the window in which its movement
lies. A movement that is younger than the statement's lag is not missed there.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

from boxoffice.payments.providers.port import Movement, StatementLine
from boxoffice.payments.refunds.policy import start_of_day

FindingKind = Literal[
    "missing_here", "missing_there", "amount", "currency", "foreign_cancel", "unknown_order"
]
# A look-up and the settlement of its answer end these; the others wait for an operator.
HEALING = frozenset({"missing_here", "missing_there"})
_HOURS_CAUGHT_UP = 48
_DAYS_CAUGHT_UP = 7
_TOWARDS_US = frozenset({"capture", "refund_failed", "dispute_won"})


@dataclass(frozen=True, slots=True)
class StatementWindow:
    """The times that are compared: `since` ≤ time < `until`."""

    since: datetime
    until: datetime

    def contains(self, moment: datetime) -> bool:
        """Return whether a time lies in the window."""
        return self.since <= moment < self.until

    def widened(self, overlap: timedelta) -> "StatementWindow":
        """Return the window that is read so that differently dated movements meet."""
        return StatementWindow(self.since - overlap, self.until + overlap)


@dataclass(frozen=True, slots=True)
class AwaitedRefund:
    """A refund of ours whose outcome is not booked yet."""

    payment_key: str
    amount_minor: int


@dataclass(frozen=True, slots=True)
class Books:
    """What we know: booked movements, refunds under way, and the ids and keys of our orders."""

    movements: Sequence[Movement]
    awaited: Sequence[AwaitedRefund]
    orders: Collection[str]


@dataclass(frozen=True, slots=True)
class StatementFinding:
    """A difference; `there_minor` and `here_minor` are signed, positive towards us."""

    kind: FindingKind
    key: str
    movement: str
    currency: str
    happened_at: datetime
    there_minor: int | None
    here_minor: int | None
    order_id: str | None = None
    payment_key: str | None = None


@dataclass(frozen=True, slots=True)
class StatementTotal:
    """Sums of a window by kind of movement and currency, signed as in `StatementFinding`."""

    movement: str
    currency: str
    there_minor: int
    here_minor: int


def day_window(day: date, zone: ZoneInfo) -> StatementWindow:
    """Return a day of the provider's calendar."""
    return StatementWindow(start_of_day(day, zone), start_of_day(day + timedelta(days=1), zone))


def compare(
    lines: Iterable[StatementLine], books: Books, window: StatementWindow, expected_before: datetime
) -> list[StatementFinding]:
    """Return the differences of a window, by time and key.

    `lines` and `books` cover more than the window. A movement of ours must be in the statement if it
    happened before `expected_before`.
    """
    here = {movement.key: movement for movement in books.movements}
    there: dict[str, StatementLine] = {}
    findings: list[StatementFinding] = []
    for line in lines:
        first = there.setdefault(line.movement.key, line)
        findings += _differences(line, first.movement)
    awaited = Counter(books.awaited)
    for key, line in sorted(there.items(), key=lambda one: (one[1].movement.happened_at, one[0])):
        if key in here:
            findings += _differences(line, here[key])
        else:
            findings.append(_not_here(line, books, awaited))
    findings += (_not_there(one) for key, one in here.items() if key not in there)
    found = {one for one in findings if _counts(one, window, expected_before)}
    return sorted(found, key=lambda one: (one.happened_at, one.key, one.kind))


def totals(
    lines: Iterable[StatementLine], movements: Iterable[Movement], window: StatementWindow
) -> list[StatementTotal]:
    """Return the sums of a window on both sides; a repeated line counts once."""
    unique = {line.movement.key: line.movement for line in reversed(list(lines))}
    there = _sums(unique.values(), window)
    here = _sums(movements, window)
    return [
        StatementTotal(kind, currency, there[kind, currency], here[kind, currency])
        for kind, currency in sorted({*there, *here})
    ]


def signed_minor(movement: Movement) -> int:
    """Return the amount of a movement, positive towards us."""
    is_ours = movement.kind in _TOWARDS_US
    return movement.amount_minor if is_ours else -movement.amount_minor


def _sums(movements: Iterable[Movement], window: StatementWindow) -> Counter[tuple[str, str]]:
    sums: Counter[tuple[str, str]] = Counter()
    for one in movements:
        if window.contains(one.happened_at):
            sums[one.kind, one.currency] += signed_minor(one)
    return sums


def _counts(finding: StatementFinding, window: StatementWindow, expected_before: datetime) -> bool:
    if finding.kind == "missing_there" and finding.happened_at >= expected_before:
        return False
    return window.contains(finding.happened_at)


def _differences(line: StatementLine, other: Movement) -> Iterator[StatementFinding]:
    if line.movement.currency != other.currency:
        yield _finding("currency", line, other)
    elif signed_minor(line.movement) != signed_minor(other):
        yield _finding("amount", line, other)


def _not_here(
    line: StatementLine, books: Books, awaited: Counter[AwaitedRefund]
) -> StatementFinding:
    if line.order_id not in books.orders and line.payment_key not in books.orders:
        return _finding("unknown_order", line, None)
    if line.movement.kind != "refund":
        return _finding("missing_here", line, None)
    refund = AwaitedRefund(line.payment_key, line.movement.amount_minor)
    if awaited[refund] == 0:
        return _finding("foreign_cancel", line, None)
    awaited[refund] -= 1
    return _finding("missing_here", line, None)


def _not_there(movement: Movement) -> StatementFinding:
    return StatementFinding(
        kind="missing_there",
        key=movement.key,
        movement=movement.kind,
        currency=movement.currency,
        happened_at=movement.happened_at,
        there_minor=None,
        here_minor=signed_minor(movement),
    )


def _finding(kind: FindingKind, line: StatementLine, here: Movement | None) -> StatementFinding:
    return StatementFinding(
        kind=kind,
        key=line.movement.key,
        movement=line.movement.kind,
        currency=line.movement.currency,
        happened_at=line.movement.happened_at,
        there_minor=signed_minor(line.movement),
        here_minor=None if here is None else signed_minor(here),
        order_id=line.order_id,
        payment_key=line.payment_key,
    )


@dataclass(frozen=True, slots=True)
class DueRun:
    """A window that is to be compared: an hour, or a day of the provider's calendar."""

    kind: Literal["hour", "day"]
    window: StatementWindow


def due_runs(
    now: datetime,
    compared: Collection[tuple[str, datetime]],
    zone: ZoneInfo,
    lag: timedelta,
    lost_since: datetime | None = None,
) -> list[DueRun]:
    """Return the windows that have ended `lag` ago and were not compared, the oldest first.

    `compared` has the kinds and beginnings of finished runs. Hours are caught up for two days, days for
    a week, and all days since `lost_since`, where the database was restored; other gaps are for an
    operator.
    """
    ended = now - lag
    hour = ended.replace(minute=0, second=0, microsecond=0)
    hours = [hour - timedelta(hours=back) for back in range(1, _HOURS_CAUGHT_UP + 1)]
    today = ended.astimezone(zone).date()
    lost = 0 if lost_since is None else (today - lost_since.astimezone(zone).date()).days
    # guard: statement_of_all_that_a_restore_lost: max(_DAYS_CAUGHT_UP, lost) => _DAYS_CAUGHT_UP
    days = [today - timedelta(days=back) for back in range(1, max(_DAYS_CAUGHT_UP, lost) + 1)]
    due = [DueRun("hour", StatementWindow(at, at + timedelta(hours=1))) for at in hours]
    due += [DueRun("day", day_window(day, zone)) for day in days]
    waiting = (one for one in due if (one.kind, one.window.since) not in compared)
    return sorted(waiting, key=lambda one: (one.window.since, one.kind))
