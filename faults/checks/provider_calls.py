"""Whether a payment of unknown outcome was ever sent under another key or to another provider. Pure.

An attempt is over when its provider has refused it, or when its first call was certainly not sent. The
cashier's look-ups end attempts as well and are not recorded; for those the providers' books decide.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from itertools import pairwise
from typing import Any

import msgspec

_CONCLUSIVE = frozenset({"declined", "done"})
_NOT_SENT = frozenset({"unavailable", "misconfigured"})


class ConfirmCall(msgspec.Struct, frozen=True):
    """A call that confirms an intent; `outcome` is None where no answer was recorded."""

    order_id: str
    reservation_id: str
    intent_provider: str
    closed_at: datetime | None
    provider: str
    key: str
    begun_at: datetime
    outcome: str | None
    answered_at: datetime | None


def sent_elsewhere(
    calls: Sequence[ConfirmCall], books: Mapping[str, Iterable[Mapping[str, Any]]]
) -> list[str]:
    """Return what is wrong with the calls of a sale; `books` are movements by provider."""
    captured = Counter(
        one["order_id"] for book in books.values() for one in book if one["kind"] == "capture"
    )
    ordered = sorted(calls, key=lambda one: one.begun_at)
    broken = [
        f"{one.order_id} is of {one.intent_provider} and was sent to {one.provider}"
        for one in ordered
        if one.provider != one.intent_provider
    ]
    broken += [f"{order} was captured {n} times" for order, n in captured.items() if n > 1]
    for order, own in _grouped(ordered, "order_id").items():
        broken += _rekeyed(order, own, is_captured=bool(captured[order]))
    for reservation, own in _grouped(ordered, "reservation_id").items():
        broken += _moved(reservation, own, captured)
    return broken


def _grouped(calls: Iterable[ConfirmCall], name: str) -> dict[str, list[ConfirmCall]]:
    groups = defaultdict(list)
    for one in calls:
        groups[getattr(one, name)].append(one)
    return groups


def _rekeyed(order: str, calls: Sequence[ConfirmCall], *, is_captured: bool) -> list[str]:
    """Attempts of an intent follow each other; an unknown one was not captured beside a later one."""
    attempts = list(_grouped(calls, "key").values())
    broken = []
    for former, later in pairwise(attempts):
        if former[-1].begun_at > later[0].begun_at:
            broken.append(f"{order} was sent under {former[0].key} again after {later[0].key}")
        elif is_captured and not _is_over(former, later[0].begun_at) and not _done(later):
            broken.append(f"{order} was captured under {former[0].key} and sent under another key")
    return broken


def _is_over(attempt: Sequence[ConfirmCall], before: datetime) -> bool:
    """Say whether an attempt was known to have failed at a time."""
    ended = [one for one in attempt if one.answered_at is not None and one.answered_at <= before]
    first = attempt[0]
    return any(one.outcome in _CONCLUSIVE for one in ended) or (
        len(attempt) == 1 and first in ended and first.outcome in _NOT_SENT
    )


def _done(attempt: Sequence[ConfirmCall]) -> bool:
    """Say whether an attempt may have been the one that was captured."""
    return any(one.outcome not in (*_NOT_SENT, "declined") for one in attempt)


def _moved(
    reservation: str, calls: Sequence[ConfirmCall], captured: Mapping[str, int]
) -> list[str]:
    """Intents of a reservation follow each other, and one of them is captured at most."""
    intents = list(_grouped(calls, "order_id").values())
    broken = []
    for former, later in pairwise(intents):
        closed_at = former[0].closed_at
        if closed_at is None or closed_at > later[0].begun_at:
            broken.append(
                f"{later[0].order_id} was sent to {later[0].provider} before {former[0].order_id} "
                f"at {former[0].provider} had ended"
            )
    paid = [own[0].order_id for own in intents if captured.get(own[0].order_id)]
    if len(paid) > 1:
        broken.append(f"reservation {reservation} was captured as {' and '.join(paid)}")
    return broken
