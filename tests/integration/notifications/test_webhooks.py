"""Deliveries: signed, at least once, bounded, and never where they must not go."""

import asyncio
import socket
import time
from typing import TYPE_CHECKING, Any

import jsonschema_rs
import pytest
from standardwebhooks.webhooks import WebhookVerificationError

from boxoffice.activity_log.store import ActivityStore
from boxoffice.app import describe
from boxoffice.notifications.messenger import ROLE
from boxoffice.notifications.rules import WEBHOOK_DELAYS_S
from boxoffice.notifications.webhooks import store
from boxoffice.notifications.webhooks.client import NotSent, WebhookClient
from boxoffice.notifications.webhooks.service import ActingMember, Webhooks
from boxoffice.notifications.webhooks.store import DeliveryQueue, DeliveryResult
from boxoffice.platform.ids import new_id
from boxoffice.platform.lease.store import LeaseStore
from boxoffice.platform.postgres.database import Database, Record
from boxoffice.settings import Settings
from tests.support.hall import Hall

from .messengers import make_due, messenger, queue, states, until
from .receivers import Receiver, cut, stall, status

if TYPE_CHECKING:
    from .conftest import CreateEndpoint, Deliver


async def one(db: Database) -> Record:
    """Return the only delivery."""
    [row] = await db.fetch("SELECT * FROM webhook_deliveries")
    return row


async def test_a_sale_arrives_signed(
    hall: Hall,
    create: "CreateEndpoint",
    relay: "Deliver",
    receiver: Receiver,
    settings: Settings,
    db: Database,
) -> None:
    made = await create(receiver.url)
    await hall.pay(hall.people[0], await hall.held(hall.people[0], "S001"))
    await relay()
    async with messenger(settings):
        await until(lambda: len(receiver.received) == 3)
    assert len(set(receiver.ids)) == 3
    for received in receiver.received:
        assert received.head == "POST /hook HTTP/1.1"
        assert received.headers["content-type"] == "application/json"
        assert received.verified(made.secret) == received.payload
        with pytest.raises(WebhookVerificationError):
            received.verified(bytes(32))
        assert abs(int(received.headers["webhook-timestamp"]) - time.time()) < 60
    topics = {received.payload["type"] for received in receiver.received}
    assert topics == {"reservation.held", "reservation.confirmed", "payment.succeeded"}
    assert await states(db) == {"DELIVERED": 3}
    document = describe()
    for received in receiver.received:
        described = document["webhooks"][received.payload["type"]]["post"]
        content = described["requestBody"]["content"][received.headers["content-type"]]
        schema = {**content["schema"], "components": document["components"]}
        jsonschema_rs.validate(schema, received.payload)
        assert set(received.payload) == set(content["example"])
        assert set(received.payload["data"]) == set(content["example"]["data"])
        assert {one["name"] for one in described["parameters"]} <= set(received.headers)


async def test_while_a_secret_is_rotated_both_sign(
    db: Database,
    hall: Hall,
    create: "CreateEndpoint",
    webhooks: Webhooks,
    receiver: Receiver,
    settings: Settings,
) -> None:
    me = ActingMember(hall.schedule_id, [hall.schedule_id], "request")
    made = await create(receiver.url)
    rotated = await webhooks.rotate_secret(me, made.endpoint.endpoint_id, "key-1")
    assert rotated.secret != made.secret
    # A repetition is the same rotation, and the receiver's secret still signs.
    again = await webhooks.rotate_secret(me, made.endpoint.endpoint_id, "key-1")
    assert again.secret == rotated.secret
    await webhooks.test(me, made.endpoint.endpoint_id)
    async with messenger(settings):
        await until(lambda: len(receiver.received) == 1)
        [received] = receiver.received
        assert received.verified(made.secret)["type"] == "webhook.test"
        assert received.verified(rotated.secret)["type"] == "webhook.test"

        await db.fetch("UPDATE webhook_endpoints SET previous_until = now() - interval '1 s'")
        await webhooks.test(me, made.endpoint.endpoint_id)
        await until(lambda: len(receiver.received) == 2)
    assert receiver.received[1].verified(rotated.secret)
    with pytest.raises(WebhookVerificationError):
        receiver.received[1].verified(made.secret)


@pytest.mark.parametrize("code", [300, 301, 307, 400, 404, 429, 500, 503])
async def test_an_answer_other_than_2xx_is_tried_again_later(
    db: Database, create: "CreateEndpoint", settings: Settings, code: int
) -> None:
    async with Receiver(status(code, body=b"no\x00pe")) as receiver:
        made = await create(receiver.url)
        await queue(db, made.endpoint.endpoint_id, 1)
        async with messenger(settings):
            await until(lambda: _has_tries(db, 1))
            row = await one(db)
            assert (row["state"], row["last_status"]) == ("WAITING", code)
            assert row["last_answer"] == "no pe"
            wait_s = (row["due_at"] - row["tried_at"]).total_seconds()
            assert 5 * 0.8 <= wait_s <= 5 * 1.2

            receiver.respond = status(200, body=b"thanks")
            await make_due(db)
            await until(lambda: _are_delivered(db, 1))
        row = await one(db)
        assert (row["tries"], row["last_answer"]) == (2, "thanks")
        assert receiver.ids == ["1", "1"]


async def test_after_three_days_of_tries_it_is_given_up(
    db: Database, create: "CreateEndpoint", settings: Settings
) -> None:
    async with Receiver(status(500)) as receiver:
        made = await create(receiver.url)
        await queue(db, made.endpoint.endpoint_id, 1)
        waits_s = []
        async with messenger(settings):
            for tries in range(1, 10):
                await until(lambda tries=tries: _has_tries(db, tries))  # type: ignore[misc]
                row = await one(db)
                waits_s.append((row["due_at"] - row["tried_at"]).total_seconds())
                assert row["state"] == "WAITING"
                await make_due(db)
            await until(lambda: _has_tries(db, 10))
        assert await states(db) == {"FAILED": 1}
        for wait_s, delay_s in zip(waits_s, WEBHOOK_DELAYS_S, strict=True):
            assert delay_s * 0.8 <= wait_s <= delay_s * 1.2
        assert list(WEBHOOK_DELAYS_S) == sorted(WEBHOOK_DELAYS_S)
        assert sum(WEBHOOK_DELAYS_S) > 3 * 86_400


async def test_410_disables_the_endpoint_and_is_written_down(
    db: Database, hall: Hall, create: "CreateEndpoint", settings: Settings
) -> None:
    async with Receiver(status(410)) as receiver:
        made = await create(receiver.url)
        await queue(db, made.endpoint.endpoint_id, 3)
        async with messenger(settings):
            await until(lambda: _is_disabled(db))
            await asyncio.sleep(0.2)
            asked = len(receiver.received)
            await make_due(db)
            await asyncio.sleep(0.2)
            assert len(receiver.received) == asked
    entries = await ActivityStore(db).entries([hall.schedule_id], None, None, None, 10)
    [entry] = [one for one in entries if one.action == "webhook.disabled"]
    assert entry.details["reason"] == "gone"


async def test_410_of_an_earlier_address_disables_nothing(
    db: Database, create: "CreateEndpoint"
) -> None:
    made = await create("https://example.org/new")
    await create("https://example.org/new")
    queued = DeliveryQueue(db)
    async with queued.transaction() as connection:
        endpoint_id = made.endpoint.endpoint_id
        assert await store.disable_gone(connection, endpoint_id, "https://example.org/old") is None
        assert await store.disable_gone(connection, endpoint_id, "https://example.org/new")
        assert await store.disable_gone(connection, endpoint_id, "https://example.org/new") is None
    rows = await db.fetch("SELECT endpoint_id FROM webhook_endpoints WHERE state = 'DISABLED'")
    assert [row["endpoint_id"] for row in rows] == [endpoint_id]


async def test_a_redirect_is_not_followed(
    db: Database, create: "CreateEndpoint", settings: Settings
) -> None:
    async with Receiver() as elsewhere, Receiver() as receiver:
        receiver.respond = status(307, f"Location: {elsewhere.url}")
        made = await create(receiver.url)
        await queue(db, made.endpoint.endpoint_id, 1)
        async with messenger(settings):
            await until(lambda: _has_tries(db, 1))
        assert (await one(db))["last_status"] == 307
        assert elsewhere.received == []


@pytest.mark.parametrize(
    ("host", "addresses"),
    [
        ("127.0.0.1", []),
        ("[::ffff:127.0.0.1]", []),
        ("internal.example", ["10.0.0.7"]),
        ("metadata.example", ["169.254.169.254"]),
        ("both.example", ["93.184.215.14", "127.0.0.1"]),
        ("six.example", ["fd00::1"]),
        ("mapped.example", ["::ffff:10.0.0.1"]),
        ("localhost", ["127.0.0.1"]),
    ],
)
async def test_nothing_is_sent_to_an_address_that_is_not_public(
    settings: Settings, receiver: Receiver, host: str, addresses: list[str]
) -> None:
    """Also where a name leads there, and where only one of its addresses does."""
    private = settings.replace(webhook_loopback_allowed=False)

    def look_up(_host: str, port: int, **_: Any) -> list[Any]:
        return [(socket.AF_INET, 1, 6, "", (address, port)) for address in addresses]

    client = WebhookClient(private.notifications, look_up)
    await client.open()
    with pytest.raises(NotSent, match="address_not_public"):
        await client.post(f"http://{host}:{receiver.port}/", {}, "{}")
    await client.close()
    assert receiver.received == []


async def test_the_address_that_was_checked_is_the_one_that_is_used(
    settings: Settings, receiver: Receiver
) -> None:
    """A name server that changes its answer (DNS rebinding) is asked once per connection."""
    asked = []

    def look_up(host: str, port: int, **_: Any) -> list[Any]:
        asked.append(host)
        address = "127.0.0.1" if len(asked) == 1 else "10.0.0.7"
        return [(socket.AF_INET, 1, 6, "", (address, port))]

    client = WebhookClient(settings.notifications, look_up)
    await client.open()
    answer = await client.post(f"http://changing.example:{receiver.port}/", {}, "{}")
    await client.close()
    assert (answer.status, asked) == (204, ["changing.example"])
    assert receiver.received[0].headers["host"] == f"changing.example:{receiver.port}"


async def _endless(writer: asyncio.StreamWriter, _nth: int) -> None:
    """WebhookAnswer a gigabyte."""
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1073741824\r\n\r\n")
    for _ in range(1024):
        writer.write(b"x" * 1_048_576)
        await writer.drain()


async def _giant_head(writer: asyncio.StreamWriter, _nth: int) -> None:
    """WebhookAnswer with a head that does not end."""
    writer.write(b"HTTP/1.1 200 OK\r\n")
    for nth in range(100_000):
        writer.write(f"X-{nth}: {'x' * 1000}\r\n".encode())
        await writer.drain()


async def _half_a_body(writer: asyncio.StreamWriter, _nth: int) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
    await writer.drain()
    await asyncio.sleep(3_600)


async def _gibberish(writer: asyncio.StreamWriter, _nth: int) -> None:
    writer.write(b"220 mail.example ESMTP\r\n")


@pytest.mark.parametrize(
    ("respond", "state", "error"),
    [
        (stall, "WAITING", "timeout"),
        (cut, "WAITING", "no_answer"),
        (_gibberish, "WAITING", "no_answer"),
        (_giant_head, "WAITING", "no_answer"),
        (_endless, "DELIVERED", None),
        (_half_a_body, "DELIVERED", None),
    ],
    ids=["stalls", "cuts", "gibberish", "giant head", "a gigabyte", "half a body"],
)
async def test_a_hostile_receiver_costs_a_bounded_time(
    db: Database,
    create: "CreateEndpoint",
    settings: Settings,
    respond: Any,
    state: str,
    error: str | None,
) -> None:
    """A status decides, whatever comes after it."""
    async with Receiver(respond) as receiver:
        made = await create(receiver.url)
        await queue(db, made.endpoint.endpoint_id, 1)
        async with messenger(settings):
            await until(lambda: _has_tries(db, 1), timeout_s=5)
        row = await one(db)
        assert (row["state"], row["last_error"]) == (state, error)
        assert len(row["last_answer"] or "") <= settings.notifications.webhook_answer_max_bytes


async def test_a_receiver_that_is_not_there_is_tried_again(
    db: Database, create: "CreateEndpoint", settings: Settings
) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        made = await create(f"http://127.0.0.1:{closed.getsockname()[1]}/")
        await queue(db, made.endpoint.endpoint_id, 1)
        async with messenger(settings):
            await until(lambda: _has_tries(db, 1))
    assert (await one(db))["last_error"] == "not_connected"


async def test_a_slow_endpoint_delays_no_other(
    db: Database, create: "CreateEndpoint", receiver: Receiver, settings: Settings
) -> None:
    patient = settings.replace(webhook_timeout_ms=60_000)
    # The receiver ends first, or the messenger would wait for it.
    async with messenger(patient), Receiver(stall) as slow:
        stuck = await create(slow.url)
        quick = await create(receiver.url)
        await queue(db, stuck.endpoint.endpoint_id, 200)
        ids = await queue(db, quick.endpoint.endpoint_id, 200)
        await until(lambda: len(receiver.received) >= 200)
        await until(
            lambda: slow.open_now == settings.notifications.webhook_connections_per_endpoint_max
        )
        assert len(slow.received) == slow.open_now, "no try of the slow one has ended meanwhile"
        assert slow.open_max == slow.open_now, "the slow one has no more connections than allowed"
    assert sorted(receiver.ids, key=int) == ids


async def test_a_backlog_of_ten_thousand_is_worked_off(
    db: Database, create: "CreateEndpoint", receiver: Receiver, settings: Settings
) -> None:
    made = await create(receiver.url)
    ids = await queue(db, made.endpoint.endpoint_id, 10_000)
    started = time.monotonic()
    async with messenger(settings.replace(webhook_timeout_ms=10_000)):
        await until(lambda: len(receiver.received) >= len(ids), timeout_s=120)
        took_s = time.monotonic() - started
        await until(lambda: _are_delivered(db, len(ids)))
    print(f"10,000 deliveries to one endpoint: {len(ids) / took_s:,.0f} per second")
    assert sorted(receiver.ids, key=int) == ids, "without a crash nothing is sent twice"


async def test_a_replay_sends_the_same_event_again(
    db: Database,
    hall: Hall,
    create: "CreateEndpoint",
    webhooks: Webhooks,
    receiver: Receiver,
    settings: Settings,
) -> None:
    made = await create(receiver.url)
    await queue(db, made.endpoint.endpoint_id, 2)
    me = ActingMember(hall.schedule_id, [hall.schedule_id], "request")
    async with messenger(settings):
        await until(lambda: _are_delivered(db, 2))
        queued = await webhooks.replay(me, made.endpoint.endpoint_id, 2)
        assert (queued.state, queued.tries) == ("WAITING", 0)
        await until(lambda: _are_delivered(db, 2) if len(receiver.ids) == 3 else False)
    assert sorted(receiver.ids) == ["1", "2", "2"]
    assert len({one.body for one in receiver.received if one.event_id == "2"}) == 1


async def test_a_result_from_before_a_replay_is_not_written(
    db: Database, hall: Hall, create: "CreateEndpoint", webhooks: Webhooks
) -> None:
    """The attempt that is under way counts for the time before the replay."""
    made = await create("https://example.org/")
    endpoint_id = made.endpoint.endpoint_id
    await queue(db, endpoint_id, 2)
    token = await LeaseStore(db, ROLE, new_id()).take(60_000)
    assert token is not None
    deliveries = DeliveryQueue(db)
    claimed = await deliveries.claim(token, 60, {}, endpoint_max=32, total_max=100)
    assert len(claimed) == 2
    await webhooks.replay(ActingMember(hall.schedule_id, [hall.schedule_id], ""), endpoint_id, 1)
    done = [DeliveryResult(claimed=one, state="DELIVERED", status=200) for one in claimed]
    await deliveries.write(done)
    assert await states(db) == {"DELIVERED": 1, "WAITING": 1}
    # A repeated write, after an answer of PostgreSQL was lost, changes nothing.
    await deliveries.write([DeliveryResult(claimed=one, state="FAILED") for one in claimed])
    assert await states(db) == {"DELIVERED": 1, "WAITING": 1}
    [again] = await deliveries.claim(token, 60, {}, endpoint_max=32, total_max=100)
    assert (again.event_id, again.tries) == (1, 0)


async def test_a_result_is_of_one_endpoint_and_event(
    db: Database, create: "CreateEndpoint"
) -> None:
    endpoint_ids = [(await create("https://example.org/")).endpoint.endpoint_id for _ in range(2)]
    for endpoint_id in endpoint_ids:
        await queue(db, endpoint_id, 2)
    token = await LeaseStore(db, ROLE, new_id()).take(60_000)
    assert token is not None
    deliveries = DeliveryQueue(db)
    [first, *_] = await deliveries.claim(token, 60, {}, endpoint_max=9, total_max=9)
    await deliveries.write([DeliveryResult(claimed=first, state="DELIVERED")])
    rows = await db.fetch("SELECT * FROM webhook_deliveries WHERE state = 'DELIVERED'")
    done = [(row["endpoint_id"], row["event_id"]) for row in rows]
    assert done == [(first.endpoint_id, first.event_id)]


async def test_only_the_holder_of_the_lease_claims(db: Database, create: "CreateEndpoint") -> None:
    made = await create("https://example.org/")
    await queue(db, made.endpoint.endpoint_id, 3)
    deliveries = DeliveryQueue(db)
    frozen, heir = (LeaseStore(db, ROLE, new_id()) for _ in range(2))
    old = await frozen.take(60_000)
    assert old is not None
    stale = await deliveries.claim(old, 60, {}, endpoint_max=2, total_max=100)
    assert len(stale) == 2
    await frozen.release(old)
    new = await heir.take(60_000)
    assert new == old + 1
    assert await deliveries.claim(old, 60, {}, endpoint_max=9, total_max=100) == []
    # What the frozen one has claimed is the heir's at once; its own claims stay claimed.
    assert len(await deliveries.claim(new, 60, {}, endpoint_max=9, total_max=100)) == 1
    await deliveries.requeue(new, 60)
    assert len(await deliveries.claim(new, 60, {}, endpoint_max=9, total_max=100)) == 2
    # The frozen one resumes with results of claims that are another's now.
    await deliveries.write([DeliveryResult(claimed=one, state="FAILED") for one in stale])
    assert await states(db) == {"WAITING": 3}


async def test_claims_keep_to_the_room_of_each_endpoint(
    db: Database, create: "CreateEndpoint"
) -> None:
    first, second, third = [
        (await create("https://example.org/")).endpoint.endpoint_id for _ in range(3)
    ]
    for nth, endpoint_id in enumerate((first, second, third)):
        await queue(db, endpoint_id, 10, first=1 + 100 * nth)
    token = await LeaseStore(db, ROLE, new_id()).take(60_000)
    assert token is not None
    room = {first: 0, second: 3}
    claimed = await DeliveryQueue(db).claim(token, 60, room, endpoint_max=5, total_max=100)
    counts = [sum(one.endpoint_id == key for one in claimed) for key in (first, second, third)]
    assert counts == [0, 3, 5]


async def test_old_deliveries_are_forgotten_and_deleted_endpoints_with_them(
    db: Database, hall: Hall, create: "CreateEndpoint", webhooks: Webhooks
) -> None:
    kept, gone = [(await create("https://example.org/")).endpoint.endpoint_id for _ in range(2)]
    for endpoint_id in (kept, gone):
        await queue(db, endpoint_id, 5)
    await webhooks.delete(ActingMember(hall.schedule_id, [hall.schedule_id], ""), gone)
    unused = (await create("https://example.org/")).endpoint.endpoint_id
    deliveries = DeliveryQueue(db)
    assert await deliveries.forget(3_600, 100) == 0
    await db.fetch("UPDATE webhook_deliveries SET queued_at = queued_at - interval '2 hours'")
    await queue(db, kept, 5, first=100)
    assert await deliveries.forget(3_600, 7) == 7
    assert await deliveries.forget(3_600, 7) == 3
    rows = await db.fetch("SELECT endpoint_id FROM webhook_endpoints")
    assert {row["endpoint_id"] for row in rows} == {kept, unused}
    assert (await db.fetch("SELECT count(*) AS n FROM webhook_deliveries"))[0]["n"] == 5


async def _has_tries(db: Database, tries: int) -> bool:
    return bool((await one(db))["tries"] == tries)


async def _are_delivered(db: Database, count: int) -> bool:
    return await states(db) == {"DELIVERED": count}


async def _is_disabled(db: Database) -> bool:
    rows = await db.fetch("SELECT state, disabled_reason FROM webhook_endpoints")
    return [tuple(row) for row in rows] == [("DISABLED", "gone")]
