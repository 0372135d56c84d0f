"""The use cases of organizations: endpoints, their secrets, and the log of deliveries."""

import secrets
from collections.abc import Collection
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

import msgspec

from boxoffice.activity_log import Action, record
from boxoffice.errors import (
    IdempotencyKeyReused,
    WebhookDeliveryNotFound,
    WebhookEndpointDisabled,
    WebhookEndpointLimit,
    WebhookEndpointNotFound,
)
from boxoffice.notifications.webhooks import rules, store
from boxoffice.notifications.webhooks.store import (
    Connection,
    WebhookDelivery,
    WebhookEndpoint,
    WebhookStore,
)
from boxoffice.permissions import OrganizationIds, chosen
from boxoffice.platform.ids import new_id
from boxoffice.settings import NotificationSettings

ACTIVE = "ACTIVE"
DISABLED = "DISABLED"
_BY_ORGANIZER = "organizer"


class Changes(msgspec.Struct, frozen=True, kw_only=True):
    """What of an endpoint changes; UNSET stays. `topics` None is all topics."""

    url: str | msgspec.UnsetType = msgspec.UNSET
    topics: list[str] | msgspec.UnsetType | None = msgspec.UNSET
    is_active: bool | msgspec.UnsetType = msgspec.UNSET


class WithSecret(NamedTuple):
    """An endpoint and the secret that its receiver is to be given."""

    endpoint: WebhookEndpoint
    secret: bytes


class ActingMember(NamedTuple):
    """Who acts, in which organizations, and the request's id for the activity log."""

    user_id: UUID
    organization_ids: OrganizationIds
    request_id: str


class Webhooks:
    """Endpoints of organizations; each command and its entry in the activity log commit together."""

    def __init__(self, webhooks: WebhookStore, settings: NotificationSettings) -> None:
        self._store = webhooks
        self._settings = settings

    async def endpoints(
        self, organization_ids: OrganizationIds, before: UUID | None, limit: int
    ) -> list[WebhookEndpoint]:
        """Return up to `limit` endpoints, newest first; None as the organizations means all."""
        return await self._store.endpoints(organization_ids, before, limit)

    async def endpoint(
        self, organization_ids: OrganizationIds, endpoint_id: UUID
    ) -> WebhookEndpoint:
        """Return an endpoint; raise `WebhookEndpointNotFound`. None means any."""
        found = await self._store.endpoint(organization_ids, endpoint_id)
        if found is None:
            raise WebhookEndpointNotFound
        return found

    async def create(
        self,
        caller: ActingMember,
        url: str,
        topics: Collection[str] | None,
        key: str,
        organization_id: UUID | None = None,
    ) -> WithSecret:
        """Add an endpoint, or return the one that a request with this key has added.

        Without an organization it is of the caller's only one. Raises `OrganizationNotFound`,
        `WebhookUrlInvalid`, `Invalid` for an unknown topic, `WebhookEndpointLimit`, and
        `IdempotencyKeyReused` where the earlier request was another or its endpoint was changed since.
        """
        url, wanted = self._checked_url(url), rules.checked_topics(topics)
        owner = chosen(caller, organization_id)
        async with self._store.transaction() as connection:
            await store.lock_organization(connection, owner)
            earlier = await store.by_creation_key(connection, owner, key)
            if earlier is not None:
                return _repeated(earlier, url, wanted)
            await self._require_room(connection, owner)
            secret = secrets.token_bytes(rules.SECRET_BYTES)
            made = await store.insert_endpoint(
                connection,
                new_id(),
                owner,
                url=url,
                topics=wanted,
                secret=secret,
                key=key,
            )
            await _record(connection, caller, "webhook.created", made)
        return WithSecret(made, secret)

    async def change(
        self, caller: ActingMember, endpoint_id: UUID, changes: Changes
    ) -> WebhookEndpoint:
        """Change an endpoint; raise `WebhookEndpointNotFound`, `WebhookUrlInvalid` or `Invalid`."""
        async with self._store.transaction() as connection:
            before = await _locked(connection, caller.organization_ids, endpoint_id)
            url, topics = before.url, before.topics
            if changes.url is not msgspec.UNSET:
                url = self._checked_url(changes.url)
            if changes.topics is not msgspec.UNSET:
                topics = rules.checked_topics(changes.topics)
            state, reason = _next_state(before, changes.is_active)
            changed = await store.update_endpoint(
                connection, endpoint_id, url=url, topics=topics, state=state, reason=reason
            )
            await _record(connection, caller, "webhook.changed", changed)
        return changed

    async def delete(self, caller: ActingMember, endpoint_id: UUID) -> None:
        """Delete an endpoint; raise `WebhookEndpointNotFound`."""
        async with self._store.transaction() as connection:
            endpoint = await _locked(connection, caller.organization_ids, endpoint_id)
            await store.delete_endpoint(connection, endpoint_id)
            await _record(connection, caller, "webhook.deleted", endpoint)

    async def rotate_secret(self, caller: ActingMember, endpoint_id: UUID, key: str) -> WithSecret:
        """Give an endpoint a new secret, once per `key`; the one before it signs for some time more.

        Raises `WebhookEndpointNotFound`.
        """
        async with self._store.transaction() as connection:
            endpoint = await _locked(connection, caller.organization_ids, endpoint_id)
            # A repetition must not push the secret out that the receiver still has.
            # guard: webhook_rotation_is_replayed => if False:
            if endpoint.rotation_key == key and endpoint.secret is not None:
                return WithSecret(endpoint, endpoint.secret)
            secret = secrets.token_bytes(rules.SECRET_BYTES)
            rotated = await store.rotate_secret(
                connection, endpoint_id, secret, key, self._settings.webhook_rotation_s
            )
            await _record(connection, caller, "webhook.secret_rotated", rotated)
        return WithSecret(rotated, secret)

    async def deliveries(
        self,
        organization_ids: OrganizationIds,
        endpoint_id: UUID,
        before: tuple[datetime, int] | None,
        state: str | None,
        limit: int,
    ) -> list[WebhookDelivery]:
        """Return up to `limit` deliveries, newest first; raise `WebhookEndpointNotFound`."""
        await self.endpoint(organization_ids, endpoint_id)
        return await self._store.deliveries(endpoint_id, before, state, limit)

    async def replay(
        self, caller: ActingMember, endpoint_id: UUID, event_id: int
    ) -> WebhookDelivery:
        """Send an event again, under the same id.

        Raises `WebhookEndpointNotFound`, `WebhookDeliveryNotFound` or `WebhookEndpointDisabled`.
        """
        async with self._store.transaction() as connection:
            endpoint = await _locked_active(connection, caller.organization_ids, endpoint_id)
            queued = await store.replay(connection, endpoint_id, event_id)
            if queued is None:
                raise WebhookDeliveryNotFound
            await _record(connection, caller, "webhook.replayed", endpoint, event_id=str(event_id))
        return queued

    async def test(self, caller: ActingMember, endpoint_id: UUID) -> WebhookDelivery:
        """Queue a test event; raise `WebhookEndpointNotFound` or `WebhookEndpointDisabled`."""
        async with self._store.transaction() as connection:
            endpoint = await _locked_active(connection, caller.organization_ids, endpoint_id)
            queued = await store.queue_test(connection, endpoint_id, rules.TEST_TOPIC)
            await _record(connection, caller, "webhook.tested", endpoint)
        return queued

    def _checked_url(self, url: str) -> str:
        return rules.checked_url(url, is_loopback_allowed=self._settings.webhook_loopback_allowed)

    async def _require_room(self, connection: Connection, organization_id: UUID) -> None:
        endpoints_max = self._settings.webhook_endpoints_per_organizer_max
        # guard: webhook_limit_holds => if False:
        if await store.count_endpoints(connection, organization_id) >= endpoints_max:
            raise WebhookEndpointLimit(
                f"An organization may have {endpoints_max} webhook endpoints."
            )


def _repeated(earlier: WebhookEndpoint, url: str, topics: list[str]) -> WithSecret:
    if earlier.secret is None or (earlier.url, earlier.topics) != (url, topics):
        raise IdempotencyKeyReused
    return WithSecret(earlier, earlier.secret)


def _next_state(
    before: WebhookEndpoint, is_active: bool | msgspec.UnsetType
) -> tuple[str, str | None]:
    if is_active is msgspec.UNSET:
        return before.state, before.disabled_reason
    return (ACTIVE, None) if is_active else (DISABLED, before.disabled_reason or _BY_ORGANIZER)


async def _locked(
    connection: Connection, organization_ids: OrganizationIds, endpoint_id: UUID
) -> WebhookEndpoint:
    endpoint = await store.lock_endpoint(connection, organization_ids, endpoint_id)
    if endpoint is None:
        raise WebhookEndpointNotFound
    return endpoint


async def _locked_active(
    connection: Connection, organization_ids: OrganizationIds, endpoint_id: UUID
) -> WebhookEndpoint:
    endpoint = await _locked(connection, organization_ids, endpoint_id)
    if endpoint.state != ACTIVE:
        raise WebhookEndpointDisabled
    return endpoint


async def _record(
    connection: Connection,
    caller: ActingMember,
    action: str,
    endpoint: WebhookEndpoint,
    **details: object,
) -> None:
    """Write an entry of the activity log; it names the endpoint and never a secret."""
    entry = Action(
        organization_id=endpoint.organization_id,
        actor_id=caller.user_id,
        action=action,
        request_id=caller.request_id,
        details={
            "endpoint_id": str(endpoint.endpoint_id),
            "url": endpoint.url,
            "state": endpoint.state,
            **details,
        },
    )
    await record(connection, entry)
