"""Cancelled performances: money once, void tickets, one mail per person, crashes and races."""

import asyncio
from dataclasses import replace
from uuid import UUID, uuid4

import msgspec
import pytest

from boxoffice.catalog.edits.errors import NotEditable, ScheduleCancelled
from boxoffice.catalog.edits.service import Editor
from boxoffice.errors import IdempotencyKeyReused, ScheduleNotFound
from boxoffice.notifications.mail.changes import schedule_change
from boxoffice.notifications.mail.rules import Shop
from boxoffice.notifications.mail.store import MailQueue
from boxoffice.payments.store import PaymentStore
from boxoffice.platform.ids import ScopedId
from tests.support.checkout import Checkout
from tests.support.fake_provider import FakeProvider
from tests.support.hall import Hall, open_hall
from tests.support.invariants import broken
from tests.support.members import member
from tests.support.refunds import ZONE, returned, sold

from .conftest import Stage, editor_of


async def state(stage: Stage) -> dict[str, int]:
    """How many seats, tickets and reservations are in each state."""
    rows = await stage.rows(
        """SELECT 'seat ' || state AS name, count(*) AS n FROM seats WHERE schedule_id = $1 GROUP BY 1
            UNION ALL SELECT 'ticket ' || status, count(*) FROM tickets
                       WHERE schedule_id = $1 GROUP BY 1
            UNION ALL SELECT 'reservation ' || status, count(*) FROM reservations
                       WHERE schedule_id = $1 GROUP BY 1""",
        stage.hall.schedule_id,
    )
    return {row["name"]: row["n"] for row in rows}


async def check_tickets_are_void(stage: Stage, hall: Hall, other: Hall, card: UUID) -> None:
    """The tickets are void before their money is back; those of another performance are not."""
    [row] = await stage.rows("SELECT payment_id FROM payments WHERE provider_reference IS NOT NULL")
    payment = await PaymentStore(hall.db).get(hall.schedule_id, row["payment_id"], card)
    assert payment is not None
    assert sorted(payment.void_ticket_ids) == sorted(payment.ticket_ids)
    [there] = await other.db.fetch(
        "SELECT payment_id FROM payments WHERE schedule_id = $1", other.schedule_id
    )
    beside = await PaymentStore(hall.db).get(
        other.schedule_id, there["payment_id"], other.people[0]
    )
    assert beside is not None
    assert not beside.void_ticket_ids


async def test_all_that_was_paid_comes_back_once(stage: Stage, hall: Hall) -> None:
    wallet, card, holder, returner, guest, stranger = hall.people
    await sold(hall, wallet, "S001", "S002")
    await sold(hall, wallet, "S003")
    by_card = await sold(hall, card, "S004", provider="toss")
    held = await hall.held(holder, "S005")
    earlier = await sold(hall, returner, "S006")
    await returned(hall, returner, earlier, 1_000)
    lapsed = await hall.held(guest, "S007")
    await hall.lapse(lapsed)
    other = await open_hall(hall.db, balance_minor=5_000)
    await sold(other, other.people[0], "S001")
    await other.held(other.people[1], "S002")

    change = await stage.cancel(with_compensation=True)
    assert (change.kind, change.reason, change.finished_at) == ("CANCELLED", "Typhoon", None)
    assert (await hall.hold(stranger, "S008")).name == "not_on_sale"
    await check_tickets_are_void(stage, hall, other, card)

    await stage.work_off(change)
    await hall.expire()
    assert await state(stage) == {
        "seat AVAILABLE": 12,
        "ticket VOID": 5,
        "reservation REFUNDED": 4,
        "reservation CANCELLED": 1,
        "reservation EXPIRED": 1,
    }
    assert await hall.status(held) == "CANCELLED"
    assert await hall.status(by_card.reservation_id) == "REFUNDED"
    # The price of three seats and a tenth; a tenth of what the card pays.
    assert await hall.balance(wallet) == 5_300
    assert await hall.balance(card) == 5_100
    assert await hall.balance(holder) == 5_000
    assert await stage.mails() == {
        (person, "schedule_cancelled") for person in (wallet, card, holder)
    }
    done = await stage.change()
    assert (done.mails, done.released) == (3, 1)
    assert done.finished_at is not None
    assert not await broken(hall.db, hall.schedule_id)
    assert await other.seat("S002") is not None
    [live] = await stage.rows(
        "SELECT count(*) AS n FROM tickets WHERE schedule_id = $1 AND status = 'VALID'",
        other.schedule_id,
    )
    assert live["n"] == 1
    topics = await stage.rows("SELECT topic FROM outbox WHERE topic LIKE 'schedule%'")
    assert [row["topic"] for row in topics] == ["schedule.cancelled"]


async def test_guests_and_the_box_office_have_no_tickets_left(stage: Stage, hall: Hall) -> None:
    buyer, house = hall.people[0], member(hall.schedule_id)
    await sold(hall, buyer, "S001")
    guest = await stage.issued("S002", "S003", email="guest@example.org")
    await stage.issued("S004")
    sale = await stage.issued("S005", method="cash")
    earlier = await stage.issued("S006", email="earlier@example.org")
    await stage.desk().void(house, ScopedId(hall.schedule_id, earlier.reservation_id))
    other = await open_hall(hall.db)
    there = await replace(stage, hall=other).issued("S001")

    change = await stage.cancel()
    assert change.refund_job_id is not None
    # The job of the refunds leaves the money of the box office to the job of the change.
    await stage.refund_jobs.work(change.refund_job_id)
    await stage.work_off(change)
    assert await state(stage) == {
        "seat AVAILABLE": 12,
        "ticket VOID": 6,
        "reservation REFUNDED": 5,
    }
    assert await stage.mails() == {
        (person, "schedule_cancelled") for person in (buyer, guest.reservation_id)
    }
    [refund] = await stage.rows(
        "SELECT status, destination, amount_minor, decided_by FROM refunds WHERE destination = 'till'"
        " AND schedule_id = $1",
        hall.schedule_id,
    )
    assert tuple(refund) == ("DONE", "till", sale.amount_minor, hall.schedule_id)
    jobs = await stage.rows(
        "SELECT refused FROM refund_jobs WHERE schedule_id = $1", hall.schedule_id
    )
    assert [row["refused"] for row in jobs] == [0]
    logged = await stage.rows(
        "SELECT details FROM logbook WHERE schedule_id = $1 AND action = 'tickets.voided'",
        hall.schedule_id,
    )
    assert len(logged) == 4
    kept = await stage.rows(
        "SELECT status FROM tickets WHERE ticket_id = ANY ($1)", list(there.ticket_ids)
    )
    assert [row["status"] for row in kept] == ["VALID"]
    assert not await broken(hall.db, hall.schedule_id)


async def test_a_guest_reads_that_the_tickets_are_void(stage: Stage, hall: Hall) -> None:
    guest = await stage.issued("S002", email="guest@example.org")
    change = await stage.cancel()
    await stage.work_off(change)
    await stage.rows(
        "INSERT INTO leases (role, holder, token, expires_at)"
        " VALUES ('messenger', $1, 1, now() + interval '1 hour')"
        " ON CONFLICT (role) DO UPDATE SET token = 1, expires_at = excluded.expires_at",
        hall.schedule_id,
    )
    queue = MailQueue(hall.db)
    claimed = await queue.claim(1, 60, language="en", domain="example.org", count_max=99)
    mail, *more = [one for one in claimed if one.subject_id == change.change_id]
    assert not more
    assert (mail.to_address, mail.name, mail.language) == ("guest@example.org", "Ms Guest", "ko")
    facts = await queue.schedule_change(mail)
    assert facts is not None
    assert (facts.is_guest, facts.reservation_id) == (True, guest.reservation_id)
    assert facts.order_number == guest.order_number is not None
    shop = Shop("Tickets <t@shop.example>", "https://shop.example", ZONE)
    for language, said, paid in (
        ("en", "Your tickets are void.", "paid"),
        ("ko", "초대권은 무효 처리되었습니다.", "환불"),
    ):
        told = msgspec.structs.replace(mail, language=language)
        text = schedule_change(told, facts, shop).get_body(("plain",))
        assert text is not None
        assert said in text.get_content()
        assert paid not in text.get_content()
        assert "/reservations/" not in text.get_content()


async def test_a_cancellation_is_decided_once(stage: Stage, hall: Hall) -> None:
    first = await stage.cancel("k")
    assert await stage.cancel("k") == first
    with pytest.raises(IdempotencyKeyReused):
        await stage.cancel("k", with_compensation=True)
    with pytest.raises(ScheduleCancelled):
        await stage.cancel("another")
    with pytest.raises(ScheduleNotFound):
        await stage.edits.cancel(
            Editor(uuid4(), [uuid4()]), hall.schedule_id, "Mine", "k", with_compensation=False
        )
    draft = await open_hall(hall.db)
    await draft.change_schedule("status = 'DRAFT'")
    with pytest.raises(NotEditable):
        await stage.edits.cancel(
            editor_of(draft), draft.schedule_id, "Early", "k", with_compensation=False
        )
    [row] = await stage.rows("SELECT count(*) AS n FROM refund_jobs")
    assert row["n"] == 1


async def test_a_refund_that_is_running_is_joined(stage: Stage, hall: Hall) -> None:
    await sold(hall, hall.people[0], "S001")
    await hall.change_schedule("status = 'CLOSED'")
    other = await open_hall(hall.db)
    await other.change_schedule("status = 'CLOSED'")
    for one in (other, hall):
        job = await stage.refund_jobs.start(
            editor_of(one), one.schedule_id, "k", with_compensation=False
        )
    change = await stage.cancel()
    assert change.refund_job_id == job.job_id
    await stage.work_off(change)
    assert await hall.balance(hall.people[0]) == 5_000


async def test_a_refund_that_is_joined_pays_the_compensation(stage: Stage, hall: Hall) -> None:
    await sold(hall, hall.people[0], "S001")
    await hall.change_schedule("status = 'CLOSED'")
    other = await open_hall(hall.db)
    await other.change_schedule("status = 'CLOSED'")
    for one in (other, hall):
        await stage.refund_jobs.start(editor_of(one), one.schedule_id, "k", with_compensation=False)
    await stage.work_off(await stage.cancel(with_compensation=True))
    assert await hall.balance(hall.people[0]) == 5_100
    rows = await stage.rows("SELECT 1 FROM refund_jobs WHERE with_compensation")
    assert len(rows) == 1


async def test_a_job_killed_at_any_step_refunds_and_notifies_each_buyer_once(
    stage: Stage, hall: Hall
) -> None:
    for at in range(1, 9):
        await sold(hall, hall.people[at % 5], f"S{at:03}")
    await hall.held(hall.people[5], "S009")
    guest = await stage.issued("S010", email="guest@example.org")
    await stage.issued("S011", "S012", method="card_terminal")
    change = await stage.cancel()
    assert change.refund_job_id is not None
    # Cancel both jobs after ever more turns of the event loop: at each of their awaits.
    for turns in range(400):
        stop = asyncio.Event()
        tasks = [
            asyncio.create_task(stage.jobs.work(change.change_id, stop)),
            asyncio.create_task(stage.refund_jobs.work(change.refund_job_id, stop)),
        ]
        for _ in range(turns % 40):
            await asyncio.sleep(0)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    await stage.work_off(change)
    assert [await hall.balance(person) for person in hall.people] == [5_000] * 6
    told = (*hall.people, guest.reservation_id)
    assert await stage.mails() == {(person, "schedule_cancelled") for person in told}
    [row] = await stage.rows("SELECT count(*) AS n FROM refunds")
    assert row["n"] == 9
    assert not await broken(hall.db, hall.schedule_id)


async def test_holds_and_payments_beside_a_cancellation(stage: Stage, hall: Hall) -> None:
    """Whatever was in flight, no seat stays taken and no money stays here."""
    early = {
        person: await hall.held(person, f"S00{at}") for at, person in enumerate(hall.people, 1)
    }

    async def buy(person: UUID, at: int) -> None:
        await hall.pay(person, early[person])
        outcome = await hall.hold(person, f"S{at + 6:03}")
        if outcome.held is not None:
            await hall.pay(person, outcome.held.reservation_id)

    buying = [buy(person, at) for at, person in enumerate(hall.people, 1)]
    buyers = asyncio.gather(*buying)
    change = await stage.cancel()
    await buyers
    await stage.work_off(change)
    found = await state(stage)
    assert found.pop("seat AVAILABLE") == 12
    assert not {"ticket VALID", "reservation HELD", "reservation CONFIRMED"} & found.keys()
    assert [await hall.balance(person) for person in hall.people] == [5_000] * 6
    assert not await broken(hall.db, hall.schedule_id)


async def test_a_payment_in_flight_comes_back(stage: Stage, hall: Hall) -> None:
    buyer = hall.people[0]
    checkout = Checkout(hall, FakeProvider("toss"))
    intent = await checkout.opened(buyer, "S001")
    change, done = await asyncio.gather(stage.cancel(), checkout.confirm(intent))
    await stage.work_off(change)
    found = await state(stage)
    assert found["seat AVAILABLE"] == 12
    assert not {"ticket VALID", "reservation HELD", "reservation CONFIRMED"} & found.keys()
    # Sold and refunded, or captured too late: in both cases the money is owed or back.
    refunds = await stage.rows("SELECT amount_minor, reason FROM refunds WHERE user_id = $1", buyer)
    assert [row["amount_minor"] for row in refunds] == ([1_000] if done.payment_id else [])
    assert not await broken(hall.db, hall.schedule_id)
    await checkout.close()


async def test_a_hold_that_was_in_flight_is_found(stage: Stage, hall: Hall) -> None:
    """The first pass of the job cannot see it; the pass after the settling time does."""
    change = await stage.cancel()
    await stage.jobs.work(change.change_id, asyncio.Event())
    await hall.change_schedule("status = 'OPEN', cancelled_at = NULL")
    late = await hall.held(hall.people[0], "S001")
    await hall.change_schedule("status = 'CANCELLED', cancelled_at = clock_timestamp()")
    await stage.work_off(change)
    assert await hall.status(late) == "CANCELLED"
    assert await stage.mails() == {(hall.people[0], "schedule_cancelled")}


async def test_a_refund_ends_after_the_settling_time(stage: Stage, hall: Hall) -> None:
    """Before that, a hold that was in flight may be visible to no pass of the job."""
    change = await stage.cancel()
    assert change.refund_job_id is not None
    await hall.change_schedule("cancelled_at = clock_timestamp() + interval '1 minute'")
    assert not await stage.refund_jobs.work(change.refund_job_id)
    await hall.change_schedule("cancelled_at = clock_timestamp() - interval '1 minute'")
    assert await stage.refund_jobs.work(change.refund_job_id)
