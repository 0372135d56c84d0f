"""The use cases of tickets without a hold: complimentary ones, and sales at the box office."""

from collections.abc import Sequence
from typing import Never
from uuid import UUID

from boxoffice.activity_log import Action, ReadLog, Shown, read_details, record
from boxoffice.errors import (
    ConcertTakenDown,
    IdempotencyKeyReused,
    IntegrityError,
    Invalid,
    NotOnSale,
    Problem,
    ScheduleNotFound,
    SeatNotFound,
    SeatTaken,
)
from boxoffice.inventory.errors import IssueNotFound, PriceChanged
from boxoffice.inventory.issues import store
from boxoffice.inventory.issues.store import (
    Connection,
    Issue,
    IssueCommand,
    IssueOutcome,
    IssueStore,
    IssuingSchedule,
)
from boxoffice.inventory.store import NO_LINE, SeatsForLine
from boxoffice.permissions import Actor, OrganizationIds
from boxoffice.platform.ids import ScopedId, fingerprint_of
from boxoffice.seats.cache.states import AVAILABLE, SOLD
from boxoffice.seats.changes.publisher import SeatChange, SeatChangePublisher

_REFUSALS: dict[str, type[Problem]] = {
    "key_reused": IdempotencyKeyReused,
    "seat_not_found": SeatNotFound,
    "seat_taken": SeatTaken,
}


class Issues:
    """Issued tickets; every pod shows the seats as sold before the caller is answered."""

    def __init__(
        self,
        issues: IssueStore,
        reads: ReadLog,
        publisher: SeatChangePublisher,
        seats_max: int,
        line: SeatsForLine = NO_LINE,
    ) -> None:
        self._store = issues
        self._reads = reads
        self._publisher = publisher
        self._seats_max = seats_max
        self._line = line

    async def issue(
        self,
        actor: Actor,
        schedule_id: UUID,
        command: IssueCommand,
        key: str,
        *,
        request_id: str = "",
    ) -> Issue:
        """Issue tickets for seats that are free, or blocked as house seats.

        A sale is paid at once, and its price has to be the expected one. The same key and command
        return the same issue. Raises the refusals of `docs/api.md`.
        """
        self._check(command.seat_ids)
        key = f"{actor.user_id}:{key}"
        async with self._store.transaction() as connection:
            schedule, house_id = await self._house(connection, schedule_id, actor)
            outcome = await store.issue(
                connection,
                schedule_id,
                house_id,
                actor.user_id,
                command,
                key,
                _fingerprint(command),
            )
            if outcome.name == "issued":
                # Raised here, the transaction is rolled back; what was issued before is replayed.
                # guard: issue_nothing_of_what_was_taken_down => if False:
                if schedule.is_taken_down:
                    raise ConcertTakenDown
                await record(
                    connection,
                    _issued(actor, schedule, schedule_id, command, outcome, request_id),
                )
            elif outcome.name == "replayed":
                await record(connection, _reread(actor, schedule, schedule_id, request_id))
        if outcome.reservation_id is None or outcome.name == "key_reused":
            _refuse(outcome)
        if outcome.seat_versions:
            change = SeatChange(house_id, SOLD, command.seat_ids, outcome.seat_versions)
            await self._publisher.publish_and_wait(schedule_id, [change])
        return await self._found(
            actor.organization_ids, ScopedId(schedule_id, outcome.reservation_id)
        )

    async def void(self, actor: Actor, issue: ScopedId, *, request_id: str = "") -> Issue:
        """Make the tickets of an issue void; a sale's money goes back in its method.

        The seats are on sale when this returns. Repeating it is no error. Raises `IssueNotFound`.
        """
        schedule_id = issue.schedule_id
        offered: frozenset[str] = frozenset()
        async with self._store.transaction() as connection:
            try:
                schedule, house_id = await self._house(connection, schedule_id, actor)
            except ScheduleNotFound:
                raise IssueNotFound from None
            outcome = await store.void(
                connection, schedule_id, house_id, issue.own_id, actor.user_id
            )
            if outcome.name == "voided":
                seat_ids = list(outcome.seat_ids or ())
                # guard: line_comes_before_the_public_for_what_is_void => if False:
                if seat_ids:
                    offered = await self._line.offer(connection, schedule_id, seat_ids)
                details: dict[str, object] = {"issue_id": str(issue), "seat_ids": seat_ids}
                name = "tickets.voided"
                await record(
                    connection,
                    _action(actor, schedule, schedule_id, name, request_id, details),
                )
            elif outcome.name == "replayed":
                await record(connection, _reread(actor, schedule, schedule_id, request_id))
        if outcome.name == "issue_not_found":
            raise IssueNotFound
        if outcome.seat_ids and outcome.seat_versions:
            pairs = zip(outcome.seat_ids, outcome.seat_versions, strict=True)
            versions = [0 if seat_id in offered else version for seat_id, version in pairs]
            change = SeatChange(house_id, AVAILABLE, outcome.seat_ids, versions)
            await self._publisher.publish_and_wait(schedule_id, [change])
        return await self._found(actor.organization_ids, issue)

    async def get(self, actor: Actor, issue: ScopedId, *, request_id: str = "") -> Issue:
        """Return an issue of the actor's organizations; raise `IssueNotFound` or `Unavailable`."""
        found = await self._found(actor.organization_ids, issue)
        await self._reads.record(actor, "issue.read", _shown([found]), request_id=request_id)
        return found

    async def _found(self, organization_ids: OrganizationIds, issue: ScopedId) -> Issue:
        found = await self._store.get(issue.schedule_id, issue.own_id, organization_ids)
        if found is None:
            raise IssueNotFound
        return found

    async def of_schedule(
        self,
        actor: Actor,
        schedule_id: UUID,
        before: UUID | None,
        kind: str | None,
        limit: int,
        *,
        request_id: str = "",
    ) -> list[Issue]:
        """Return up to `limit` issues of a schedule, newest first, and one that follows.

        Empty for another organization's schedule. Raises `Unavailable`.
        """
        found = await self._store.of_schedule(
            schedule_id, actor.organization_ids, before, kind, limit + 1
        )
        await self._reads.record(
            actor,
            "issues.read",
            _shown(found[:limit]),
            filters=["kind"] if kind else [],
            request_id=request_id,
        )
        return found

    def _check(self, seat_ids: Sequence[str]) -> None:
        # guard: issue_names_a_seat_once => if False:
        if len(set(seat_ids)) != len(seat_ids):
            raise Invalid("seat_ids names a seat twice.")
        # guard: issue_is_bounded => if False:
        if not 0 < len(seat_ids) <= self._seats_max:
            raise Invalid(f"Issue between 1 and {self._seats_max} tickets at a time.")

    async def _house(
        self, connection: Connection, schedule_id: UUID, actor: Actor
    ) -> tuple[IssuingSchedule, UUID]:
        schedule = await store.own_schedule(connection, schedule_id, actor.organization_ids)
        # guard: issue_of_own_schedule => if False:
        if schedule is None:
            raise ScheduleNotFound
        return schedule, await store.house(connection, schedule)


def _fingerprint(command: IssueCommand) -> bytes:
    return fingerprint_of(
        "issue",
        *command.seat_ids,
        command.name,
        command.method or "",
        str(command.expected_minor),
        command.reference,
        command.email or "",
        command.reason,
        command.note,
        command.list_name,
    )


def _shown(found: Sequence[Issue]) -> list[Shown]:
    # All are of one schedule.
    return [
        Shown(one.organization_id, len(found), one.concert_id, one.schedule_id) for one in found[:1]
    ]


def _reread(actor: Actor, schedule: IssuingSchedule, schedule_id: UUID, request_id: str) -> Action:
    return _action(actor, schedule, schedule_id, "issue.read", request_id, read_details(1))


def _issued(
    actor: Actor,
    schedule: IssuingSchedule,
    schedule_id: UUID,
    command: IssueCommand,
    outcome: IssueOutcome,
    request_id: str,
) -> Action:
    details: dict[str, object] = {
        "issue_id": f"{ScopedId(schedule_id, outcome.reservation_id)}"
        if outcome.reservation_id
        else "",
        "seat_ids": list(command.seat_ids),
    }
    if command.method is None:
        name = "tickets.given"
        details["reason"] = command.reason
    else:
        name = "tickets.sold"
        details |= {"method": command.method, "amount": outcome.amount_minor}
    return _action(actor, schedule, schedule_id, name, request_id, details)


def _action(
    actor: Actor,
    schedule: IssuingSchedule,
    schedule_id: UUID,
    name: str,
    request_id: str,
    details: dict[str, object],
) -> Action:
    return Action(
        organization_id=schedule.organization_id,
        actor_id=actor.user_id,
        action=name,
        request_id=request_id,
        concert_id=schedule.concert_id,
        schedule_id=schedule_id,
        details=details,
    )


def _refuse(outcome: IssueOutcome) -> Never:
    if outcome.name == "price_changed":
        raise PriceChanged(amount=outcome.amount_minor)
    if outcome.name == "not_on_sale":
        raise NotOnSale("Tickets are issued once the sale was opened.")
    problem = _REFUSALS.get(outcome.name)
    if problem is None:
        raise IntegrityError(f"the database answered {outcome.name!r}")
    raise problem(seat_ids=list(outcome.in_the_way)) if outcome.in_the_way else problem
