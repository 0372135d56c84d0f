"""What the service sends by itself: webhooks (OpenAPI 3.1) and the entries of the event stream. Pure.

The stream is no HTTP; it stands in the document as the extension `x-event-stream`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from boxoffice.http.api.body import JSON_TYPE
from boxoffice.http.api.examples import Examples

_HEADERS = {
    "webhook-id": "The `event_id`: the same in each repetition.",
    "webhook-timestamp": "The time of this try, in seconds since 1970.",
    "webhook-signature": (
        "`v1,` and the base64 of HMAC-SHA256 over `id.timestamp.body`; during a rotation two, "
        "with a blank between them."
    ),
}
_ANSWERS = {
    "2XX": {"description": "The event was received."},
    "410": {"description": "The endpoint is gone: it is disabled."},
    "default": {"description": "A failure: the event is sent again, for three days."},
}


@dataclass(frozen=True)
class PublishedEvent:
    """An event: its name, its occasion, and the type of its data.

    `is_webhook`: it is sent to endpoints of organizers. `is_streamed`: it is in the stream.
    """

    name: str
    occasion: str
    data: Any
    is_webhook: bool
    is_streamed: bool = True


def describe_webhooks(
    events: Sequence[PublishedEvent], schemas: Mapping[Any, dict[str, Any]], examples: Examples
) -> dict[str, Any]:
    """Return the `webhooks` of the document by name of the event."""
    return {
        event.name: {"post": _webhook(event, schemas[event.data], examples)}
        for event in events
        if event.is_webhook
    }


def describe_stream(
    events: Sequence[PublishedEvent], schemas: Mapping[Any, dict[str, Any]], examples: Examples
) -> dict[str, Any]:
    """Return the entries of the event stream by topic: their data, in JSON, with an example."""
    return {
        event.name: {
            "summary": event.occasion,
            "data": {
                "schema": schemas[event.data],
                "example": _data(schemas[event.data], examples),
            },
        }
        for event in events
        if event.is_streamed
    }


def _webhook(event: PublishedEvent, schema: dict[str, Any], examples: Examples) -> dict[str, Any]:
    facts = examples.story.parameters
    body = {"type": event.name, "timestamp": facts["timestamp"], "data": _data(schema, examples)}
    return {
        "operationId": f"webhook_{event.name.replace('.', '_')}",
        "summary": event.occasion,
        "tags": ["webhooks"],
        "parameters": [
            {
                "name": name,
                "in": "header",
                "required": True,
                "description": description,
                "schema": {"type": "string"},
                "example": facts[name],
            }
            for name, description in _HEADERS.items()
        ],
        "requestBody": {
            "required": True,
            "content": {JSON_TYPE: {"schema": _envelope(event.name, schema), "example": body}},
        },
        "responses": _ANSWERS,
    }


def _envelope(name: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "required": ["type", "timestamp", "data"],
        "properties": {
            "type": {"const": name},
            "timestamp": {"type": "string", "format": "date-time"},
            "data": schema,
        },
    }


def _data(schema: Mapping[str, Any], examples: Examples) -> Any:
    return examples.of_type(schema["$ref"].rpartition("/")[2])
