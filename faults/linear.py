"""Whether what the clients were told about each seat can be true of one seat. Pure."""

from collections import defaultdict
from dataclasses import dataclass

from faults.record import History, Operation


@dataclass(frozen=True)
class Violation:
    """A seat whose history no seat can have had, and why, in a sentence."""

    seat: str
    reason: str


def check(history: History) -> list[Violation]:
    """Return the seats that were sold to more than one reservation."""
    sold: dict[str, set[str]] = defaultdict(set)
    for event in history.events:
        if event.operation is Operation.PAID and event.is_known:
            sold[event.seat].add(event.reservation_id)
    return [
        Violation(seat, f"was sold to {len(owners)} reservations")
        for seat, owners in sorted(sold.items())
        if len(owners) > 1
    ]
