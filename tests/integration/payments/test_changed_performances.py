"""Refunds of performances that were changed or cancelled, and the mails about them."""

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import msgspec
import pytest

from boxoffice.errors import NotRefundable
from boxoffice.notifications.mail.changes import schedule_change
from boxoffice.notifications.mail.rules import Shop
from boxoffice.notifications.mail.store import ChangeFacts, ClaimedMail, MailQueue
from boxoffice.order_numbers import rules as order_number
from boxoffice.payments.refunds.policy import RefundPolicy, RefundStep
from boxoffice.platform.ids import ScopedId
from tests.support.hall import Hall, open_hall
from tests.support.refunds import ZONE, asked, refunds, set_policy, sold

HALF = RefundPolicy("own", (RefundStep(0, percent=50),))

_CHANGE = """
    INSERT INTO schedule_changes (
        schedule_id, change_id, asked_by, created_at, starts_before, starts_after, kind, venue_before,
        venue_after, idempotency_key, fingerprint, refundable_until)
    SELECT s.schedule_id, $2::uuid, s.schedule_id, now(), s.starts_at - interval '1 day', s.starts_at,
           $3, 'V', 'W', $2::uuid::text, '\\x', s.starts_at
      FROM schedules s WHERE s.schedule_id = $1
"""


async def quoted(hall: Hall, buyer: UUID, payment_id: UUID) -> tuple[int, int]:
    """Return the refund and the fee of a whole payment, as quoted now."""
    found = await refunds(hall).quote(buyer, ScopedId(hall.schedule_id, payment_id), ())
    assert found.quote is not None
    return found.quote.refund_minor, found.quote.fee_minor


async def test_a_sale_before_a_change_is_returned_without_a_fee_until_a_date(hall: Hall) -> None:
    await set_policy(hall, HALF)
    early, late = hall.people[:2]
    before = await sold(hall, early, "S001")
    assert await quoted(hall, early, before.payment_id) == (500, 500)
    await hall.change_schedule(
        "changed_at = clock_timestamp(), refundable_until = clock_timestamp() + interval '7 days'"
    )
    after = await sold(hall, late, "S002")
    assert await quoted(hall, early, before.payment_id) == (1_000, 0)
    assert await quoted(hall, late, after.payment_id) == (500, 500)
    found = await refunds(hall).quote(early, ScopedId(hall.schedule_id, before.payment_id), ())
    assert found.quote is not None
    assert timedelta(days=6) < found.quote.valid_until - datetime.now(UTC) < timedelta(days=8)
    await refunds(hall).refund(early, asked(hall, before, 1_000))
    assert await hall.balance(early) == 5_000
    await hall.change_schedule("refundable_until = clock_timestamp() - interval '1 second'")
    third = await sold(hall, hall.people[2], "S003")
    assert await quoted(hall, hall.people[2], third.payment_id) == (500, 500)


async def test_a_cancelled_performance_is_refunded_by_its_job_alone(hall: Hall) -> None:
    buyer = hall.people[0]
    payment = await sold(hall, buyer, "S001")
    await hall.change_schedule("status = 'CANCELLED', cancelled_at = clock_timestamp()")
    with pytest.raises(NotRefundable):
        await refunds(hall).refund(buyer, asked(hall, payment, 1_000))


async def test_a_mail_about_a_change_is_about_the_persons_own_tickets(hall: Hall) -> None:
    buyer, watcher = hall.people[:2]
    other = await open_hall(hall.db, balance_minor=5_000)
    await other.held(other.people[0], "S001")
    payment = await sold(hall, buyer, "S001")
    change, beside = uuid4(), uuid4()
    await hall.db.fetch(_CHANGE, hall.schedule_id, change, "POSTPONED")
    await hall.db.fetch(_CHANGE, hall.schedule_id, beside, "CHANGED")
    facts = await facts_for(hall, change, buyer)
    assert (facts.kind, facts.is_paid) == ("POSTPONED", True)
    assert facts.reservation_id == payment.reservation_id
    # A person with a reservation elsewhere only, and one without any.
    for person in (other.people[0], watcher):
        assert (await facts_for(hall, change, person)).reservation_id is None


async def facts_for(hall: Hall, change: UUID, person: UUID) -> ChangeFacts:
    facts = await MailQueue(hall.db).schedule_change(mail_to(hall, change, person))
    assert facts is not None
    return facts


def mail_to(hall: Hall, change: UUID, person: UUID, language: str = "en") -> ClaimedMail:
    return ClaimedMail(
        user_id=person,
        mail_id=uuid4(),
        scope_id=hall.schedule_id,
        subject_id=change,
        kind="schedule_postponed",
        queued_at=datetime.now(UTC),
        attempts=1,
        tries=0,
        to_address="a@example.org",
        language=language,
        message_id="m@example.org",
        name="홍길동",
    )


@pytest.mark.parametrize("language", ["en", "ko"])
async def test_a_mail_says_when_and_where_before_and_now(hall: Hall, language: str) -> None:
    buyer = hall.people[0]
    payment = await sold(hall, buyer, "S001")
    number = order_number.shown(payment.order_number) or "none"
    change = uuid4()
    await hall.db.fetch(_CHANGE, hall.schedule_id, change, "POSTPONED")
    facts = msgspec.structs.replace(
        await facts_for(hall, change, buyer),
        title="<b>밤의 노래</b>",
        starts_before=datetime(2030, 5, 1, 10, tzinfo=UTC),
        starts_after=datetime(2030, 6, 2, 10, 30, tzinfo=UTC),
        reason="Typhoon",
    )
    shop = Shop("Tickets <t@shop.example>", "https://shop.example", ZONE)
    mail = mail_to(hall, change, buyer, language)
    message = schedule_change(mail, facts, shop)
    parts = {
        part.get_content_type(): part.get_content()
        for part in message.walk()
        if not part.is_multipart()
    }
    for part in (
        "홍길동",
        "19:00 KST",
        "19:30 KST",
        "Typhoon",
        "V",
        "W",
        "https://shop.example/reservations/",
        number,
    ):
        assert part in parts["text/plain"]
    assert "<b>" not in parts["text/html"]
    assert "&lt;b&gt;" in parts["text/html"]
    entry = parts["text/calendar"]
    assert "DTSTART;TZID=Asia/Seoul:20300602T193000" in entry
    assert f"SEQUENCE:{facts.version}" in entry
    assert number in entry
    cancelled = schedule_change(mail, msgspec.structs.replace(facts, kind="CANCELLED"), shop)
    [calendar] = [
        part.get_content()
        for part in cancelled.walk()
        if part.get_content_type() == "text/calendar"
    ]
    assert "METHOD:CANCEL" in calendar
    assert "STATUS:CANCELLED" in calendar
