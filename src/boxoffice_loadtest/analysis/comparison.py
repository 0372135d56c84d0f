"""Compares the client's log with the database, in both directions. Pure."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from boxoffice_loadtest.measurement.client_log import (
    AcknowledgedHold,
    AcknowledgedPayment,
    ClientLog,
)
from boxoffice_loadtest.model import Finding

_SAMPLES_MAX = 10
# A hold expires by the database's clock, which may differ from the client's.
_CLOCK_SLACK_MS = 1_000
# Broken promises; the explained kinds are counted and reported only.
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
EXPLAINED = ("lost_answer", "lost_hold", "lost_payment", "interrupted")


@dataclass(frozen=True)
class StoredHold:
    """A reservation in the database or in the API."""

    reservation_id: str
    user_id: str
    seats: tuple[str, ...]
    status: str
    key: str | None = None


@dataclass(frozen=True)
class StoredPayment:
    """A payment in the database or in the API."""

    payment_id: str
    reservation_id: str
    user_id: str
    amount: int
    key: str | None = None


@dataclass(frozen=True)
class ServerState:
    """The holds and payments of this run's users; `hold_ttl_s` is the schedule's.

    Without idempotency keys (`is_keyed`) a lost answer can be counted, but not matched with its effect.
    `is_whole` is false if not everything could be read.
    """

    holds: Sequence[StoredHold]
    payments: Sequence[StoredPayment]
    hold_ttl_s: float
    is_keyed: bool = True
    is_whole: bool = True


def compare(
    log: ClientLog, state: ServerState, user_ids: Sequence[str], *, interrupted: bool = False
) -> list[Finding]:
    """Return every kind of disagreement with its count, zero included.

    An interrupted run cuts requests off before their answers are logged; their effects are counted as
    `interrupted`.
    """
    return _Comparison(log, state, user_ids, interrupted=interrupted).findings()


@dataclass
class _Comparison:
    """One comparison; `found` has the samples of each kind."""

    log: ClientLog
    state: ServerState
    user_ids: Sequence[str]
    interrupted: bool = field(kw_only=True)
    found: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))

    def __post_init__(self) -> None:
        self.stored_holds = {one.reservation_id: one for one in self.state.holds}
        self.stored_payments = {one.payment_id: one for one in self.state.payments}
        self.paid = {one.reservation_id for one in self.log.payments}

    def findings(self) -> list[Finding]:
        """Compare and return the findings."""
        for hold in self.log.holds:
            self._check_hold(hold)
        for payment in self.log.payments:
            self._check_payment(payment)
        for reservation_id in self.log.releases:
            self._check_release(reservation_id)
        self._check_unacknowledged()
        self._check_held_twice()
        self._check_sold_twice()
        for key, what in self.log.lost.items():
            self._add("lost_answer", f"{what} {key}")
        kind = "interrupted" if self.interrupted else "unreadable"
        self.found[kind] += ["a line of the log"] * self.log.unreadable
        return [self._finding(kind) for kind in (*BROKEN, *EXPLAINED)]

    def _add(self, kind: str, sample: str) -> None:
        self.found[kind].append(sample)

    def _finding(self, kind: str) -> Finding:
        samples = self.found.get(kind, [])
        is_broken = kind in BROKEN and bool(samples)
        return Finding(
            kind=kind, count=len(samples), samples=samples[:_SAMPLES_MAX], is_broken=is_broken
        )

    def _check_hold(self, hold: AcknowledgedHold) -> None:
        stored = self.stored_holds.get(hold.reservation_id)
        if stored is None:
            self._add("phantom_hold", f"{hold.reservation_id} seats {' '.join(hold.seats)}")
        elif stored.user_id != self.user_ids[hold.user] or set(stored.seats) != set(hold.seats):
            self._add("hold_differs", hold.reservation_id)

    def _check_payment(self, payment: AcknowledgedPayment) -> None:
        stored = self.stored_payments.get(payment.payment_id)
        if stored is None:
            self._add("phantom_payment", f"{payment.payment_id} for {payment.reservation_id}")
            return
        expected = (payment.reservation_id, self.user_ids[payment.user], payment.amount)
        if (stored.reservation_id, stored.user_id, stored.amount) != expected:
            self._add("payment_differs", payment.payment_id)
        hold = self.stored_holds.get(payment.reservation_id)
        if hold is not None and hold.status != "CONFIRMED":
            self._add("paid_not_confirmed", f"{payment.reservation_id} is {hold.status}")

    def _check_release(self, reservation_id: str) -> None:
        hold = self.stored_holds.get(reservation_id)
        if hold is not None and hold.status != "CANCELLED":
            self._add("release_not_done", f"{reservation_id} is {hold.status}")

    def _check_unacknowledged(self) -> None:
        """Find stored holds and payments without an acknowledgement and without a lost answer."""
        # Without keys each lost answer explains one stored row of its kind.
        unmatched = Counter(self.log.lost.values())
        for what, stored_id, key in self._unacknowledged():
            name = "hold" if what == "hold" else "payment"
            if self.state.is_keyed:
                is_explained = key in self.log.lost
            else:
                unmatched[what] -= 1
                is_explained = unmatched[what] >= 0
            if is_explained:
                self._add(f"lost_{name}", f"{stored_id} {key or ''}".strip())
            elif self.interrupted:
                self._add("interrupted", f"{name} {stored_id}")
            else:
                self._add(f"unexplained_{name}", f"{stored_id} {key or ''}".strip())

    def _unacknowledged(self) -> Iterator[tuple[str, str, str | None]]:
        holds = {one.reservation_id for one in self.log.holds}
        payments = {one.payment_id for one in self.log.payments}
        for hold in self.state.holds:
            if hold.reservation_id not in holds:
                yield "hold", hold.reservation_id, hold.key
        for payment in self.state.payments:
            if payment.payment_id not in payments:
                yield "pay", payment.payment_id, payment.key

    def _check_held_twice(self) -> None:
        """Find oversold seats in the client's log alone."""
        ends = _ends(self.log, self.state)
        for seat, holds in _holds_by_seat(self.log).items():
            if sum(one.reservation_id in self.paid for one in holds) > 1:
                self._add("seat_sold_twice", seat)
            # An answer that arrived after its hold expired says nothing about that moment.
            valid = [one for one in holds if one.answered_ms < ends[one.reservation_id]]
            for before, after in pairwise(valid):
                if after.answered_ms + _CLOCK_SLACK_MS < ends[before.reservation_id]:
                    self._add("seat_held_twice", seat)

    def _check_sold_twice(self) -> None:
        """Find oversold seats in the database."""
        sold = Counter(
            seat for hold in self.state.holds if hold.status == "CONFIRMED" for seat in hold.seats
        )
        self.found["seat_sold_twice"] += [seat for seat, times in sold.items() if times > 1]


def _holds_by_seat(log: ClientLog) -> dict[str, list[AcknowledgedHold]]:
    """Return the holds of each seat, in the order of their answers."""
    by_seat: dict[str, list[AcknowledgedHold]] = defaultdict(list)
    # A retry with the same key is answered with the same hold.
    distinct = {one.reservation_id: one for one in log.holds}.values()
    for hold in sorted(distinct, key=lambda one: one.answered_ms):
        for seat in hold.seats:
            by_seat[seat].append(hold)
    return by_seat


def _ends(log: ClientLog, state: ServerState) -> dict[str, float]:
    """Return when the seats of each acknowledged hold are free again (epoch, ms)."""
    paid = {one.reservation_id for one in log.payments}
    ttl_ms = state.hold_ttl_s * 1000
    ends = {}
    for one in log.holds:
        if one.reservation_id in paid:
            ends[one.reservation_id] = float("inf")
        elif one.reservation_id in log.lost_releases:
            ends[one.reservation_id] = 0.0
        else:
            expiry = one.sent_ms + ttl_ms
            ends[one.reservation_id] = min(log.releases.get(one.reservation_id, expiry), expiry)
    return ends
