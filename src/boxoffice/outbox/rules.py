"""Converts an event of the outbox to a message of the stream. Pure."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import msgspec

from boxoffice.outbox.topics import TOPICS, Scope
from boxoffice.platform.ids import ScopedId

# An event id is the id of its outbox row, shifted, plus its index in the row.
_INDEX_BITS = 16


class Event(msgspec.Struct, frozen=True):
    """An event of the outbox, with internal ids."""

    event_id: int
    scope_id: UUID
    topic: str
    subject_id: UUID
    user_id: UUID
    payload: str
    created_at: datetime

    @property
    def batch_id(self) -> int:
        """The id of its outbox row, which carries the events of one batch."""
        return self.event_id >> _INDEX_BITS


class Message(msgspec.Struct, frozen=True):
    """An entry of the stream: times in RFC 3339 UTC, public ids in `data`."""

    event_id: int
    topic: str
    created_at: str
    data: bytes


def to_message(event: Event) -> Message:
    """Return the message of `event`, whose topic is one of `TOPICS`."""
    return Message(
        event.event_id,
        TOPICS[event.topic].name,
        _utc(event.created_at),
        msgspec.json.encode(_subject(event) | _details(event)),
    )


def _subject(event: Event) -> dict[str, str]:
    topic = TOPICS[event.topic]
    if topic.scope is Scope.PERSON:
        own_id = event.subject_id
        shown = str(ScopedId(event.user_id, own_id) if topic.is_scoped else own_id)
        return {topic.subject_field: shown, "user_id": str(event.user_id)}
    return {
        topic.subject_field: str(ScopedId(event.scope_id, event.subject_id)),
        "schedule_id": str(event.scope_id),
        "user_id": str(event.user_id),
    }


def _details(event: Event) -> dict[str, Any]:
    details: dict[str, Any] = msgspec.json.decode(event.payload)
    reservation = details.pop("reservation", None)
    if reservation is not None:
        details["reservation_id"] = str(ScopedId(event.scope_id, UUID(reservation)))
    if "expires_at" in details:
        details["expires_at"] = _utc(datetime.fromisoformat(details["expires_at"]))
    return details


def _utc(time: datetime) -> str:
    return time.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
