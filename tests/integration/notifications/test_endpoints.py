"""What organizers do with their endpoints: their own only, within limits, each written down."""

import asyncio
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

import pytest

from boxoffice.activity_log.store import ActivityStore
from boxoffice.errors import (
    IdempotencyKeyReused,
    WebhookDeliveryNotFound,
    WebhookEndpointDisabled,
    WebhookEndpointLimit,
    WebhookEndpointNotFound,
    WebhookUrlInvalid,
)
from boxoffice.notifications.webhooks.service import ActingMember, Changes, Webhooks
from boxoffice.notifications.webhooks.store import WebhookStore
from boxoffice.permissions import OrganizationIds
from boxoffice.platform.postgres.database import Database
from boxoffice.settings import Settings
from tests.support.hall import Hall, open_hall

if TYPE_CHECKING:
    from .conftest import CreateEndpoint

URL = "https://example.org/hook"


@pytest.fixture
def me(hall: Hall) -> ActingMember:
    """The organizer."""
    return ActingMember(hall.schedule_id, [hall.schedule_id], "request-1")


@pytest.fixture
async def other(db: Database) -> ActingMember:
    """Another organizer."""
    theirs = (await open_hall(db)).schedule_id
    return ActingMember(theirs, [theirs], "request-2")


async def test_a_repeated_creation_is_one(
    webhooks: Webhooks, me: ActingMember, other: ActingMember
) -> None:
    both = await asyncio.gather(*(webhooks.create(me, URL, None, "key") for _ in range(2)))
    assert both[0].endpoint.endpoint_id == both[1].endpoint.endpoint_id
    assert both[0].secret == both[1].secret
    theirs = await webhooks.create(other, URL, None, "key")
    assert theirs.endpoint.endpoint_id != both[0].endpoint.endpoint_id
    assert theirs.secret != both[0].secret
    second = await webhooks.create(me, URL, None, "key-2")
    assert second.endpoint.endpoint_id != both[0].endpoint.endpoint_id
    for url, topics in ((URL + "/2", None), (URL, ["reservation.held"])):
        with pytest.raises(IdempotencyKeyReused):
            await webhooks.create(me, url, topics, "key")
    await webhooks.delete(me, second.endpoint.endpoint_id)
    with pytest.raises(IdempotencyKeyReused):
        await webhooks.create(me, URL, None, "key-2")


async def test_an_organizer_has_a_limit_also_at_one_moment(
    db: Database, settings: Settings, me: ActingMember, other: ActingMember
) -> None:
    few = settings.replace(webhook_endpoints_per_organizer_max=3)
    webhooks = Webhooks(WebhookStore(db), few.notifications)
    tries = [webhooks.create(me, URL, None, uuid4().hex) for _ in range(8)]
    results = await asyncio.gather(*tries, return_exceptions=True)
    made = [one for one in results if not isinstance(one, BaseException)]
    assert len(made) == 3
    assert sum(isinstance(one, WebhookEndpointLimit) for one in results) == 5
    await webhooks.create(other, URL, None, "theirs")
    await webhooks.delete(me, made[0].endpoint.endpoint_id)
    await webhooks.create(me, URL, None, "instead")


async def test_the_list_has_ones_own_newest_first(
    webhooks: Webhooks, me: ActingMember, other: ActingMember, create: "CreateEndpoint"
) -> None:
    mine = [(await create(URL)).endpoint.endpoint_id for _ in range(4)]
    theirs = (await create(URL, organizer=other.user_id)).endpoint.endpoint_id
    await webhooks.delete(me, mine.pop(1))
    newest = mine[::-1]

    async def listed(organizer: OrganizationIds, before: UUID | None, limit: int) -> list[UUID]:
        return [one.endpoint_id for one in await webhooks.endpoints(organizer, before, limit)]

    assert await listed(me.organization_ids, None, 9) == newest
    assert await listed(me.organization_ids, None, 2) == newest[:2]
    assert await listed(me.organization_ids, newest[0], 9) == newest[1:]
    assert await listed(None, None, 9) == [theirs, *newest]


async def test_changes(webhooks: Webhooks, me: ActingMember, create: "CreateEndpoint") -> None:
    made, untouched = [(await create(URL)).endpoint for _ in range(2)]
    changed = await webhooks.change(
        me, made.endpoint_id, Changes(url=URL + "/2", topics=["reservation.held"])
    )
    assert (changed.url, changed.topics, changed.state) == (
        URL + "/2",
        ["reservation.held"],
        "ACTIVE",
    )
    off = await webhooks.change(me, made.endpoint_id, Changes(is_active=False))
    assert (off.url, off.state, off.disabled_reason) == (URL + "/2", "DISABLED", "organizer")
    everything = await webhooks.change(me, made.endpoint_id, Changes(topics=None))
    assert (everything.topics, everything.state) == (["*"], "DISABLED")
    on = await webhooks.change(me, made.endpoint_id, Changes(is_active=True))
    assert (on.state, on.disabled_reason) == ("ACTIVE", None)
    with pytest.raises(WebhookUrlInvalid):
        await webhooks.change(me, made.endpoint_id, Changes(url="https://10.0.0.1/"))
    [other, _] = await webhooks.endpoints(me.organization_ids, None, 9)
    assert other == untouched


async def test_nothing_of_another_organizer_can_be_reached(
    webhooks: Webhooks, other: ActingMember, create: "CreateEndpoint", db: Database
) -> None:
    endpoint_id = (await create(URL)).endpoint.endpoint_id
    for attempt in (
        webhooks.change(other, endpoint_id, Changes(is_active=False)),
        webhooks.delete(other, endpoint_id),
        webhooks.rotate_secret(other, endpoint_id, "key"),
        webhooks.test(other, endpoint_id),
        webhooks.replay(other, endpoint_id, 1),
        webhooks.deliveries(other.organization_ids, endpoint_id, None, None, 9),
    ):
        with pytest.raises(WebhookEndpointNotFound):
            await attempt
    [row] = await db.fetch("SELECT state, rotation_key FROM webhook_endpoints")
    assert tuple(row) == ("ACTIVE", None)


async def test_a_deleted_endpoint_is_gone_with_its_secrets(
    webhooks: Webhooks, me: ActingMember, create: "CreateEndpoint", db: Database
) -> None:
    endpoint_id, kept = [(await create(URL)).endpoint.endpoint_id for _ in range(2)]
    await webhooks.rotate_secret(me, endpoint_id, "key")
    await webhooks.delete(me, endpoint_id)
    for attempt in (
        webhooks.delete(me, endpoint_id),
        webhooks.test(me, endpoint_id),
        webhooks.deliveries(None, endpoint_id, None, None, 9),
    ):
        with pytest.raises(WebhookEndpointNotFound):
            await attempt
    rows = await db.fetch(
        "SELECT endpoint_id, num_nonnulls(secret, previous_secret) AS secrets FROM webhook_endpoints"
    )
    assert {row["endpoint_id"]: row["secrets"] for row in rows} == {endpoint_id: 0, kept: 1}


async def test_a_rotation_changes_one_endpoint(
    webhooks: Webhooks, me: ActingMember, create: "CreateEndpoint", db: Database
) -> None:
    made, other = await create(URL), await create(URL)
    first = await webhooks.rotate_secret(me, made.endpoint.endpoint_id, "one")
    assert (
        await webhooks.rotate_secret(me, made.endpoint.endpoint_id, "one")
    ).secret == first.secret
    second = await webhooks.rotate_secret(me, made.endpoint.endpoint_id, "two")
    rows = await db.fetch("SELECT endpoint_id, secret, previous_secret FROM webhook_endpoints")
    found = {row["endpoint_id"]: (row["secret"], row["previous_secret"]) for row in rows}
    assert found[made.endpoint.endpoint_id] == (second.secret, first.secret)
    assert found[other.endpoint.endpoint_id] == (other.secret, None)
    assert second.endpoint.previous_until is not None


async def test_a_rotation_that_is_repeated_at_one_moment_is_one(
    webhooks: Webhooks, me: ActingMember, create: "CreateEndpoint", db: Database
) -> None:
    made = await create(URL)
    tries = [webhooks.rotate_secret(me, made.endpoint.endpoint_id, "one") for _ in range(4)]
    assert len({one.secret for one in await asyncio.gather(*tries)}) == 1
    [row] = await db.fetch("SELECT previous_secret FROM webhook_endpoints")
    assert row["previous_secret"] == made.secret, "the receiver's secret still signs"


async def test_the_log_of_deliveries(
    webhooks: Webhooks, me: ActingMember, create: "CreateEndpoint", db: Database
) -> None:
    endpoint_id, elsewhere = [(await create(URL)).endpoint.endpoint_id for _ in range(2)]
    queued = [await webhooks.test(me, endpoint_id) for _ in range(4)]
    await webhooks.test(me, elsewhere)
    assert all(one.event_id < 0 and one.topic == "webhook.test" for one in queued)
    await db.fetch(
        "UPDATE webhook_deliveries SET state = 'FAILED' WHERE event_id = $1", queued[1].event_id
    )
    newest = [one.event_id for one in reversed(queued)]

    async def listed(before: object = None, state: str | None = None, limit: int = 9) -> list[int]:
        found = await webhooks.deliveries(
            me.organization_ids,
            endpoint_id,
            before,  # type: ignore[arg-type]
            state,
            limit,
        )
        return [one.event_id for one in found]

    assert await listed() == newest
    assert await listed(limit=2) == newest[:2]
    place = (queued[2].queued_at, queued[2].event_id)
    assert await listed(before=place) == newest[2:]
    assert await listed(state="FAILED") == [queued[1].event_id]

    replayed = await webhooks.replay(me, endpoint_id, queued[1].event_id)
    assert (replayed.state, replayed.body) == ("WAITING", queued[1].body)
    assert await listed(state="FAILED") == []
    with pytest.raises(WebhookDeliveryNotFound):
        await webhooks.replay(me, elsewhere, queued[1].event_id)
    rows = await db.fetch("SELECT event_id FROM webhook_deliveries WHERE attempts > 0")
    assert [row["event_id"] for row in rows] == [queued[1].event_id]


async def test_a_disabled_endpoint_sends_nothing_on_request(
    webhooks: Webhooks, me: ActingMember, create: "CreateEndpoint"
) -> None:
    endpoint_id = (await create(URL)).endpoint.endpoint_id
    queued = await webhooks.test(me, endpoint_id)
    await webhooks.change(me, endpoint_id, Changes(is_active=False))
    for attempt in (
        webhooks.test(me, endpoint_id),
        webhooks.replay(me, endpoint_id, queued.event_id),
    ):
        with pytest.raises(WebhookEndpointDisabled):
            await attempt


async def test_every_change_is_written_down_without_secrets(
    webhooks: Webhooks, me: ActingMember, db: Database
) -> None:
    made = await webhooks.create(me, URL, None, "key")
    endpoint_id = made.endpoint.endpoint_id
    await webhooks.change(me, endpoint_id, Changes(topics=["reservation.held"]))
    await webhooks.rotate_secret(me, endpoint_id, "key")
    queued = await webhooks.test(me, endpoint_id)
    await webhooks.replay(me, endpoint_id, queued.event_id)
    await webhooks.delete(me, endpoint_id)
    entries = await ActivityStore(db).entries(me.organization_ids, None, None, None, 20)
    assert [one.action for one in reversed(entries)] == [
        "webhook.created",
        "webhook.changed",
        "webhook.secret_rotated",
        "webhook.tested",
        "webhook.replayed",
        "webhook.deleted",
    ]
    assert {one.request_id for one in entries} == {"request-1"}
    assert all(one.details["endpoint_id"] == str(endpoint_id) for one in entries)
    assert "whsec" not in repr(entries)
