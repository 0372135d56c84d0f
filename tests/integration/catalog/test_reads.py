"""Personal data of buyers is shown once its read is logged, and not otherwise."""

from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

import msgspec
import pytest

from boxoffice.activity_log import ReadLog
from boxoffice.backoffice.search.service import OrderSearch, SearchLimits
from boxoffice.backoffice.search.store import SearchStore
from boxoffice.backoffice.service import Backoffice, ReservationFilter
from boxoffice.backoffice.store import BackofficeStore
from boxoffice.errors import OutcomeUnknown, Unavailable
from boxoffice.inventory.issues.service import Issues
from boxoffice.inventory.issues.store import IssueCommand, IssueStore
from boxoffice.payments.listing.service import PaymentLists
from boxoffice.payments.listing.store import PaymentFilter, PaymentListStore
from boxoffice.payments.refunds.store import RefundStore
from boxoffice.platform.ids import ScopedId
from boxoffice.platform.postgres.database import Database
from tests.integration.inventory.test_seats import Unheard
from tests.support.hall import Hall, open_hall
from tests.support.members import member
from tests.support.refunds import sold

READS = [
    "issue.read", "issues.read", "orders.read", "payment.read", "payments.read", "reservation.read",
    "reservations.read",
]  # fmt: skip


@pytest.fixture
async def hall(db: Database) -> Hall:
    return await open_hall(db, seats=4, people=2, balance_minor=5_000)


def payments(db: Database) -> PaymentLists:
    return PaymentLists(PaymentListStore(db, "Asia/Seoul"), RefundStore(db), ReadLog(db))


async def reads_of(hall: Hall) -> dict[str, Callable[[], Awaitable[object]]]:
    """Return each read of personal data in a hall with a sale and a guest, by its action."""
    db, me, here = hall.db, member(hall.schedule_id), hall.schedule_id
    payment = await sold(hall, hall.people[0], "S001")
    issues = Issues(IssueStore(db), ReadLog(db), Unheard(), 5)  # type: ignore[arg-type]
    guest = await issues.issue(me, here, IssueCommand(("S002",), "Ms Guest", reason="press"), "k")
    backoffice = Backoffice(BackofficeStore(db), ReadLog(db))
    orders = OrderSearch(SearchStore(db, "Asia/Seoul"), ReadLog(db), SearchLimits(9, 9))
    reservation, issue = payment.reservation_id, guest.reservation_id
    return {
        "issue.read": lambda: issues.get(me, ScopedId(here, issue)),
        "issues.read": lambda: issues.of_schedule(me, here, None, None, 9),
        "orders.read": lambda: orders.find(me, "S001", 9),
        "payment.read": lambda: payments(db).get(me, ScopedId(here, payment.payment_id)),
        "payments.read": lambda: payments(db).of_seller(me, PaymentFilter([here]), None, 9),
        "reservation.read": lambda: backoffice.history(me, ScopedId(here, reservation)),
        "reservations.read": lambda: backoffice.find(me, here, ReservationFilter(), None, 9),
    }


async def entries(db: Database) -> list[dict[str, Any]]:
    """Return the entries of reads, oldest first."""
    rows = await db.fetch(
        "SELECT action, organizer_id, concert_id, schedule_id, details::text AS details"
        " FROM logbook WHERE action LIKE '%.read' ORDER BY entry_id"
    )
    return [{**dict(row), "details": msgspec.json.decode(row["details"])} for row in rows]


# A full disk, and a connection that is lost so that the outcome stays unknown.
FAILURES = {
    "full": "RAISE EXCEPTION 'full' USING ERRCODE = 'disk_full'",
    "lost": "PERFORM pg_terminate_backend(pg_backend_pid())",
}


@pytest.mark.parametrize("failure", FAILURES)
async def test_nothing_is_shown_unless_its_read_is_logged(hall: Hall, failure: str) -> None:
    reads = await reads_of(hall)
    assert sorted(reads) == READS
    await hall.db.fetch(
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$"
        f" BEGIN {FAILURES[failure]}; RETURN NEW; END $$"
    )
    await hall.db.fetch(
        "CREATE TRIGGER refuse BEFORE INSERT ON logbook FOR EACH ROW EXECUTE FUNCTION refuse()"
    )
    for read in reads.values():
        with pytest.raises(Unavailable) as refused:
            await read()
        assert not isinstance(refused.value, OutcomeUnknown)
    assert await entries(hall.db) == []

    await hall.db.fetch("DROP TRIGGER refuse ON logbook")
    for read in reads.values():
        assert await read()
    assert [one["action"] for one in await entries(hall.db)] == list(reads)


async def test_payments_of_several_organizations_are_in_the_log_of_each(
    db: Database, hall: Hall
) -> None:
    there = await open_hall(db, seats=2, people=1, balance_minor=5_000)
    for place, seat in ((hall, "S001"), (hall, "S002"), (there, "S001")):
        await sold(place, place.people[0], seat)
    operator = msgspec.structs.replace(member(hall.people[1]), organization_ids=None)
    found = await payments(db).of_seller(operator, PaymentFilter(None), None, 9)
    assert len(found) == 3

    def entry(of: UUID, rows: int) -> dict[str, Any]:
        return {
            "action": "payments.read",
            "organizer_id": of,
            "concert_id": of,
            "schedule_id": of,
            "details": {"rows": rows, "filters": []},
        }

    logged = await entries(db)
    wanted = [entry(hall.schedule_id, 2), entry(there.schedule_id, 1)]
    assert sorted(logged, key=str) == sorted(wanted, key=str)
    page = await payments(db).of_seller(operator, PaymentFilter(None), None, 1)
    assert len(page) == 2, "the second belongs to the next page"
    [last] = (await entries(db))[2:]
    assert last["details"]["rows"] == 1
