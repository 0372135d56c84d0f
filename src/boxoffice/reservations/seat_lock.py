"""The seat lock (분산락): one script call per batch keeps pods from competing for the same seats.

It sheds load and decides nothing. After a crash a claim expires with its time to live, and while Valkey
is unavailable every request goes to PostgreSQL.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import Enum
from uuid import UUID

from boxoffice.platform.postgres.sql_files import read
from boxoffice.platform.valkey import Script, Valkey, ValkeyUnavailable
from boxoffice.reservations import metrics

_CLAIM = Script("claim", read("boxoffice.reservations", "lua/claim.lua"))
_SETTLE = Script("settle", read("boxoffice.reservations", "lua/settle.lua"))

# The mark of a committed hold expires this long before the hold: it must never outlive the hold, and
# the two use different clocks.
_LAPSE_MARGIN_MS = 1_000


class ClaimResult(Enum):
    """The answer of the lock to one request."""

    CLEAR = "clear"
    BUSY = "busy"
    TAKEN = "taken"


@dataclass(frozen=True, slots=True)
class Claim:
    """One request: its owner token and its seats."""

    owner: str
    seat_ids: Sequence[str]


@dataclass(frozen=True, slots=True)
class Claimed:
    """The result of one claim; `taken` names the seats of other owners."""

    answer: ClaimResult
    taken: Sequence[str] = field(default=())


@dataclass(frozen=True, slots=True)
class Settlement:
    """The end of a claim: its seats are taken until `taken_ms` after the claim, 0 if they are free."""

    owner: str
    seat_ids: Sequence[str]
    taken_ms: int = 0


CLEAR = Claimed(ClaimResult.CLEAR)
BUSY = Claimed(ClaimResult.BUSY)


class SeatLock:
    """The lock of all schedules; its calls never raise nor exceed Valkey's deadline."""

    def __init__(self, valkey: Valkey, ttl_ms: int) -> None:
        self._valkey = valkey
        self._ttl_ms = ttl_ms

    async def claim(self, schedule_id: UUID, claims: Sequence[Claim]) -> list[Claimed]:
        """Claim the seats of a batch, all or nothing per request; `CLEAR` while Valkey is away."""
        seats = list(dict.fromkeys(seat for claim in claims for seat in claim.seat_ids))
        if not seats:
            return [CLEAR] * len(claims)
        index = {seat: position for position, seat in enumerate(seats, start=1)}
        args: list[str | int] = [self._ttl_ms, len(claims)]
        for claim in claims:
            args += [claim.owner, len(claim.seat_ids), *(index[seat] for seat in claim.seat_ids)]
        try:
            answers = await self._valkey.run(_CLAIM, _keys(schedule_id, seats), args)
        except ValkeyUnavailable:
            metrics.SEAT_LOCK.labels("away").inc(len(claims))
            return [CLEAR] * len(claims)
        claimed = [_claimed(answer, seats) for answer in answers]
        for one in claimed:
            metrics.SEAT_LOCK.labels(one.answer.value).inc()
        return claimed

    async def settle(self, schedule_id: UUID, settlements: Iterable[Settlement]) -> None:
        """Mark the seats of committed holds and free the others; a lost call expires with the claim."""
        seats: list[str] = []
        ends: list[str | int] = []
        for settlement in settlements:
            seats += _keys(schedule_id, settlement.seat_ids)
            ends += [settlement.owner, settlement.taken_ms] * len(settlement.seat_ids)
        if not seats:
            return
        try:
            await self._valkey.run(_SETTLE, seats, [self._ttl_ms, *ends])
        except ValkeyUnavailable:
            metrics.SEAT_LOCK.labels("unsettled").inc(len(seats))

    @staticmethod
    def taken_ms(hold_ttl_s: float) -> int:
        """Return how long other requests may be refused for a hold of `hold_ttl_s` seconds."""
        return max(0, int(hold_ttl_s * 1000) - _LAPSE_MARGIN_MS)


def _keys(schedule_id: UUID, seat_ids: Sequence[str]) -> list[str]:
    return [f"{{{schedule_id}}}:seat:{seat_id}" for seat_id in seat_ids]


def _claimed(answer: int | list[int], seats: Sequence[str]) -> Claimed:
    if isinstance(answer, list):
        return Claimed(ClaimResult.TAKEN, [seats[position - 1] for position in answer])
    return BUSY if answer else CLEAR
