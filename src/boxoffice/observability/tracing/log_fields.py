"""The ids of the current span, for lines of the log."""

from collections.abc import MutableMapping
from typing import Any

from opentelemetry.trace import SpanContext, format_span_id, format_trace_id, get_current_span


def span_fields(context: SpanContext) -> dict[str, str]:
    """Return the fields by which a line names a span; empty for one that does not exist."""
    if not context.is_valid:
        return {}
    return {
        "trace_id": format_trace_id(context.trace_id),
        "span_id": format_span_id(context.span_id),
    }


def add_span(
    _logger: Any, _method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """Add the current span to an event; a processor of structlog."""
    event.update(span_fields(get_current_span().get_span_context()))
    return event
