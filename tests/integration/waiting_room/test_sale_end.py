"""The end of a sale is the end of its waiting room, until the sale is opened again."""

from typing import Any
from uuid import UUID

import asyncpg
import pytest

from boxoffice.errors import QueueClosed, ScheduleNotFound
from boxoffice.platform.postgres.database import Database
from boxoffice.platform.valkey import ValkeyUnavailable
from boxoffice.waiting_room import rules
from boxoffice.waiting_room.engine.queue_state import TicketHolder
from boxoffice.waiting_room.rules import Mode, Notice, PositionState
from tests.integration.waiting_room.conftest import MakePod, Queue
from tests.support.hall import open_hall


async def change(db: Database, schedule_id: UUID, assignment: str) -> None:
    """Change a schedule in the database, before any cache knows it."""
    query = f"UPDATE schedules SET {assignment} WHERE schedule_id = $1"  # noqa: S608 — our own words
    await db.fetch(query, schedule_id)


async def test_a_called_user_is_not_admitted_after_the_close(queue: Queue, db: Database) -> None:
    """The record refuses whatever caches, Valkey or a late leader say."""
    inside, called, waits = [await queue.join() for _ in range(3)]
    await queue.set(inside_max=2)
    await queue.tick(seconds=1)
    assert (await queue.ask(inside)).state is PositionState.ADMITTED
    await change(db, queue.schedule_id, "status = 'CLOSED'")
    assert queue.known.is_sale_closed is False
    assert (await queue.ask(called)).state is PositionState.WAITING
    rows = await db.fetch("SELECT number FROM queue_admissions ORDER BY number")
    assert [row["number"] for row in rows] == [1]

    await queue.tick(3, seconds=1)
    for person in (called, waits):
        said = await queue.ask(person)
        assert (said.state, said.notice, said.eta_s) == (
            PositionState.WAITING,
            Notice.SALE_ENDED,
            None,
        )
        assert said.poll_after_s == 20, "nobody has to hurry"
    assert queue.pod.rooms.counters(queue.schedule_id).called == 2
    # Admitted users stay, because the sale may be opened again.
    assert (await queue.ask(inside)).state is PositionState.ADMITTED
    with pytest.raises(QueueClosed):
        await queue.join()

    await change(db, queue.schedule_id, "status = 'OPEN'")
    assert await queue.join(waits) == waits, "read before anybody hears a no"
    await queue.tick(2, seconds=1)
    assert (await queue.ask(called)).state is PositionState.ADMITTED


@pytest.mark.parametrize(
    "assignment", ["sale_closes_at = to_timestamp(%s)", "starts_at = to_timestamp(%s)"]
)
async def test_a_sale_ends_by_its_time(queue: Queue, db: Database, assignment: str) -> None:
    person = await queue.join()
    end = queue.clock() + 10
    await change(db, queue.schedule_id, assignment % end)
    await queue.pod.refresh(queue.schedule_id)
    assert (await queue.ask(person)).notice is None
    queue.clock.pass_(10)
    await queue.tick(3, seconds=1)
    said = await queue.ask(person)
    assert (said.state, said.notice) == (PositionState.WAITING, Notice.SALE_ENDED)
    assert queue.pod.rooms.counters(queue.schedule_id).called == 0
    with pytest.raises(QueueClosed):
        await queue.join()


@pytest.mark.parametrize(
    "assignment",
    [
        "status = 'CLOSED'",
        "sale_closes_at = clock_timestamp()",
        "starts_at = clock_timestamp()",
    ],
)
async def test_the_record_admits_no_user_after_the_end(
    queue: Queue, db: Database, assignment: str
) -> None:
    person = await queue.join()
    await queue.tick(seconds=1)
    ticket = queue.pod.tickets.read_ticket(queue.tickets[person], queue.schedule_id)
    holder = TicketHolder(person, ticket.number, ticket.number, ticket.epoch)
    said = await queue.pod.queue_state.enter(queue.known, int(queue.clock() * 1000), [holder])
    admission = said.replies[0].admission
    assert admission is not None
    await open_hall(db)  # whose sale goes on
    late: Any = (queue.schedule_id, said.epoch, said.called, said.now_ms, [admission])
    await change(db, queue.schedule_id, assignment)
    assert await queue.pod.store.admit(*late) is None
    await change(
        db, queue.schedule_id, "status = 'OPEN', sale_closes_at = NULL, starts_at = '2040-01-01Z'"
    )
    assert await queue.pod.store.admit(*late)


async def test_a_close_waits_for_an_admission_in_flight(queue: Queue, db: Database) -> None:
    """No user is admitted after the close was answered."""
    await queue.join()
    async with db.writing() as connection:
        await connection.fetch(
            "SELECT * FROM queue_admit_v1($1, 1, '{1}', ARRAY[$1::uuid], '{1}', 1, '{1}', '{1}',"
            " ARRAY[now()], ARRAY[now() + interval '1 h'], now())",
            queue.schedule_id,
        )
        async with db.connection() as other:
            await other.execute("SET lock_timeout = '200ms'")
            with pytest.raises(asyncpg.LockNotAvailableError):
                await other.execute(
                    "UPDATE schedules SET status = 'CLOSED' WHERE schedule_id = $1",
                    queue.schedule_id,
                )


async def test_a_draft_cannot_be_joined_and_shows_no_draw(queue: Queue, db: Database) -> None:
    await change(db, queue.schedule_id, "status = 'DRAFT'")
    await queue.pod.rooms.refresh()
    with pytest.raises(ScheduleNotFound):
        await queue.join()
    with pytest.raises(ScheduleNotFound):
        await queue.pod.room.room(queue.schedule_id)
    await queue.set(mode=Mode.LOBBY, opens_at=queue.clock() + 1)
    await queue.tick(3, seconds=1)
    assert [queue.known.lobby_size] == [None], "there is nobody to draw among"
    await change(db, queue.schedule_id, "status = 'OPEN'")
    person = await queue.join()
    await queue.tick(2, seconds=1)
    assert queue.known.lobby_size is not None
    assert (await queue.ask(person)).state is PositionState.ADMITTED


async def test_a_draft_concert_s_room_is_none(queue: Queue, db: Database) -> None:
    await db.fetch(
        "UPDATE concerts SET status = 'DRAFT', published_at = NULL WHERE concert_id = $1",
        queue.schedule_id,
    )
    await queue.pod.rooms.refresh()
    with pytest.raises(ScheduleNotFound):
        await queue.join()


async def test_a_process_with_an_older_epoch_keeps_a_newer_ticket(
    queue: Queue, make_pod: MakePod
) -> None:
    other = await make_pod()
    await other.refresh(queue.schedule_id)
    await queue.pod.valkey.command("DEL", f"boxoffice:queue:{{{queue.schedule_id}}}:state")
    await queue.tick(3, seconds=1)
    person = await queue.join()
    ticket = queue.tickets[person]
    assert queue.pod.tickets.read_ticket(ticket, queue.schedule_id).epoch == 2
    assert (await queue.ask(person, other)).queue_ticket is None
    assert queue.tickets[person] == ticket


async def test_streams_get_the_end_of_the_sale_without_valkey(
    queue: Queue, db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Settings come from PostgreSQL; only the progress comes from Valkey."""
    told: list[tuple[UUID, Notice | None]] = []

    def hear(schedule_id: UUID) -> None:
        counters = queue.pod.rooms.counters(schedule_id)
        told.append((schedule_id, rules.notice(queue.known, counters, queue.clock())))

    async def away(_: UUID) -> None:
        raise ValkeyUnavailable

    monkeypatch.setattr(queue.pod.queue_state, "counters", away)
    queue.pod.rooms.on_change = hear
    await change(db, queue.schedule_id, "status = 'CLOSED'")
    await queue.pod.rooms.refresh()
    assert told == [(queue.schedule_id, Notice.SALE_ENDED)]
