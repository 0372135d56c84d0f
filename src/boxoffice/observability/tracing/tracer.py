"""The tracer of a process, made of its settings."""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from importlib.metadata import version

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanLimits, TracerProvider
from opentelemetry.trace import Link, Span, SpanContext, SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from boxoffice.observability.tracing import spans
from boxoffice.observability.tracing.exporting import SpanQueue
from boxoffice.observability.tracing.sampling import ShareSampler
from boxoffice.settings import ObservabilitySettings

_EXPORT_EVERY_S = 1.0
_STOP_WITHIN_S = 2.0
# One for each request of the largest batch.
_LINKS_MAX = 512
_KINDS = {"internal": SpanKind.INTERNAL, "client": SpanKind.CLIENT}
_FAILED_FROM = 500
_propagator = TraceContextTextMapPropagator()


class ProcessTracer:
    """Makes spans of OpenTelemetry."""

    def __init__(self, provider: TracerProvider) -> None:
        self._tracer = provider.get_tracer("boxoffice", version("boxoffice"))

    def request(self, method: str, route: str, request_id: str, traceparent: str | None) -> Span:
        """Start the span of a request, as a part of the caller's trace if there is one."""
        parent = _propagator.extract({"traceparent": traceparent}) if traceparent else None
        return self._tracer.start_span(
            f"{method} {route}",
            parent,
            SpanKind.SERVER,
            {
                "http.request.method": method,
                "http.route": route,
                "boxoffice.request_id": request_id,
            },
        )

    def batch(
        self, kind: str, size: int, requests: Sequence[SpanContext]
    ) -> AbstractContextManager[Span]:
        """Start the span of a batch, linked to the spans of its requests; it is no part of one."""
        attributes: spans.Attributes = {
            "boxoffice.batch.kind": kind,
            "boxoffice.batch.size": size,
        }
        links = [Link(context) for context in requests]
        return self._current(f"batch {kind}", attributes, SpanKind.INTERNAL, links)

    def span(
        self, name: str, attributes: spans.Attributes, kind: spans.Kind
    ) -> AbstractContextManager[Span]:
        """Start a span, below the current one."""
        return self._current(name, attributes, _KINDS[kind])

    @contextmanager
    def _current(
        self,
        name: str,
        attributes: spans.Attributes,
        kind: SpanKind,
        links: Sequence[Link] = (),
    ) -> Iterator[Span]:
        # Neither the text of an exception nor its traceback: both may name a person.
        with self._tracer.start_as_current_span(
            name,
            kind=kind,
            attributes=dict(attributes),
            links=links,
            record_exception=False,
            set_status_on_exception=False,
        ) as span:
            try:
                yield span
            except BaseException as error:
                span.set_attribute("error.type", type(error).__name__)
                span.set_status(Status(StatusCode.ERROR))
                raise


def end_request(span: Span, status: int, code: str) -> None:
    """End the span of a request with its answer; a refusal of the business is no error."""
    span.set_attribute("http.response.status_code", status)
    span.set_attribute("boxoffice.code", code)
    if status >= _FAILED_FROM:
        span.set_attribute("error.type", code)
        span.set_status(Status(StatusCode.ERROR))
    span.end()


def sampled_context() -> SpanContext | None:
    """Return the current span's context, None where it is not recorded."""
    context = trace.get_current_span().get_span_context()
    return context if context.is_valid and context.trace_flags.sampled else None


@contextmanager
def tracing(settings: ObservabilitySettings, role: str) -> Iterator[ProcessTracer]:
    """Make spans in this process for the duration of the block, as `role`."""
    attributes = {
        "service.name": "boxoffice",
        "service.version": version("boxoffice"),
        "boxoffice.role": role,
    }
    exporter = OTLPSpanExporter(
        settings.traces_url, timeout=settings.traces_export_timeout_ms / 1000
    )
    provider = TracerProvider(
        sampler=ShareSampler(
            settings.traces_sample_percent / 100, trusts_parent=settings.traces_trust_parent
        ),
        resource=Resource.create(attributes),
        span_limits=SpanLimits(max_links=_LINKS_MAX),
        shutdown_on_exit=False,
    )
    queue_max = settings.traces_queue_max
    provider.add_span_processor(SpanQueue(exporter, queue_max, _EXPORT_EVERY_S, _STOP_WITHIN_S))
    tracer = ProcessTracer(provider)
    spans.use(tracer)
    try:
        yield tracer
    finally:
        spans.use(None)
        provider.shutdown()
