"""Venues as the API shows them, and reads them from a body."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

import msgspec
from msgspec import UNSET, Meta, UnsetType

from boxoffice.platform.values import Line, Paragraph

Country = Annotated[str, Meta(pattern="^[A-Z]{2}$", max_length=2, description="ISO 3166-1.")]
ZoneName = Annotated[
    str,
    Meta(
        pattern="^[A-Za-z][A-Za-z0-9_+/-]{0,63}$",
        description="A time zone of the IANA database, as Asia/Seoul.",
    ),
]
Latitude = Annotated[float, Meta(ge=-90, le=90)]
Longitude = Annotated[float, Meta(ge=-180, le=180)]


class VenuePlace(msgspec.Struct, frozen=True, kw_only=True):
    """A venue as buyers see it; `_en` and `_ko` replace a text for readers of that language."""

    venue_id: UUID
    name: str
    name_en: str | None
    name_ko: str | None
    address: str
    address_en: str | None
    address_ko: str | None
    city: str
    country: str
    time_zone: str
    directions: str
    directions_en: str | None
    directions_ko: str | None
    latitude: float | None
    longitude: float | None


class Venue(VenuePlace, frozen=True, kw_only=True):
    """A venue as its organizer sees it; `version` is its entity tag."""

    organization_id: UUID
    version: int
    created_at: datetime


class VenueBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A new venue, of the caller's only organization if none is named."""

    organization_id: UUID | None = None
    name: Line
    country: Country
    time_zone: ZoneName
    name_en: Line | None = None
    name_ko: Line | None = None
    address: Line | None = None
    address_en: Line | None = None
    address_ko: Line | None = None
    city: Line | None = None
    directions: Paragraph = ""
    directions_en: Paragraph | None = None
    directions_ko: Paragraph | None = None
    latitude: Latitude | None = None
    longitude: Longitude | None = None


class VenueEdit(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The changed members of a venue; absent ones stay, null clears."""

    name: Line | UnsetType = UNSET
    country: Country | UnsetType = UNSET
    time_zone: ZoneName | UnsetType = UNSET
    name_en: Line | UnsetType | None = UNSET
    name_ko: Line | UnsetType | None = UNSET
    address: Line | UnsetType | None = UNSET
    address_en: Line | UnsetType | None = UNSET
    address_ko: Line | UnsetType | None = UNSET
    city: Line | UnsetType | None = UNSET
    directions: Paragraph | UnsetType = UNSET
    directions_en: Paragraph | UnsetType | None = UNSET
    directions_ko: Paragraph | UnsetType | None = UNSET
    latitude: Latitude | UnsetType | None = UNSET
    longitude: Longitude | UnsetType | None = UNSET
