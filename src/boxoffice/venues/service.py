"""The use cases of venues."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from msgspec import UNSET
from msgspec.structs import asdict

from boxoffice.activity_log import Action, record
from boxoffice.errors import IdempotencyKeyReused, Invalid
from boxoffice.permissions import Actor, OrganizationIds, chosen
from boxoffice.platform.conditional import require_version
from boxoffice.platform.ids import new_id
from boxoffice.venues import store
from boxoffice.venues.errors import TimeZoneUnknown, VenueInUse, VenueNotFound
from boxoffice.venues.rules import zone_named
from boxoffice.venues.store import MEMBERS, VenueStore
from boxoffice.venues.views import Venue, VenueBody, VenueEdit

# Members that are never null in the schema.
_TEXTS = ("address", "city")


class Venues:
    """The venues of organizations."""

    def __init__(self, venues: VenueStore) -> None:
        self._store = venues

    async def list_of_organizer(
        self, organization_ids: OrganizationIds, before: UUID | None, count: int
    ) -> list[Venue]:
        """Return at most `count` venues of some organizations, the newest first; None means all."""
        return await self._store.list_of_organizer(organization_ids, before, count)

    async def get(self, organization_ids: OrganizationIds, venue_id: UUID) -> Venue:
        """Return a venue of these organizations, or of any for None; raise `VenueNotFound`."""
        found = await self._store.get(venue_id, organization_ids)
        if found is None:
            raise VenueNotFound
        return found

    async def create(
        self, actor: Actor, given: VenueBody, key: str, *, request_id: str = ""
    ) -> Venue:
        """Add a venue, or return the one that a request with this key has added.

        Raises `OrganizationNotFound`, `TimeZoneUnknown`, `Invalid`, and `IdempotencyKeyReused` where
        the earlier request was another or its venue was changed since.
        """
        owner = chosen(actor, given.organization_id)
        members = _checked(asdict(given))
        async with self._store.transaction() as connection:
            made = await store.insert(connection, new_id(), owner, key, members)
            if made is None:
                return _repeated(await store.by_creation_key(connection, owner, key), members)
            details = {"venue_id": str(made.venue_id), "name": made.name}
            await _record(connection, actor, owner, "venue.created", request_id, details)
        return made

    async def edit(
        self,
        actor: Actor,
        venue_id: UUID,
        edit: VenueEdit,
        version: int,
        *,
        request_id: str = "",
    ) -> Venue:
        """Change members of a venue.

        Raises `VenueNotFound`, `PreconditionFailed`, `TimeZoneUnknown`, `Invalid`, and `VenueInUse` for
        the time zone of a venue whose performances buyers see.
        """
        async with self._store.transaction() as connection:
            before = await store.lock(connection, venue_id, actor.organization_ids)
            if before is None:
                raise VenueNotFound
            require_version(version, before.version)
            old = {name: getattr(before, name) for name in MEMBERS}
            wanted = {name: value for name, value in asdict(edit).items() if value is not UNSET}
            new = _checked(old | wanted)
            changed = {name: [old[name], new[name]] for name in MEMBERS if old[name] != new[name]}
            if not changed:
                return before
            # guard: zone_of_a_venue_on_show_stays => if False:
            if "time_zone" in changed and await store.is_on_show(connection, venue_id):
                raise VenueInUse("Buyers see performances at this venue in its time zone.")
            after = await store.update(connection, venue_id, new)
            details = {"venue_id": str(venue_id), "changed": changed}
            await _record(
                connection, actor, before.organization_id, "venue.changed", request_id, details
            )
        return after

    async def delete(
        self, actor: Actor, venue_id: UUID, version: int, *, request_id: str = ""
    ) -> None:
        """Delete a venue; raise `VenueNotFound`, `PreconditionFailed` and `VenueInUse`."""
        async with self._store.transaction() as connection:
            before = await store.lock(connection, venue_id, actor.organization_ids)
            if before is None:
                raise VenueNotFound
            require_version(version, before.version)
            await store.delete(connection, venue_id)
            details = {"venue_id": str(venue_id), "name": before.name}
            await _record(
                connection, actor, before.organization_id, "venue.deleted", request_id, details
            )


def _repeated(earlier: Venue | None, members: Mapping[str, Any]) -> Venue:
    # A deletion may commit between the refusal of the key and this reading.
    # guard: venue_of_another_request_is_refused => if earlier is None:
    if earlier is None or any(getattr(earlier, name) != members[name] for name in MEMBERS):
        raise IdempotencyKeyReused
    return earlier


def _checked(members: dict[str, Any]) -> dict[str, Any]:
    """Return the members as they are stored; raise `TimeZoneUnknown` and `Invalid`."""
    if zone_named(members["time_zone"]) is None:
        message = "is not a time zone of the IANA database"
        raise TimeZoneUnknown(errors=[{"path": "$.time_zone", "message": message}])
    if (members["latitude"] is None) != (members["longitude"] is None):
        message = "A place has a latitude and a longitude"
        raise Invalid(f"{message}.", errors=[{"path": "$.latitude", "message": message}])
    return members | {name: members[name] or "" for name in _TEXTS}


async def _record(
    connection: store.Connection,
    actor: Actor,
    organization_id: UUID,
    action: str,
    request_id: str,
    details: Mapping[str, object],
) -> None:
    entry = Action(
        organization_id=organization_id,
        actor_id=actor.user_id,
        action=action,
        request_id=request_id,
        details=details,
    )
    await record(connection, entry)
