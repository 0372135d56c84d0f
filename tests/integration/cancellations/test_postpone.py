"""Postponed performances: tickets stay, holds go, and new ones stay."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from boxoffice.catalog.edits.errors import NotEditable, ScheduleCancelled
from boxoffice.catalog.edits.views import PostponeBody, ScheduleEdit
from boxoffice.errors import IdempotencyKeyReused, Invalid
from boxoffice.platform.ids import ScopedId
from boxoffice.venues.rules import LocalTime
from tests.support.hall import Hall, open_hall
from tests.support.invariants import broken
from tests.support.members import member
from tests.support.refunds import refunds, sold

from .conftest import Stage, editor_of

DAY = timedelta(days=1)


async def test_tickets_move_and_holds_end(stage: Stage, hall: Hall) -> None:
    buyer, holder, late, *_ = hall.people
    payment = await sold(hall, buyer, "S001")
    held = await hall.held(holder, "S002")
    guest = await stage.issued("S004", email="guest@example.org")
    gone = await stage.issued("S005", email="gone@example.org")
    await hall.change_schedule(
        "doors_at = starts_at - interval '1 hour', sale_closes_at = starts_at"
    )
    [before] = await stage.rows("SELECT * FROM schedules WHERE schedule_id = $1", hall.schedule_id)
    body = PostponeBody(starts_at=before["starts_at"] + 10 * DAY, reason="Typhoon")
    change = await stage.edits.postpone(stage.organizer, hall.schedule_id, body, "k")
    assert change == await stage.edits.postpone(stage.organizer, hall.schedule_id, body, "k")
    with pytest.raises(IdempotencyKeyReused):
        await stage.edits.postpone(
            stage.organizer, hall.schedule_id, PostponeBody(starts_at=body.starts_at), "k"
        )
    [after] = await stage.rows("SELECT * FROM schedules WHERE schedule_id = $1", hall.schedule_id)
    assert after["starts_at"] == before["starts_at"] + 10 * DAY
    assert after["doors_at"] == before["doors_at"] + 10 * DAY
    assert (after["status"], after["sale_closes_at"]) == ("CLOSED", None)
    assert after["postponed_from"] == before["starts_at"]
    assert after["refundable_until"] == change.refundable_until
    assert (await hall.hold(late, "S003")).name == "not_on_sale"
    desk = stage.desk()
    await desk.void(member(hall.schedule_id), ScopedId(hall.schedule_id, gone.reservation_id))
    # The sale of the new date.
    await hall.change_schedule("status = 'OPEN'")
    new = await hall.held(late, "S003")
    await stage.work_off(change)
    assert await hall.status(held) == "CANCELLED"
    assert await hall.status(new) == "HELD"
    assert await hall.status(payment.reservation_id) == "CONFIRMED"
    assert (holder, "schedule_postponed") in await stage.mails()
    assert (buyer, "schedule_postponed") in await stage.mails()
    assert (guest.reservation_id, "schedule_postponed") in await stage.mails()
    assert (gone.reservation_id, "schedule_postponed") not in await stage.mails()
    assert await hall.status(guest.reservation_id) == "CONFIRMED"
    done = await stage.change()
    assert (done.released, done.finished_at is not None) == (1, True)
    quoted = await refunds(hall).quote(buyer, ScopedId(hall.schedule_id, payment.payment_id), ())
    assert quoted.quote is not None
    assert quoted.quote.fee_minor == 0
    assert not await broken(hall.db, hall.schedule_id)


async def test_another_place_releases_no_hold(stage: Stage, hall: Hall) -> None:
    await hall.change_schedule("status = 'CLOSED'")
    [row] = await stage.rows("SELECT * FROM schedules WHERE schedule_id = $1", hall.schedule_id)
    edit = ScheduleEdit(starts_at=row["starts_at"] + DAY)
    await stage.edits.edit_schedule(stage.organizer, hall.schedule_id, edit, row["version"])
    await hall.change_schedule("status = 'OPEN'")
    held = await hall.held(hall.people[0], "S001")
    change = await stage.change()
    await stage.work_off(change)
    assert await hall.status(held) == "HELD"
    assert await stage.mails() == {(hall.people[0], "schedule_changed")}


async def test_a_sale_that_would_end_before_it_opens_is_refused(stage: Stage, hall: Hall) -> None:
    [before] = await stage.rows("SELECT * FROM schedules WHERE schedule_id = $1", hall.schedule_id)
    body = PostponeBody(
        starts_at=before["starts_at"] + DAY, sale_closes_at=before["sale_opens_at"] - DAY
    )
    with pytest.raises(Invalid):
        await stage.edits.postpone(stage.organizer, hall.schedule_id, body, "k")


async def test_what_cannot_be_postponed_is_refused(stage: Stage, hall: Hall) -> None:
    [row] = await stage.rows(
        "SELECT starts_at FROM schedules WHERE schedule_id = $1", hall.schedule_id
    )
    year = datetime.now(UTC).year + 1

    async def postpone(one: Hall, **members: object) -> None:
        body = PostponeBody(**members)  # type: ignore[arg-type]
        await stage.edits.postpone(editor_of(one), one.schedule_id, body, uuid4().hex)

    for at in (row["starts_at"], datetime.now(UTC) - DAY):
        with pytest.raises(Invalid):
            await postpone(hall, starts_at=at)
    with pytest.raises(Invalid):
        await postpone(hall, starts_at=LocalTime(local=f"{year}-02-30T19:00"))
    later = LocalTime(local=f"{year}-07-04T19:00")
    draft, begun, cancelled = [await open_hall(hall.db) for _ in range(3)]
    await draft.change_schedule("status = 'DRAFT'")
    await begun.change_schedule("starts_at = now(), sale_opens_at = now() - interval '1 day'")
    await cancelled.change_schedule("status = 'CANCELLED', cancelled_at = now()")
    for one in (draft, begun):
        with pytest.raises(NotEditable):
            await postpone(one, starts_at=later)
    with pytest.raises(ScheduleCancelled):
        await postpone(cancelled, starts_at=later)
    await postpone(hall, starts_at=later)
    [after] = await stage.rows(
        "SELECT starts_at FROM schedules WHERE schedule_id = $1", hall.schedule_id
    )
    assert after["starts_at"] == datetime(year, 7, 4, 10, tzinfo=UTC)
