"""The turns of the lines, in the role `sweep`: seats that return are offered, first come first served.

Any number of workers can run. A turn is one transaction that locks the row of the list: another worker
skips it, and a killed one leaves nothing behind. No turn depends on what an earlier one remembers, so
no lease is needed.
"""

import asyncio
import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from uuid import UUID

from boxoffice.errors import BoxofficeError, Unavailable
from boxoffice.observability.lag import keep_measuring
from boxoffice.observability.logs import log
from boxoffice.observability.rounds import rounds
from boxoffice.observability.tracing import spans
from boxoffice.platform.concurrency.supervision import supervised
from boxoffice.platform.postgres.database import Database
from boxoffice.settings import Settings
from boxoffice.waiting_list import metrics, rules, store
from boxoffice.waiting_list.rules import Returning, ReturningSeat, SeatOffer
from boxoffice.waiting_list.store import Connection, LockedLine, WaitingListStore

ROLE = "waiting_list"

_WAIT_AFTER_FAILURE_MAX_S = 5.0
# Outcomes after which a turn has gone as it should.
_DECIDED = frozenset({"held", "ticket_limit"})
# Refusals of a schedule's offers: the sale is for others now, and the seats return to them.
_REFUSED_BY_OFFERS = frozenset(
    {"presale_only", "quota_exhausted", "price_type_unknown", "companion_required"}
)


@dataclass(frozen=True, slots=True)
class TurnLimits:
    """How long an offer lasts, the entries of one turn, and the most seats of an entry."""

    offer_ttl_s: int
    entries_max: int
    seats_max: int


def limits_of(settings: Settings) -> TurnLimits:
    """Return the limits of a turn."""
    own = settings.waiting_lists
    return TurnLimits(
        own.waiting_list_offer_ttl_s, own.waiting_list_turn_max, settings.holds.seats_per_hold_max
    )


class TurnMoot(BoxofficeError):
    """A seat changed since the turn read it: nothing was done, and the next turn reads again."""


async def serve_once(lists: WaitingListStore, limits: TurnLimits) -> int:
    """Give every line its turn, and return how many entries got an offer.

    Raises `Unavailable` where the database is; an error of one schedule is logged.
    """
    return sum([await _serve(lists, schedule_id, limits) for schedule_id in await lists.due()])


async def run(settings: Settings, stop: asyncio.Event) -> None:
    """Serve the lines until `stop` is set; the pause grows with each failure in a row.

    Raises the error of the first connection to PostgreSQL; later outages only delay it.
    """
    db = Database(settings)
    await db.open()
    rounds.done(ROLE)
    own = settings.waiting_lists
    limits = limits_of(settings)
    lists = WaitingListStore(db)
    every_s = settings.observability.lag_check_interval_ms / 1000
    try:
        async with supervised(
            {"waiting": lambda: keep_measuring(partial(_measure, lists), every_s)}
        ):
            await _turns(lists, limits, own.waiting_list_interval_ms / 1000, stop)
    finally:
        await db.close()


async def _measure(lists: WaitingListStore) -> None:
    metrics.ENTRIES.set(await lists.waiting())


async def _turns(
    lists: WaitingListStore, limits: TurnLimits, interval_s: float, stop: asyncio.Event
) -> None:
    failures = 0
    while not stop.is_set():
        try:
            metrics.OFFERS.inc(await serve_once(lists, limits))
            failures = 0
            rounds.done(ROLE)
        except Exception as error:  # one failed round must not end the role
            failures += 1
            _log_failure(error, failures)
        wait_s = min(interval_s * 2 ** min(failures, 10), _WAIT_AFTER_FAILURE_MAX_S)
        await _wait(stop, max(wait_s, interval_s))


def _log_failure(error: Exception, failures: int) -> None:
    if isinstance(error, Unavailable):
        log.warning("waiting_lists_failed", failures=failures, reason=str(error))
    else:
        log.error("waiting_lists_failed", failures=failures, exc_info=error)


async def _wait(stop: asyncio.Event, seconds: float) -> None:
    # Not `wait_for`: that of Python 3.11 swallows a cancellation that comes with the event.
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await stop.wait()


async def _serve(lists: WaitingListStore, schedule_id: UUID, limits: TurnLimits) -> int:
    """Give one line turns until no entry is left that seats fit; return how many offers were made."""
    offered = 0
    try:
        with spans.span("waiting list"):
            await lists.settle(schedule_id)
            while made := await take_turn(lists, schedule_id, limits):
                offered += made
    except TurnMoot:
        pass
    except Unavailable:
        raise
    except Exception as error:  # the other lines must not wait for this one
        log.error("waiting_list_failed", schedule_id=str(schedule_id), exc_info=error)
    if offered:
        log.info("waiting_list_offered", schedule_id=str(schedule_id), count=offered)
    return offered


async def take_turn(lists: WaitingListStore, schedule_id: UUID, limits: TurnLimits) -> int:
    """Decide about the seats that return now; return how many entries were decided, 0 for none.

    Raises `TurnMoot` where nothing was done, to be tried again.
    """
    async with lists.turn() as connection:
        line = await store.lock_line(connection, schedule_id)
        if line is None:
            return 0
        # guard: line_that_is_over_ends_its_entries => if False:
        if line.is_over or not line.is_on:
            await store.close_entries(connection, schedule_id)
        seats = await store.returning(connection, schedule_id)
        decided = 0
        # guard: line_offers_only_while_it_is_on_sale => if seats:
        if seats and line.is_on and line.is_on_sale and not line.is_over:
            decided = await _offer(connection, schedule_id, line, seats, limits)
        if not decided:
            await _let_go(connection, schedule_id, line, seats)
        return decided


async def offer_put_back(
    connection: Connection, schedule_id: UUID, seat_ids: Sequence[str], limits: TurnLimits
) -> frozenset[str]:
    """Offer seats that this transaction puts back on sale; return those that were offered.

    The transaction has locked them, so no person sees them before the line. What no entry wants is on
    sale with the commit.
    """
    line = await store.wait_for_line(connection, schedule_id)
    # guard: put_back_only_while_it_is_on_sale => if line is None:
    if line is None or not line.is_on_sale or line.is_over:
        return frozenset()
    before = {one.seat_id for one in await store.put_back(connection, schedule_id, seat_ids)}
    left = before
    while seats := await store.put_back(connection, schedule_id, sorted(left)):
        left = {one.seat_id for one in seats}
        if not await _offer(connection, schedule_id, line, seats, limits):
            break
    return frozenset(before - {one.seat_id for one in seats})


async def _offer(
    connection: Connection,
    schedule_id: UUID,
    line: LockedLine,
    seats: list[ReturningSeat],
    limits: TurnLimits,
) -> int:
    """Offer seats to the first entries that they fit; return how many entries were decided."""
    offers = await _choose(connection, schedule_id, line, seats, limits)
    if not offers:
        return 0
    outcomes = await store.offer(connection, schedule_id, offers, limits.offer_ttl_s)
    # guard: line_waits_for_its_first_entry => if False:
    if not _DECIDED.issuperset(outcomes):
        if _REFUSED_BY_OFFERS.issuperset(outcomes):
            return 0
        raise TurnMoot(", ".join(outcomes))
    return len(outcomes)


async def _choose(
    connection: Connection,
    schedule_id: UUID,
    line: LockedLine,
    seats: list[ReturningSeat],
    limits: TurnLimits,
) -> list[SeatOffer]:
    free = Returning(seats)
    longest = {grade: free.longest(grade, limits.seats_max) for grade in free.grades}
    # One at a time where offers count uses: a refusal of one entry must not let the next one pass.
    # guard: line_with_offers_goes_one_by_one => count = limits.entries_max
    count = 1 if line.has_offers else limits.entries_max
    seats_max = free.longest(None, limits.seats_max)
    return free.assign(await store.next_entries(connection, schedule_id, seats_max, longest, count))


async def _let_go(
    connection: Connection, schedule_id: UUID, line: LockedLine, seats: list[ReturningSeat]
) -> None:
    """Put seats on sale for which no entry waits; the others stay for the rest of their turn."""
    if not seats or not line.may_let_go:
        return
    wanted = await store.wanted_grades(connection, schedule_id)
    left = rules.unwanted(seats, wanted)
    if left:
        await store.let_go(connection, schedule_id, left)
