"""What organizers do: policies before the sale, refunds without a fee, and whole schedules."""

import asyncio
from uuid import UUID, uuid4

import pytest

from boxoffice.errors import (
    IdempotencyKeyReused,
    NotRefundable,
    PaymentNotFound,
    RefundJobRunning,
    RefundPolicyInvalid,
    RefundPolicyLocked,
    RefundQuoteChanged,
    SaleOpen,
    ScheduleNotFound,
)
from boxoffice.payments.refunds.administration import RefundAdministration
from boxoffice.payments.refunds.jobs import RefundJobs
from boxoffice.payments.refunds.policy import DEFAULT, PRESETS, RefundPolicy, RefundStep
from boxoffice.payments.refunds.store import RefundJob, RefundStore
from boxoffice.platform.ids import ScopedId, new_id
from boxoffice.platform.postgres.database import Database
from tests.support.hall import Hall, open_hall
from tests.support.invariants import broken
from tests.support.members import member
from tests.support.refunds import asked, refunds, set_policy, sold

HALF = RefundPolicy("own", (RefundStep(0, percent=50),))


def jobs(hall: Hall) -> RefundJobs:
    return RefundJobs(RefundStore(hall.db), refunds(hall), per_s=10_000)


async def closed(hall: Hall) -> None:
    await hall.change_schedule("status = 'CLOSED'")


async def start(hall: Hall, key: str = "k", *, with_compensation: bool = False) -> RefundJob:
    organizer = member(hall.schedule_id)
    return await jobs(hall).start(
        organizer, hall.schedule_id, key, with_compensation=with_compensation
    )


async def is_due(hall: Hall, job: RefundJob) -> bool:
    """Return whether the cashier is to work on a job now."""
    rows = await hall.db.fetch(
        "SELECT FROM cashier_work WHERE subject_id = $1 AND due_at <= clock_timestamp()", job.job_id
    )
    return len(rows) == 1


async def test_an_organizer_waives_the_fee(hall: Hall) -> None:
    await set_policy(hall, HALF)
    buyer, organizer = hall.people[0], member(hall.schedule_id)
    payment = await sold(hall, buyer, "S001", "S002")
    request = asked(hall, payment, 1_000, payment.ticket_ids[0], key="k")
    first = await refunds(hall).refund_as_organizer(organizer, request, waive_fee=True)
    assert (first.amount_minor, first.fee_minor, first.reason) == (1_000, 0, "organizer")
    again = await refunds(hall).refund_as_organizer(organizer, request, waive_fee=True)
    assert again == first
    with pytest.raises(IdempotencyKeyReused):
        await refunds(hall).refund_as_organizer(organizer, request, waive_fee=False)
    second = await refunds(hall).refund_as_organizer(
        organizer, asked(hall, payment, 500), waive_fee=False
    )
    assert (second.amount_minor, second.fee_minor) == (500, 500)
    rows = await hall.db.fetch(
        "SELECT details->>'refund_id' AS id FROM logbook WHERE schedule_id = $1"
        " AND action = 'payment.refunded' ORDER BY entry_id",
        hall.schedule_id,
    )
    assert [row["id"] for row in rows] == [str(first.refund_id), str(second.refund_id)]
    assert not await broken(hall.db, hall.schedule_id)


async def test_a_fee_is_waived_whatever_the_policy_says(hall: Hall) -> None:
    await set_policy(hall, PRESETS["none"])
    buyer, organizer = hall.people[0], member(hall.schedule_id)
    payment = await sold(hall, buyer, "S001")
    await hall.change_schedule(
        "sale_opens_at = clock_timestamp() - interval '3 days', starts_at = clock_timestamp()"
    )
    request = asked(hall, payment, 1_000)
    with pytest.raises(NotRefundable):
        await refunds(hall).refund_as_organizer(organizer, request, waive_fee=False)
    refund = await refunds(hall).refund_as_organizer(organizer, request, waive_fee=True)
    assert refund.amount_minor == 1_000


async def test_an_organizer_refunds_only_sales_of_their_own(hall: Hall, db: Database) -> None:
    payment = await sold(hall, hall.people[0], "S001")
    elsewhere = await open_hall(db)
    with pytest.raises(PaymentNotFound):
        await refunds(hall).refund_as_organizer(
            member(elsewhere.schedule_id), asked(hall, payment, 1_000), waive_fee=True
        )
    with pytest.raises(RefundQuoteChanged):
        await refunds(hall).refund_as_organizer(
            member(hall.schedule_id), asked(hall, payment, 999), waive_fee=True
        )


async def test_a_policy_is_set_before_the_sale(hall: Hall) -> None:
    administration = RefundAdministration(RefundStore(hall.db))
    organizer = member(hall.schedule_id)
    with pytest.raises(RefundPolicyLocked):
        await administration.set_policy(organizer, hall.schedule_id, HALF)
    assert (await refunds(hall).policy(hall.schedule_id)).policy == DEFAULT
    await hall.change_schedule("status = 'DRAFT'")
    with pytest.raises(ScheduleNotFound):
        await administration.set_policy(member(hall.people[0]), hall.schedule_id, HALF)
    with pytest.raises(RefundPolicyInvalid):
        await administration.set_policy(
            organizer, hall.schedule_id, RefundPolicy("own", (RefundStep(0, percent=101),))
        )
    await administration.set_policy(organizer, hall.schedule_id, PRESETS["none"])
    await administration.set_policy(organizer, hall.schedule_id, HALF)
    for organizations in ([hall.schedule_id], None):
        shown = await refunds(hall).own_policy(hall.schedule_id, organizations)
        assert shown.policy == HALF
    with pytest.raises(ScheduleNotFound):
        await refunds(hall).own_policy(hall.schedule_id, [hall.people[0]])
    with pytest.raises(ScheduleNotFound):
        await refunds(hall).policy(hall.schedule_id)
    await hall.change_schedule("status = 'OPEN'")
    assert (await refunds(hall).policy(hall.schedule_id)).policy == HALF
    rows = await hall.db.fetch(
        "SELECT version FROM refund_policies WHERE schedule_id = $1 ORDER BY 1", hall.schedule_id
    )
    assert [row["version"] for row in rows] == [1, 2]


async def test_the_policy_of_a_schedule_is_its_own(hall: Hall, db: Database) -> None:
    await set_policy(hall, HALF)
    other = await open_hall(db)
    assert (await refunds(other).policy(other.schedule_id)).policy == DEFAULT
    with pytest.raises(ScheduleNotFound):
        await refunds(hall).policy(new_id())


async def test_a_whole_schedule_is_refunded(hall: Hall, db: Database) -> None:
    await set_policy(hall, HALF)
    elsewhere = await open_hall(db)
    await closed(elsewhere)
    other = await start(elsewhere)
    one, two, three, *_ = hall.people
    await sold(hall, one, "S001", "S002")
    partly = await sold(hall, two, "S003", "S004")
    await refunds(hall).refund(two, asked(hall, partly, 500, partly.ticket_ids[0]))
    by_card = await sold(hall, three, "S005", provider="toss")
    with pytest.raises(SaleOpen):
        await start(hall)
    await closed(hall)
    job = await start(hall)
    assert await jobs(hall).work(job.job_id)
    assert [await hall.balance(person) for person in (one, two, three)] == [5_000, 4_500, 5_000]
    assert await hall.status(by_card.reservation_id) == "REFUNDED"
    done = await jobs(hall).get(None, hall.schedule_id, job.job_id)
    assert (done.payments, done.refused, done.finished_at is not None) == (3, 0, True)
    assert await jobs(elsewhere).get(None, elsewhere.schedule_id, other.job_id) == other
    assert await is_due(elsewhere, other)
    [row] = await hall.db.fetch(
        "SELECT count(*) AS live FROM tickets WHERE schedule_id = $1 AND status <> 'VOID'",
        hall.schedule_id,
    )
    assert row["live"] == 0
    assert not await broken(hall.db, hall.schedule_id)


async def test_the_organizers_fault_costs_a_tenth_more(hall: Hall) -> None:
    buyer = hall.people[0]
    await sold(hall, buyer, "S001", provider="toss")
    await closed(hall)
    job = await start(hall, with_compensation=True)
    assert await jobs(hall).work(job.job_id)
    assert await hall.balance(buyer) == 5_100
    assert not await broken(hall.db, hall.schedule_id)


async def test_a_job_goes_on_where_another_process_stopped(hall: Hall) -> None:
    for at in range(1, 7):
        await sold(hall, hall.people[at % 4], f"S00{at}")
    await closed(hall)
    job = await start(hall)
    stop = asyncio.Event()

    class Dying(RefundJobs):
        async def _refund(self, *args: object) -> bool:
            stop.set()
            return await super()._refund(*args)  # type: ignore[arg-type]

    # So slow a job has one payment in progress.
    dying = Dying(RefundStore(hall.db), refunds(hall), per_s=10)
    assert not await dying.work(job.job_id, stop)
    half = await jobs(hall).get(None, hall.schedule_id, job.job_id)
    assert (half.payments, half.finished_at) == (1, None)
    assert await jobs(hall).work(job.job_id)
    done = await jobs(hall).get(None, hall.schedule_id, job.job_id)
    assert (done.payments, done.refused) == (6, 0)
    [row] = await hall.db.fetch(
        "SELECT count(*) AS n FROM refunds WHERE schedule_id = $1", hall.schedule_id
    )
    assert row["n"] == 6
    assert not await broken(hall.db, hall.schedule_id)


async def test_a_crash_between_refund_and_place_refunds_once(
    hall: Hall, monkeypatch: pytest.MonkeyPatch
) -> None:
    await sold(hall, hall.people[0], "S001")
    await closed(hall)
    job = await start(hall)

    async def dies(*_: object, **__: object) -> None:
        raise RuntimeError("killed")

    with monkeypatch.context() as patch:
        patch.setattr(RefundStore, "advance", dies)
        with pytest.raises(RuntimeError):
            await jobs(hall).work(job.job_id)
    assert await jobs(hall).work(job.job_id)
    assert await hall.balance(hall.people[0]) == 5_000
    assert not await broken(hall.db, hall.schedule_id)


async def test_two_cashiers_refund_each_payment_once(hall: Hall) -> None:
    for at in range(1, 9):
        await sold(hall, hall.people[at % 4], f"S00{at}")
    await closed(hall)
    job = await start(hall)
    await asyncio.gather(*(jobs(hall).work(job.job_id) for _ in range(3)))
    assert [await hall.balance(person) for person in hall.people] == [5_000] * 4
    assert not await broken(hall.db, hall.schedule_id)


async def test_a_hold_that_is_paid_after_the_close_is_refunded_too(
    hall: Hall, db: Database
) -> None:
    buyer = hall.people[0]
    elsewhere = await open_hall(db)
    await closed(elsewhere)
    other = await start(elsewhere)
    held = await hall.held(buyer, "S001")
    await closed(hall)
    job = await start(hall)
    assert not await jobs(hall).work(job.job_id)
    assert not await is_due(hall, job)
    assert await is_due(elsewhere, other)
    await hall.pay(buyer, held)
    assert await jobs(hall).work(job.job_id)
    assert await hall.balance(buyer) == 5_000


async def test_a_job_is_started_once(hall: Hall) -> None:
    await closed(hall)
    first = await start(hall)
    assert await start(hall) == first
    with pytest.raises(RefundJobRunning):
        await start(hall, "another")
    with pytest.raises(ScheduleNotFound):
        await jobs(hall).start(
            member(hall.people[0]), hall.schedule_id, "k", with_compensation=False
        )
    assert await jobs(hall).work(first.job_id)
    assert (await start(hall, "another")).job_id != first.job_id


async def test_a_disputed_payment_does_not_keep_the_others(hall: Hall) -> None:
    one, two, *_ = hall.people
    disputed = await sold(hall, one, "S001", provider="toss")
    await sold(hall, two, "S002")
    await hall.db.fetch(
        "INSERT INTO disputes (provider, dispute_key, dispute_id, user_id, schedule_id, payment_id,"
        " amount_minor, opened_at, changed_at, currency, payment_key, reason)"
        " VALUES ('toss', $1, gen_random_uuid(), $2, $3, $4, 1000, now(), now(), 'KRW', 'p', 'fraud')",
        str(uuid4()),
        one,
        hall.schedule_id,
        disputed.payment_id,
    )
    await closed(hall)
    job = await start(hall)
    assert await jobs(hall).work(job.job_id)
    done = await jobs(hall).get(None, hall.schedule_id, job.job_id)
    assert (done.payments, done.refused) == (2, 1)
    assert await hall.balance(two) == 5_000


async def test_jobs_and_refunds_are_shown_to_their_organizer(hall: Hall, db: Database) -> None:
    payments = [await sold(hall, hall.people[0], f"S00{at}") for at in (1, 2)]
    shown = [
        await refunds(hall).refund_as_organizer(
            member(hall.schedule_id), asked(hall, one, 1_000), waive_fee=True
        )
        for one in payments
    ][::-1]
    elsewhere = await open_hall(db)
    administration = RefundAdministration(RefundStore(db))
    for organizer in ([hall.schedule_id], None):
        assert await administration.of_schedule(organizer, hall.schedule_id, None, 9) == shown
    page = await administration.of_schedule(None, hall.schedule_id, None, 1)
    assert page == shown[:1]
    rest = await administration.of_schedule(None, hall.schedule_id, page[0].refund_id, 9)
    assert rest == shown[1:]
    assert await administration.of_schedule(None, elsewhere.schedule_id, None, 9) == []
    stranger = [elsewhere.schedule_id]
    assert await administration.of_schedule(stranger, hall.schedule_id, None, 9) == []
    await closed(hall)
    job = await start(hall)
    assert await jobs(hall).get([hall.schedule_id], hall.schedule_id, job.job_id) == job
    for organizer, job_id in ((stranger, job.job_id), (None, new_id())):
        with pytest.raises(ScheduleNotFound):
            await jobs(hall).get(organizer, hall.schedule_id, job_id)


async def test_the_organizers_quote_is_what_the_refund_brings(hall: Hall, db: Database) -> None:
    await set_policy(hall, HALF)
    organizer = member(hall.schedule_id)
    payment = await sold(hall, hall.people[0], "S001", "S002")
    place, [one, _] = ScopedId(hall.schedule_id, payment.payment_id), payment.ticket_ids

    async def quoted(*ticket_ids: UUID, waive_fee: bool) -> tuple[int, int] | None:
        ask = refunds(hall).quote_as_organizer
        found = (
            await ask(organizer.organization_ids, place, ticket_ids, waive_fee=waive_fee)
        ).quote
        return None if found is None else (found.refund_minor, found.fee_minor)

    assert await quoted(waive_fee=True) == (2_000, 0)
    assert await quoted(waive_fee=False) == (1_000, 1_000)
    assert await quoted(one, waive_fee=True) == (1_000, 0)
    # After the start nothing is refundable by the policy; a waived fee is still for the named tickets.
    await hall.change_schedule("starts_at = clock_timestamp() - interval '1 hour'")
    assert await quoted(one, waive_fee=False) is None
    assert await quoted(one, waive_fee=True) == (1_000, 0)
    request = asked(hall, payment, 1_000, one)
    refund = await refunds(hall).refund_as_organizer(organizer, request, waive_fee=True)
    assert refund.ticket_ids == (one,)
    elsewhere = await open_hall(db, balance_minor=5_000)
    with pytest.raises(PaymentNotFound):
        await refunds(hall).quote_as_organizer([elsewhere.schedule_id], place, (), waive_fee=True)


async def test_the_jobs_of_a_schedule_are_listed(hall: Hall, db: Database) -> None:
    elsewhere = await open_hall(db, balance_minor=5_000)
    for one in (hall, elsewhere):
        await closed(one)
    first = await start(hall, "a")
    await jobs(hall).work(first.job_id)
    second = await start(hall, "b")
    await start(elsewhere)

    async def listed(organizer: list[UUID] | None, before: UUID | None, count: int) -> list[UUID]:
        found = await jobs(hall).list(organizer, hall.schedule_id, before, count)
        return [one.job_id for one in found]

    assert await listed([hall.schedule_id], None, 10) == [second.job_id, first.job_id]
    assert await listed(None, None, 1) == [second.job_id]
    assert await listed(None, second.job_id, 10) == [first.job_id]
    assert await listed([elsewhere.schedule_id], None, 10) == []
