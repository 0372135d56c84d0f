"""Pure: from an event of the outbox to the message that others read."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import msgspec

from boxoffice.outbox.topics import TOPICS, Scope
from boxoffice.platform.ids import ScopedId

# An event's id is the id of its row of the outbox, and in its last bits the place in it.
_PLACE_BITS = 16


class Event(msgspec.Struct, frozen=True):
    """An event of the outbox; ids are the inner ones."""

    event_id: int
    scope_id: UUID
    topic: str
    subject_id: UUID
    user_id: UUID
    payload: str
    created_at: datetime

    @property
    def batch_id(self) -> int:
        """The row of the outbox that carries it, with others of its batch."""
        return self.event_id >> _PLACE_BITS


class Message(msgspec.Struct, frozen=True):
    """An entry of the stream; times are RFC 3339 in UTC, ids inside `data` the public ones."""

    event_id: int
    topic: str
    created_at: str
    data: bytes


def present(event: Event) -> Message:
    """Return what the stream says about `event`, whose topic is one of `TOPICS`."""
    return Message(
        event.event_id,
        TOPICS[event.topic].name,
        _utc(event.created_at),
        msgspec.json.encode(_subject(event) | _details(event)),
    )


def _subject(event: Event) -> dict[str, str]:
    topic = TOPICS[event.topic]
    if topic.scope is Scope.PERSON:
        return {topic.subject_field: str(event.subject_id), "user_id": str(event.user_id)}
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
