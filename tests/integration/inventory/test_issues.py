"""Complimentary tickets and sales at the box office: seats, books, records, and who comes first."""

import asyncio
import time
from dataclasses import replace
from types import SimpleNamespace
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import msgspec
import pytest

from boxoffice.activity_log import ReadLog
from boxoffice.errors import (
    ConcertTakenDown,
    IdempotencyKeyReused,
    Invalid,
    NotOnSale,
    NotRefundable,
    ScheduleNotFound,
    SeatNotFound,
    SeatTaken,
)
from boxoffice.inventory.errors import IssueNotFound, PriceChanged
from boxoffice.inventory.issues.service import Issues
from boxoffice.inventory.issues.store import Issue, IssueCommand, IssueStore
from boxoffice.notifications.mail.store import MailQueue
from boxoffice.platform.ids import ScopedId
from boxoffice.platform.postgres.database import Database, Record
from boxoffice.sales_stats.rules import STEP_S
from boxoffice.sales_stats.store import SalesStatsStore
from tests.support.hall import Hall, open_hall
from tests.support.invariants import broken
from tests.support.locks import until_waiting
from tests.support.members import member
from tests.support.refunds import asked, refunds

from .test_seats import Unheard, change

GUEST = IssueCommand(("S001", "S002"), "Ms Guest", reason="press", list_name="Press")


def issues(db: Database, *, seats_max: int = 5) -> Issues:
    return Issues(IssueStore(db), ReadLog(db), Unheard(), seats_max)  # type: ignore[arg-type]


def sale(*seat_ids: str, expected: int, method: str = "cash") -> IssueCommand:
    return IssueCommand(seat_ids, "", method=method, expected_minor=expected, reference=method)


async def issue(hall: Hall, command: IssueCommand, key: str = "") -> Issue:
    return await issues(hall.db).issue(
        member(hall.schedule_id), hall.schedule_id, command, key or str(uuid4())
    )


async def void(hall: Hall, one: Issue) -> Issue:
    return await issues(hall.db).void(
        member(hall.schedule_id), ScopedId(hall.schedule_id, one.reservation_id)
    )


async def books(hall: Hall) -> dict[str, int]:
    rows = await hall.db.fetch(
        "SELECT account, sum(amount_minor)::bigint AS minor FROM ledger_entries"
        " WHERE schedule_id = $1 GROUP BY 1 HAVING sum(amount_minor) <> 0",
        hall.schedule_id,
    )
    return {row["account"]: row["minor"] for row in rows}


async def states(hall: Hall, *seat_ids: str) -> list[tuple[str, int]]:
    rows = [await hall.seat(seat_id) for seat_id in seat_ids]
    return [(row["state"], row["version"]) for row in rows]


async def house(hall: Hall) -> UUID:
    [row] = await hall.db.fetch(
        "SELECT user_id FROM house_accounts WHERE concert_id = $1", hall.schedule_id
    )
    return UUID(str(row["user_id"]))


async def test_a_guest_gets_tickets_and_pays_nothing(hall: Hall) -> None:
    made = await issue(hall, GUEST, "k")
    assert (made.kind, made.name, made.amount_minor, made.method) == (
        "COMPLIMENTARY", "Ms Guest", 0, None,
    )  # fmt: skip
    assert await states(hall, "S001", "S002", "S003") == [
        ("SOLD", 4), ("SOLD", 4), ("AVAILABLE", 1),
    ]  # fmt: skip
    assert await books(hall) == {}
    assert (await issue(hall, GUEST, "k")).ticket_ids == made.ticket_ids
    with pytest.raises(IdempotencyKeyReused):
        await issue(hall, replace(GUEST, name="Another"), "k")
    with pytest.raises(SeatTaken) as refused:
        await issue(hall, replace(GUEST, seat_ids=("S002", "S003")))
    assert refused.value.extra == {"seat_ids": ["S002"]}
    assert (await hall.hold(hall.people[0], "S001")).name == "seat_taken"
    assert not await broken(hall.db, hall.schedule_id)


async def test_void_tickets_return_their_seats(hall: Hall) -> None:
    made, kept = await issue(hall, GUEST), await issue(hall, replace(GUEST, seat_ids=("S003",)))
    gone = await void(hall, made)
    assert gone.voided_at is not None
    assert await states(hall, "S001", "S002", "S003") == [
        ("AVAILABLE", 5), ("AVAILABLE", 5), ("SOLD", 4),
    ]  # fmt: skip
    assert (await void(hall, made)).voided_at == gone.voided_at
    live = await hall.db.fetch(
        "SELECT ticket_id FROM tickets WHERE schedule_id = $1 AND status = 'VALID'",
        hall.schedule_id,
    )
    assert [row["ticket_id"] for row in live] == list(kept.ticket_ids)
    await hall.held(hall.people[0], "S001", "S002")
    counted = await hall.db.fetch(
        "SELECT sold_seats FROM schedule_buyers WHERE user_id = $1", await house(hall)
    )
    assert [row["sold_seats"] for row in counted] == [1]
    await issue(hall, replace(GUEST, seat_ids=("S004", "S005")))
    counted = await hall.db.fetch(
        "SELECT sold_seats FROM schedule_buyers WHERE user_id = $1", await house(hall)
    )
    assert [row["sold_seats"] for row in counted] == [3]
    assert not await broken(hall.db, hall.schedule_id)


@pytest.mark.parametrize(("method", "account"), [("cash", "till"), ("card_terminal", "terminal")])
async def test_a_sale_at_the_box_office_is_in_the_books_until_it_is_void(
    hall: Hall, method: str, account: str
) -> None:
    made = await issue(hall, sale("S001", "S002", expected=2_000, method=method))
    assert (made.kind, made.method, made.amount_minor) == ("BOX_OFFICE", method, 2_000)
    assert await books(hall) == {account: -2_000, "income": 2_000}
    with pytest.raises(NotRefundable):
        await refunds(hall).refund_as_organizer(
            member(hall.schedule_id), asked(hall, await _payment(hall), 2_000), waive_fee=True
        )
    await void(hall, made)
    await void(hall, made)
    assert await books(hall) == {}
    rows = await hall.db.fetch(
        "SELECT status, destination, amount_minor FROM refunds WHERE schedule_id = $1",
        hall.schedule_id,
    )
    assert [tuple(row) for row in rows] == [("DONE", account, 2_000)]
    await hall.held(hall.people[0], "S001", "S002")
    assert not await broken(hall.db, hall.schedule_id)


async def _payment(hall: Hall) -> Any:
    [row] = await hall.db.fetch(
        "SELECT payment_id, ticket_ids FROM payments WHERE schedule_id = $1", hall.schedule_id
    )
    return SimpleNamespace(**row)


async def test_what_is_refused_changes_nothing(hall: Hall, db: Database) -> None:
    neighbour = await open_hall(db)
    await change(hall, "block", "S003", reason="broken")
    with pytest.raises(PriceChanged) as refused:
        await issue(hall, sale("S001", expected=999))
    assert refused.value.extra == {"amount": 1_000}
    with pytest.raises(SeatNotFound) as unknown:
        await issue(hall, sale("S001", "X", expected=1_000))
    assert unknown.value.extra == {"seat_ids": ["X"]}
    with pytest.raises(SeatTaken):
        await issue(hall, sale("S003", expected=1_000))
    for command in (sale("S001", "S001", expected=2_000), sale(expected=0)):
        with pytest.raises(Invalid):
            await issue(hall, command)
    with pytest.raises(Invalid):
        await issues(db, seats_max=1).issue(member(hall.schedule_id), hall.schedule_id, GUEST, "k")
    with pytest.raises(ScheduleNotFound):
        await issues(db).issue(member(neighbour.schedule_id), hall.schedule_id, GUEST, "k")
    made = await issue(hall, GUEST)
    one = ScopedId(hall.schedule_id, made.reservation_id)
    with pytest.raises(IssueNotFound):
        await issues(db).void(member(neighbour.schedule_id), one)
    with pytest.raises(IssueNotFound):
        await issues(db).void(member(hall.schedule_id), one._replace(own_id=uuid4()))
    with pytest.raises(IssueNotFound):
        await issues(db).get(member(neighbour.schedule_id), one)
    assert (
        await issues(db).of_schedule(member(neighbour.schedule_id), hall.schedule_id, None, None, 9)
        == []
    )
    await hall.change_schedule("status = 'DRAFT'")
    with pytest.raises(NotOnSale):
        await issue(hall, sale("S004", expected=1_000))
    assert (await neighbour.seat("S001"))["state"] == "AVAILABLE"
    assert (await hall.seat("S004"))["version"] == 1


async def test_house_seats_and_lapsed_holds_are_given_away(hall: Hall) -> None:
    await change(hall, "block", "S001", reason="house")
    await change(hall, "block", "S003", reason="house")
    lapsed = await hall.held(hall.people[0], "S002")
    held = await hall.held(hall.people[0], "S004")
    await hall.lapse(lapsed)
    await issue(hall, GUEST)
    assert await states(hall, "S001", "S002") == [("SOLD", 5), ("SOLD", 6)]
    kept = await hall.db.fetch(
        "SELECT seat_id FROM seat_blocks WHERE schedule_id = $1", hall.schedule_id
    )
    assert [row["seat_id"] for row in kept] == ["S003"]
    assert (await hall.pay(hall.people[0], lapsed)).name == "hold_expired"
    with pytest.raises(SeatTaken):
        await issue(hall, replace(GUEST, seat_ids=("S004",)))
    assert await hall.status(held) == "HELD"
    assert not await broken(hall.db, hall.schedule_id)


async def test_the_list_has_pages_and_kinds(hall: Hall) -> None:
    made = [
        await issue(hall, replace(GUEST, seat_ids=("S001",))),
        await issue(hall, sale("S002", expected=1_000)),
        await issue(hall, replace(GUEST, seat_ids=("S003",), name="Last")),
    ]
    mine = member(hall.schedule_id)
    operator = msgspec.structs.replace(mine, organization_ids=None)
    found = await issues(hall.db).of_schedule(mine, hall.schedule_id, None, None, 1)
    assert [one.name for one in found] == ["Last", ""]
    assert [seat.number for seat in found[0].seats] == [3]
    rest = await issues(hall.db).of_schedule(
        operator, hall.schedule_id, found[1].reservation_id, None, 9
    )
    assert [one.reservation_id for one in rest] == [made[0].reservation_id]
    guests = await issues(hall.db).of_schedule(operator, hall.schedule_id, None, "COMPLIMENTARY", 9)
    assert [one.name for one in guests] == ["Last", "Ms Guest"]


async def test_a_guest_and_no_house_account_gets_mail(hall: Hall, db: Database) -> None:
    await db.fetch(
        "INSERT INTO leases (role, holder, token, expires_at)"
        " VALUES ('messenger', $1, 1, now() + interval '1 hour')"
        " ON CONFLICT (role) DO UPDATE SET token = 1, expires_at = excluded.expires_at",
        hall.schedule_id,
    )
    await issue(hall, sale("S003", expected=1_000))
    await db.fetch(
        "SELECT notifications_queue_mails_v1(topic, scope_id, subject_ids, user_ids)"
        " FROM outbox WHERE scope_id = $1",
        hall.schedule_id,
    )
    made = await issue(hall, replace(GUEST, email="guest@example.org", language="ko"))
    queue = MailQueue(db)
    claimed = await queue.claim(1, 60, language="en", domain="example.org", count_max=9)
    [mail] = [one for one in claimed if one.scope_id == hall.schedule_id]
    assert (mail.kind, mail.to_address, mail.name, mail.language) == (
        "guest", "guest@example.org", "Ms Guest", "ko",
    )  # fmt: skip
    facts = await queue.guest(mail.scope_id, mail.subject_id, "ko")
    assert facts is not None
    assert facts.ticket_ids == made.ticket_ids
    assert facts.order_number == made.order_number is not None
    assert [seat.number for seat in facts.seats] == [1, 2]
    await void(hall, made)
    assert await queue.guest(mail.scope_id, mail.subject_id, "ko") is None


async def test_a_seat_goes_to_a_buyer_or_to_a_guest(hall: Hall) -> None:
    """Issues, holds and voidances of the same seats at the same moment."""

    async def giving() -> str:
        try:
            made = await issue(hall, replace(GUEST, seat_ids=("S001", "S002", "S003")))
        except SeatTaken:
            return "taken"
        await void(hall, made)
        return "given"

    async def holding(person: UUID) -> str:
        outcome = await hall.hold(person, "S002")
        if outcome.held is not None and outcome.name == "held":
            await hall.release(person, outcome.held.reservation_id)
        return outcome.name

    for _ in range(8):
        ends = await asyncio.gather(*(giving() for _ in range(3)), *map(holding, hall.people))
        assert {"given", "held"} & set(ends)
    assert not await broken(hall.db, hall.schedule_id)
    assert await states(hall, "S001") == [("AVAILABLE", (await hall.seat("S001"))["version"])]


async def test_nothing_is_issued_beside_a_cancellation(
    hall: Hall, other: "asyncpg.Connection[Record]"
) -> None:
    async with other.transaction():
        await other.execute(
            "UPDATE schedules SET status = 'CANCELLED', cancelled_at = clock_timestamp()"
            " WHERE schedule_id = $1",
            hall.schedule_id,
        )
        # As the cancellation does, which must not miss an issue.
        await other.fetch(
            "SELECT FROM schedules WHERE schedule_id = $1 FOR UPDATE", hall.schedule_id
        )
        gift = asyncio.create_task(issue(hall, GUEST))
        await until_waiting(hall.db, gift)
    with pytest.raises(NotOnSale):
        await gift
    assert await states(hall, "S001", "S002") == [("AVAILABLE", 1), ("AVAILABLE", 1)]


async def test_nothing_is_issued_for_a_concert_that_was_taken_down(hall: Hall) -> None:
    made = await issue(hall, GUEST, "k")
    await hall.db.fetch(
        "UPDATE concerts SET taken_down_at = clock_timestamp(), taken_down_reason = 'Fraud'"
        " WHERE concert_id = $1",
        hall.schedule_id,
    )
    await hall.change_schedule("status = 'CLOSED'")
    for command in (sale("S003", expected=1_000), replace(GUEST, seat_ids=("S003",))):
        with pytest.raises(ConcertTakenDown):
            await issue(hall, command)
    assert await states(hall, "S003") == [("AVAILABLE", 1)]
    assert await books(hall) == {}
    assert (await issue(hall, GUEST, "k")).ticket_ids == made.ticket_ids
    assert (await void(hall, made)).voided_at is not None


async def test_one_key_issues_once_however_often_it_is_sent_at_once(hall: Hall) -> None:
    made = await asyncio.gather(*(issue(hall, GUEST, "same") for _ in range(4)))
    assert len({one.reservation_id for one in made}) == 1
    accounts = await hall.db.fetch(
        "SELECT 1 FROM users WHERE email LIKE 'house-%' AND user_id = $1", await house(hall)
    )
    assert len(accounts) == 1


async def test_gifts_are_no_sales_in_the_statistics(hall: Hall) -> None:
    await issue(hall, GUEST)
    await issue(hall, sale("S003", expected=1_000))
    now = int(time.time()) // STEP_S
    steps = await SalesStatsStore(hall.db).sold(hall.schedule_id, range(now - 60, now + 2), 300)
    assert [sum(step.sales for step in steps), sum(step.revenue for step in steps)] == [1, 1_000]
