"""Whether the client's record and the database say the same, in both directions. Pure."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from boxoffice_loadtest.measurement.client_log import HeldByClient, Record
from boxoffice_loadtest.model import Finding

_SAMPLES_MAX = 10
# A hold that lapses is free from the instant that the database says; the client's clock is another.
_CLOCK_SLACK_MS = 1_000


@dataclass(frozen=True)
class StoredHold:
    """A reservation as the database, or the API, has it."""

    reservation_id: str
    user_id: str
    seats: tuple[str, ...]
    status: str
    key: str | None = None


@dataclass(frozen=True)
class StoredPayment:
    """A payment as the database, or the API, has it."""

    payment_id: str
    reservation_id: str
    user_id: str
    amount: int
    key: str | None = None


@dataclass(frozen=True)
class Stored:
    """What is there of this run's people; `hold_ttl_s` is the schedule's.

    `is_keyed` says whether the idempotency keys are known: without them a lost answer can be counted,
    but not matched with what it did. `is_whole` is false where not everything could be read.
    """

    holds: Sequence[StoredHold]
    payments: Sequence[StoredPayment]
    hold_ttl_s: float
    is_keyed: bool = True
    is_whole: bool = True


@dataclass
class _Findings:
    found: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))

    def add(self, kind: str, sample: str) -> None:
        self.found[kind].append(sample)


# What breaks a promise; the rest is told, and explained.
BROKEN = (
    "phantom_hold",
    "phantom_payment",
    "hold_differs",
    "payment_differs",
    "paid_not_confirmed",
    "release_not_done",
    "seat_held_twice",
    "seat_sold_twice",
    "unexplained_hold",
    "unexplained_payment",
    "unreadable",
)
TOLD = ("lost_answer", "lost_hold", "lost_payment", "interrupted")


def compare(
    record: Record, stored: Stored, user_ids: Sequence[str], *, interrupted: bool = False
) -> list[Finding]:
    """Return every kind of disagreement with its count, those without one included.

    An interrupted run cuts requests off before their answers are written down: what they did is told
    as such.
    """
    found = _Findings()
    _acknowledged_is_there(record, stored, user_ids, found)
    _there_is_acknowledged(record, stored, found, interrupted=interrupted)
    _no_seat_twice(record, stored, found)
    for key, what in record.lost.items():
        found.add("lost_answer", f"{what} {key}")
    found.found["unreadable"] = ["a line of the record"] * record.unreadable
    if interrupted and record.unreadable:
        found.found["interrupted"] += found.found.pop("unreadable")
    return [_finding(kind, found.found.get(kind, [])) for kind in (*BROKEN, *TOLD)]


def _finding(kind: str, samples: list[str]) -> Finding:
    is_broken = kind in BROKEN and bool(samples)
    return Finding(
        kind=kind, count=len(samples), samples=samples[:_SAMPLES_MAX], is_broken=is_broken
    )


def _acknowledged_is_there(
    record: Record, stored: Stored, user_ids: Sequence[str], found: _Findings
) -> None:
    """Phantom successes: what the client was promised and nobody kept."""
    holds = {one.reservation_id: one for one in stored.holds}
    payments = {one.payment_id: one for one in stored.payments}
    for told in record.holds:
        kept = holds.get(told.reservation_id)
        if kept is None:
            found.add("phantom_hold", f"{told.reservation_id} seats {' '.join(told.seats)}")
        elif kept.user_id != user_ids[told.person] or set(kept.seats) != set(told.seats):
            found.add("hold_differs", told.reservation_id)
    for paid in record.payments:
        kept_payment = payments.get(paid.payment_id)
        if kept_payment is None:
            found.add("phantom_payment", f"{paid.payment_id} for {paid.reservation_id}")
            continue
        there = (kept_payment.reservation_id, kept_payment.user_id, kept_payment.amount)
        if there != (paid.reservation_id, user_ids[paid.person], paid.amount):
            found.add("payment_differs", paid.payment_id)
        hold = holds.get(paid.reservation_id)
        if hold is not None and hold.status != "CONFIRMED":
            found.add("paid_not_confirmed", f"{paid.reservation_id} is {hold.status}")
    for reservation_id in record.releases:
        hold = holds.get(reservation_id)
        if hold is not None and hold.status != "CANCELLED":
            found.add("release_not_done", f"{reservation_id} is {hold.status}")


def _there_is_acknowledged(
    record: Record, stored: Stored, found: _Findings, *, interrupted: bool
) -> None:
    """What the database has of this run and the client was not told, unless the answer was lost."""
    told = {one.reservation_id for one in record.holds}
    paid = {one.payment_id for one in record.payments}
    # Without keys any lost answer may have been the one; each explains one row, and no more.
    spare = {kind: _count(record.lost.values(), kind) for kind in ("hold", "pay")}
    things = [("hold", one.reservation_id, one.key) for one in stored.holds]
    things += [("pay", one.payment_id, one.key) for one in stored.payments]
    for what, own_id, key in things:
        if own_id in (told if what == "hold" else paid):
            continue
        name = "hold" if what == "hold" else "payment"
        if _is_explained(record, stored, what, key, spare):
            found.add(f"lost_{name}", f"{own_id} {key or ''}".strip())
        elif interrupted:
            found.add("interrupted", f"{name} {own_id}")
        else:
            found.add(f"unexplained_{name}", f"{own_id} {key or ''}".strip())


def _is_explained(
    record: Record, stored: Stored, what: str, key: str | None, spare: dict[str, int]
) -> bool:
    if stored.is_keyed:
        return key in record.lost
    spare[what] -= 1
    return spare[what] >= 0


def _count(values: Iterable[str], wanted: str) -> int:
    return sum(value == wanted for value in values)


def _no_seat_twice(record: Record, stored: Stored, found: _Findings) -> None:
    """Oversell, from what the client was told alone, and from what the database has sold."""
    ended = _ends(record, stored)
    by_seat: dict[str, list[HeldByClient]] = defaultdict(list)
    # A repetition under the same key is answered with the same hold again.
    for one in {hold.reservation_id: hold for hold in record.holds}.values():
        for seat in one.seats:
            by_seat[seat].append(one)
    paid = {one.reservation_id for one in record.payments}
    for seat, holds in by_seat.items():
        holds.sort(key=lambda one: one.answered_ms)
        if sum(one.reservation_id in paid for one in holds) > 1:
            found.add("seat_sold_twice", seat)
        # Where the answer came when the hold had lapsed, the seat was somebody's before, not then.
        surely = [one for one in holds if one.answered_ms < ended[one.reservation_id]]
        for before, after in pairwise(surely):
            if after.answered_ms + _CLOCK_SLACK_MS < ended[before.reservation_id]:
                found.add("seat_held_twice", seat)
    sold = Counter(
        seat for kept in stored.holds if kept.status == "CONFIRMED" for seat in kept.seats
    )
    found.found["seat_sold_twice"] += [seat for seat, times in sold.items() if times > 1]


def _ends(record: Record, stored: Stored) -> dict[str, float]:
    """When each acknowledged hold could be somebody else's again (epoch, ms)."""
    paid = {one.reservation_id for one in record.payments}
    ttl_ms = stored.hold_ttl_s * 1000
    ends = {}
    for one in record.holds:
        if one.reservation_id in paid:
            ends[one.reservation_id] = float("inf")
        elif one.reservation_id in record.lost_releases:
            ends[one.reservation_id] = 0.0
        else:
            lapse = one.sent_ms + ttl_ms
            ends[one.reservation_id] = min(record.releases.get(one.reservation_id, lapse), lapse)
    return ends
