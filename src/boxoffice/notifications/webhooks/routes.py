"""Webhook endpoints over HTTP, for members of organizations; operators look only."""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal, NamedTuple
from uuid import UUID

import msgspec
from msgspec import UNSET, Meta, UnsetType

from boxoffice.errors import (
    CursorInvalid,
    IdempotencyKeyReused,
    OrganizationNotFound,
    OutcomeUnknown,
    WebhookDeliveryNotFound,
    WebhookEndpointDisabled,
    WebhookEndpointLimit,
    WebhookEndpointNotFound,
    WebhookUrlInvalid,
)
from boxoffice.http.api.events import PublishedEvent
from boxoffice.http.api.operation import Call, PathId, Reply, RouteDependencies, operation
from boxoffice.http.api.paging import Page, PageQuery, decode_cursor, page
from boxoffice.notifications.webhooks import rules
from boxoffice.notifications.webhooks.service import ActingMember, Changes, Webhooks
from boxoffice.notifications.webhooks.store import WebhookDelivery, WebhookEndpoint
from boxoffice.outbox.topics import TOPICS
from boxoffice.permissions import Permission, narrowed
from boxoffice.platform.ids import parse_uuid

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_EVENT_IDS = range(-(1 << 53), 1 << 53)


def _event_id(text: str) -> int | None:
    digits = text.removeprefix("-")
    if not (digits.isascii() and digits.isdigit() and len(digits) <= 16):
        return None
    value = int(text)
    return value if str(value) == text and value in _EVENT_IDS else None


ENDPOINT = {"endpoint_id": PathId(parse_uuid, WebhookEndpointNotFound, "The id of an endpoint.")}
DELIVERY = {
    **ENDPOINT,
    "event_id": PathId(_event_id, WebhookDeliveryNotFound, "The id of an event."),
}

Url = Annotated[
    str,
    Meta(
        min_length=9,
        max_length=2_048,
        description="Where events are sent: https, a host in the public internet.",
    ),
]
Topics = Annotated[
    list[Annotated[str, Meta(max_length=64)]],
    Meta(min_length=1, max_length=64, description="The wanted topics; all of them without it."),
]


class EndpointsQuery(PageQuery, frozen=True, kw_only=True):
    """A page of endpoints, optionally of one organization."""

    organization_id: UUID | None = None


class EndpointBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A new endpoint; without `topics` it gets the events of all topics, also of later ones.

    It is of the caller's only organization if none is named.
    """

    organization_id: UUID | None = None
    url: Url
    topics: Topics | None = None


class EndpointChanges(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What changes; `topics` null is all topics. An active endpoint gets what still waits."""

    url: Url | UnsetType = UNSET
    topics: Topics | UnsetType | None = UNSET
    is_active: bool | UnsetType = UNSET


class EndpointOut(msgspec.Struct, frozen=True, kw_only=True):
    """An endpoint. `disabled_reason` is `organizer`, or `gone` where the receiver answered 410.

    Until `previous_secret_until` deliveries are also signed with the secret before the last rotation.
    """

    endpoint_id: UUID
    organization_id: UUID
    url: str
    topics: list[str] | None
    state: str
    disabled_reason: str | None
    created_at: datetime
    previous_secret_until: datetime | None


class EndpointWithSecret(EndpointOut, frozen=True, kw_only=True):
    """An endpoint with its signing secret, which only this answer contains."""

    secret: str


class DeliveryOut(msgspec.Struct, frozen=True, kw_only=True):
    """An event on its way: `WAITING` until `next_try_at`, `DELIVERED`, or `FAILED` after all tries.

    `last_error` is a word where no status was received; `last_answer` the beginning of the answer.
    """

    event_id: str
    topic: str
    queued_at: datetime
    state: str
    tries: int
    next_try_at: datetime | None
    last_tried_at: datetime | None
    last_status: int | None
    last_error: str | None
    last_answer: str | None
    body: str


class DeliveryQuery(PageQuery, frozen=True, kw_only=True):
    """A page of deliveries, optionally of one state."""

    state: Literal["WAITING", "DELIVERED", "FAILED"] | None = None


class _Place(NamedTuple):
    """The place of a delivery in the list; its time in microseconds since 1970."""

    at_us: Annotated[int, Meta(ge=0, le=7_258_118_400_000_000)]
    event_id: Annotated[int, Meta(ge=-(1 << 53), le=1 << 53)]


class _WebhookResource:
    def __init__(self, service: Webhooks, dependencies: RouteDependencies) -> None:
        self.dependencies = dependencies
        self._service = service


class AdminWebhooks(_WebhookResource):
    """`/v1/admin/webhooks`."""

    @operation(
        "List webhook endpoints",
        permission=Permission.WEBHOOKS_READ,
        query=EndpointsQuery,
        returns=Page[EndpointOut],
        problems=[CursorInvalid, OrganizationNotFound],
    )
    async def on_get(self, call: Call[None, EndpointsQuery]) -> Reply:
        """Those of the caller's organizations, newest first; an operator sees all. No secrets."""
        limit = call.query.limit
        found = await self._service.endpoints(
            narrowed(call.caller, call.query.organization_id),
            decode_cursor(call.query.cursor, UUID),
            limit + 1,
        )
        return Reply(page(found, limit, _endpoint, lambda one: one.endpoint_id))

    @operation(
        "Create a webhook endpoint",
        201,
        permission=Permission.WEBHOOKS_WRITE,
        keyed=True,
        body=EndpointBody,
        returns=EndpointWithSecret,
        problems=[
            OrganizationNotFound,
            WebhookUrlInvalid,
            WebhookEndpointLimit,
            IdempotencyKeyReused,
            OutcomeUnknown,
        ],
    )
    async def on_post(self, call: Call[EndpointBody, None]) -> Reply:
        """Sends it the events of the organization's concerts. Only this answer has the secret."""
        given = call.body
        made = await self._service.create(
            _caller(call), given.url, given.topics, call.key, given.organization_id
        )
        return Reply(_with_secret(made.endpoint, made.secret))


class AdminWebhook(_WebhookResource):
    """`/v1/admin/webhooks/{endpoint_id}`."""

    @operation(
        "Get a webhook endpoint",
        path=ENDPOINT,
        permission=Permission.WEBHOOKS_READ,
        returns=EndpointOut,
    )
    async def on_get(self, call: Call[None, None]) -> Reply:
        """One of the caller's own; an operator sees all. The secret is not shown."""
        found = await self._service.endpoint(call.caller.organization_ids, call.ids["endpoint_id"])
        return Reply(_endpoint(found))

    @operation(
        "Change a webhook endpoint",
        path=ENDPOINT,
        permission=Permission.WEBHOOKS_WRITE,
        body=EndpointChanges,
        returns=EndpointOut,
        problems=[WebhookUrlInvalid, OutcomeUnknown],
    )
    async def on_patch(self, call: Call[EndpointChanges, None]) -> Reply:
        """A field that is absent stays. `is_active` true enables an endpoint that was disabled."""
        given = call.body
        changes = Changes(url=given.url, topics=given.topics, is_active=given.is_active)
        changed = await self._service.change(_caller(call), call.ids["endpoint_id"], changes)
        return Reply(_endpoint(changed))

    @operation(
        "Delete a webhook endpoint",
        204,
        path=ENDPOINT,
        permission=Permission.WEBHOOKS_WRITE,
        problems=[OutcomeUnknown],
    )
    async def on_delete(self, call: Call[None, None]) -> Reply:
        """Ends it; what still waits is not sent."""
        await self._service.delete(_caller(call), call.ids["endpoint_id"])
        return Reply()


class AdminWebhookSecret(_WebhookResource):
    """`/v1/admin/webhooks/{endpoint_id}/rotate-secret`."""

    @operation(
        "Rotate a webhook secret",
        path=ENDPOINT,
        permission=Permission.WEBHOOKS_WRITE,
        keyed=True,
        returns=EndpointWithSecret,
        problems=[OutcomeUnknown],
    )
    async def on_post(self, call: Call[None, None]) -> Reply:
        """Deliveries carry signatures of both secrets until `previous_secret_until`."""
        rotated = await self._service.rotate_secret(
            _caller(call), call.ids["endpoint_id"], call.key
        )
        return Reply(_with_secret(rotated.endpoint, rotated.secret))


class AdminWebhookTest(_WebhookResource):
    """`/v1/admin/webhooks/{endpoint_id}/test`."""

    @operation(
        "Send a test event",
        202,
        path=ENDPOINT,
        permission=Permission.WEBHOOKS_WRITE,
        returns=DeliveryOut,
        problems=[WebhookEndpointDisabled, OutcomeUnknown],
    )
    async def on_post(self, call: Call[None, None]) -> Reply:
        """Queues an event `webhook.test` with empty data and a negative id."""
        return Reply(_delivery(await self._service.test(_caller(call), call.ids["endpoint_id"])))


class AdminWebhookDeliveries(_WebhookResource):
    """`/v1/admin/webhooks/{endpoint_id}/deliveries`."""

    @operation(
        "List deliveries",
        path=ENDPOINT,
        permission=Permission.WEBHOOKS_READ,
        query=DeliveryQuery,
        returns=Page[DeliveryOut],
        problems=[CursorInvalid],
    )
    async def on_get(self, call: Call[None, DeliveryQuery]) -> Reply:
        """Newest first, with the result of the last try."""
        query = call.query
        place = decode_cursor(query.cursor, _Place)
        found = await self._service.deliveries(
            call.caller.organization_ids,
            call.ids["endpoint_id"],
            None if place is None else (_EPOCH + place.at_us * _MICROSECOND, place.event_id),
            query.state,
            query.limit + 1,
        )
        return Reply(page(found, query.limit, _delivery, _place))


class AdminWebhookReplay(_WebhookResource):
    """`/v1/admin/webhooks/{endpoint_id}/deliveries/{event_id}/replay`."""

    @operation(
        "Replay a delivery",
        202,
        path=DELIVERY,
        permission=Permission.WEBHOOKS_WRITE,
        returns=DeliveryOut,
        problems=[WebhookEndpointDisabled, OutcomeUnknown],
    )
    async def on_post(self, call: Call[None, None]) -> Reply:
        """Sends the event again under the same `webhook-id`, also one that was delivered."""
        queued = await self._service.replay(
            _caller(call), call.ids["endpoint_id"], call.ids["event_id"]
        )
        return Reply(_delivery(queued))


def _caller(call: Call[Any, Any]) -> ActingMember:
    return ActingMember(call.caller.user_id, call.caller.organization_ids, call.request_id)


def _shown(one: WebhookEndpoint) -> dict[str, Any]:
    return {
        "endpoint_id": one.endpoint_id,
        "organization_id": one.organization_id,
        "url": one.url,
        "topics": rules.shown_topics(one.topics),
        "state": one.state,
        "disabled_reason": one.disabled_reason,
        "created_at": one.created_at,
        "previous_secret_until": one.previous_until,
    }


def _endpoint(one: WebhookEndpoint) -> EndpointOut:
    return EndpointOut(**_shown(one))


def _with_secret(one: WebhookEndpoint, secret: bytes) -> EndpointWithSecret:
    return EndpointWithSecret(**_shown(one), secret=rules.shown_secret(secret))


def _delivery(one: WebhookDelivery) -> DeliveryOut:
    return DeliveryOut(
        event_id=str(one.event_id),
        topic=one.topic,
        queued_at=one.queued_at,
        state=one.state,
        tries=one.tries,
        next_try_at=one.due_at if one.state == "WAITING" else None,
        last_tried_at=one.tried_at,
        last_status=one.last_status,
        last_error=one.last_error,
        last_answer=one.last_answer,
        body=one.body,
    )


def _place(one: WebhookDelivery) -> _Place:
    return _Place((one.queued_at - _EPOCH) // _MICROSECOND, one.event_id)


def routes(service: Webhooks, dependencies: RouteDependencies) -> list[tuple[str, object]]:
    """Return the resources of this module by URI template."""
    base = "/v1/admin/webhooks"
    one = f"{base}/{{endpoint_id}}"
    return [
        (base, AdminWebhooks(service, dependencies)),
        (one, AdminWebhook(service, dependencies)),
        (f"{one}/rotate-secret", AdminWebhookSecret(service, dependencies)),
        (f"{one}/test", AdminWebhookTest(service, dependencies)),
        (f"{one}/deliveries", AdminWebhookDeliveries(service, dependencies)),
        (
            f"{one}/deliveries/{{event_id}}/replay",
            AdminWebhookReplay(service, dependencies),
        ),
    ]


class NoData(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The data of a test event: none."""


def published_events() -> list[PublishedEvent]:
    """Return all events, for the description: those that endpoints get, and those of the stream."""
    test = PublishedEvent(
        rules.TEST_TOPIC, "An organizer asked for it.", NoData, is_webhook=True, is_streamed=False
    )
    return [
        *(
            PublishedEvent(
                topic.name, topic.occasion, topic.data, is_webhook=topic.name in rules.TOPIC_NAMES
            )
            for topic in TOPICS.values()
        ),
        test,
    ]
