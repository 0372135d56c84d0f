"""Spans around work; without a tracer they do nothing."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal, TypeAlias

from prometheus_client import Counter

if TYPE_CHECKING:
    from boxoffice.observability.tracing.tracer import ProcessTracer

SPANS_EXPORTED = Counter("boxoffice_spans_exported_total", "Spans that the collector took.")
SPANS_LOST = Counter(
    "boxoffice_spans_lost_total",
    "Spans that were dropped: the collector was away, refused them, or was too slow.",
)

Attributes: TypeAlias = Mapping[str, str | int | bool]
Kind = Literal["internal", "client"]


# Like the configuration of the log, one for the process.
_tracer: "ProcessTracer | None" = None


def use(tracer: "ProcessTracer | None") -> None:
    """Make spans with `tracer` from now on; None: make none."""
    global _tracer  # noqa: PLW0603 — one for the process
    _tracer = tracer


def current() -> "ProcessTracer | None":
    """Return the tracer of this process, None where it makes no spans."""
    return _tracer


@contextmanager
def span(
    name: str, attributes: Attributes | None = None, kind: Kind = "internal"
) -> Iterator[None]:
    """Make a span of the block; an exception is named in it by its class alone.

    Attributes name no person: no address, no id of an account, no text of a request.
    """
    if _tracer is None:
        yield
        return
    with _tracer.span(name, attributes or {}, kind):
        yield
