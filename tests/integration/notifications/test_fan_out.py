"""The relay queues deliveries and mails exactly once, in the transaction that deletes the events."""

import asyncio
from typing import TYPE_CHECKING
from uuid import UUID

import asyncpg
import msgspec
import pytest

from boxoffice.notifications.webhooks.service import ActingMember, Changes, Webhooks
from boxoffice.outbox.service import Relay
from boxoffice.outbox.store import OutboxStore
from boxoffice.platform.postgres.database import Database, Record
from boxoffice.platform.valkey import Valkey
from boxoffice.settings import Settings
from tests.support.hall import Hall, open_hall

if TYPE_CHECKING:
    from .conftest import CreateEndpoint, Deliver

URL = "https://example.org/hook"


async def deliveries(db: Database) -> list[Record]:
    return await db.fetch("SELECT * FROM webhook_deliveries ORDER BY endpoint_id, event_id")


async def mails(db: Database) -> list[Record]:
    return await db.fetch("SELECT * FROM mails ORDER BY queued_at")


async def sell(hall: Hall, *people: UUID) -> None:
    """Sell one seat to each person."""
    for person, seat_id in zip(people, hall.seat_ids, strict=False):
        await hall.pay(person, await hall.held(person, seat_id))


async def test_an_endpoint_gets_the_events_of_its_organizers_concerts(
    db: Database, hall: Hall, create: "CreateEndpoint", relay: "Deliver"
) -> None:
    other = await open_hall(db, balance_minor=100_000)
    mine = (await create(URL)).endpoint.endpoint_id
    theirs = (await create(URL, organizer=other.schedule_id)).endpoint.endpoint_id
    await sell(hall, *hall.people[:2])
    await sell(other, other.people[0])
    await relay()
    found = await deliveries(db)
    of = {
        one: [
            msgspec.json.decode(row["body"])["data"] for row in found if row["endpoint_id"] == one
        ]
        for one in (mine, theirs)
    }
    assert {data["schedule_id"] for data in of[mine]} == {str(hall.schedule_id)}
    assert {data["schedule_id"] for data in of[theirs]} == {str(other.schedule_id)}
    # Held, confirmed and paid, once per seat.
    assert (len(of[mine]), len(of[theirs])) == (6, 3)
    assert {row["state"] for row in found} == {"WAITING"}


async def test_the_body_has_the_form_of_the_standard(
    db: Database, hall: Hall, create: "CreateEndpoint", relay: "Deliver"
) -> None:
    await create(URL, ["payment.succeeded"])
    await sell(hall, hall.people[0])
    await relay()
    [row] = await deliveries(db)
    body = msgspec.json.decode(row["body"])
    assert list(body) == ["type", "timestamp", "data"]
    assert body["type"] == row["topic"] == "payment.succeeded"
    assert body["timestamp"].endswith("Z")
    assert body["data"]["user_id"] == str(hall.people[0])
    assert body["data"]["seat_ids"] == ["S001"]
    assert body["data"]["amount"] == 1_000


async def test_only_wanted_topics_are_queued(
    db: Database, hall: Hall, create: "CreateEndpoint", relay: "Deliver"
) -> None:
    await create(URL, ["reservation.held", "reservation.cancelled"])
    person = hall.people[0]
    await hall.release(person, await hall.held(person, "S001"))
    await sell(hall, hall.people[1])
    await relay()
    topics = sorted(row["topic"] for row in await deliveries(db))
    assert topics == ["reservation.cancelled", "reservation.held", "reservation.held"]


async def test_a_disabled_or_deleted_endpoint_gets_nothing_new(
    db: Database, hall: Hall, create: "CreateEndpoint", webhooks: Webhooks, relay: "Deliver"
) -> None:
    me = ActingMember(hall.schedule_id, [hall.schedule_id], "request")
    off, gone, on = [(await create(URL)).endpoint.endpoint_id for _ in range(3)]
    await webhooks.change(me, off, Changes(is_active=False))
    await webhooks.delete(me, gone)
    await sell(hall, hall.people[0])
    await relay()
    assert {row["endpoint_id"] for row in await deliveries(db)} == {on}


async def test_each_event_is_queued_once_however_often_it_is_relayed(
    db: Database,
    valkey: Valkey,
    settings: Settings,
    hall: Hall,
    create: "CreateEndpoint",
    relay: "Deliver",
) -> None:
    """A relay that lost its lease deletes what another one has deleted: nothing is queued for it."""
    await create(URL)
    await sell(hall, *hall.people)
    slow = OutboxStore(db)
    events = await slow.oldest(500)
    role = Relay(db, valkey, settings.outbox)
    wanted = await role._wanted(events)
    first, second = await asyncio.gather(slow.delete(events, wanted), slow.delete(events, wanted))
    assert sorted([first.deliveries, second.deliveries]) == [0, 12]
    assert sorted([first.mails, second.mails]) == [0, 4]
    assert len(await deliveries(db)) == 12
    assert len(await mails(db)) == 4

    # A delivery that was forgotten since is not queued again either.
    await db.fetch("DELETE FROM webhook_deliveries")
    assert (await slow.delete(events, wanted)).deliveries == 0
    await relay()
    assert await deliveries(db) == []


async def test_what_is_not_deleted_is_not_queued(
    db: Database,
    valkey: Valkey,
    settings: Settings,
    hall: Hall,
    create: "CreateEndpoint",
) -> None:
    """The two are one transaction: where the queue refuses, the events stay."""
    await create(URL)
    await sell(hall, hall.people[0])
    await db.fetch("ALTER TABLE webhook_deliveries ADD CONSTRAINT refuse CHECK (false) NOT VALID")
    role = Relay(db, valkey, settings.outbox)
    with pytest.raises(asyncpg.CheckViolationError):
        await role.relay_once()
    assert await db.fetch("SELECT 1 FROM outbox")
    assert await deliveries(db) == await mails(db) == []
    await db.fetch("ALTER TABLE webhook_deliveries DROP CONSTRAINT refuse")
    assert await role.relay_once() == 7, "a payment, and the top-ups of the people"
    assert len(await deliveries(db)) == 3
    assert await db.fetch("SELECT 1 FROM outbox") == []


async def test_only_schedules_with_an_endpoint_are_subscribed(
    db: Database, hall: Hall, create: "CreateEndpoint"
) -> None:
    """Also of those that were named only; else every event would be encoded once more."""
    other, third = await open_hall(db), await open_hall(db)
    await create(URL)
    await create(URL, organizer=third.schedule_id)
    outbox = OutboxStore(db)
    query = "SELECT s FROM notifications_subscribed_v1($1::uuid[]) s"
    for named, found in (
        ([hall.schedule_id, other.schedule_id], [hall.schedule_id]),
        ([other.schedule_id], []),
        ([], []),
    ):
        assert await outbox.subscribed(named) == set(found)
        assert [row["s"] for row in await db.fetch(query, named)] == found


async def test_a_payment_queues_its_receipt_and_nothing_else_does(
    db: Database, hall: Hall, relay: "Deliver"
) -> None:
    await sell(hall, *hall.people[:2])
    await hall.release(hall.people[2], await hall.held(hall.people[2], "S009"))
    await relay()
    found = await mails(db)
    assert [row["kind"] for row in found] == ["receipt", "receipt"]
    assert {row["user_id"] for row in found} == set(hall.people[:2])
    payments = await db.fetch("SELECT payment_id FROM payments")
    assert {row["subject_id"] for row in found} == {row["payment_id"] for row in payments}
    assert {row["scope_id"] for row in found} == {hall.schedule_id}


async def test_a_mail_is_queued_once_per_subject(db: Database, hall: Hall) -> None:
    person, subject = hall.people[0], hall.schedule_id
    queue = """
        SELECT notifications_queue_mails_v1($1, $2::uuid, ARRAY[$2::uuid], ARRAY[$3::uuid]) AS queued
    """
    for topic, queued in (
        ("payment.succeeded", 1),
        ("payment.succeeded", 0),
        ("refund.succeeded", 1),
        ("reservation.held", 0),
    ):
        [row] = await db.fetch(queue, topic, subject, person)
        assert row["queued"] == queued, topic
    assert sorted(row["kind"] for row in await mails(db)) == ["receipt", "refund"]
