"""Which spans are recorded, what they say of an error, and what happens without a tracer."""

import subprocess
import sys
from collections.abc import Iterator

import aiohttp
import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import Decision
from opentelemetry.trace import Link, NonRecordingSpan, SpanContext, TraceFlags
from prometheus_client import REGISTRY

from boxoffice.errors import SettingsInvalid
from boxoffice.observability.tracing import spans
from boxoffice.observability.tracing.exporting import SpanQueue
from boxoffice.observability.tracing.sampling import ShareSampler
from boxoffice.observability.tracing.starting import traced
from boxoffice.observability.tracing.tracer import ProcessTracer
from boxoffice.payments.providers.client import ProviderHttp, ProviderRequest
from boxoffice.payments.providers.port import ProviderUnavailable
from boxoffice.settings import Settings

OFF = """
import sys
from boxoffice.app import compose
from boxoffice.observability.tracing.starting import traced
from boxoffice.settings import Settings

with traced(Settings().observability, "serve"):
    compose(Settings.of(database_url="postgresql://", valkey_url="redis://"))
print(sorted(name for name in sys.modules if "tracing." in name and name.startswith("boxoffice")))
print([name for name in sys.modules if name.startswith("opentelemetry.exporter")])
"""


def _context(*, sampled: bool, remote: bool) -> SpanContext:
    return SpanContext(1, 2, is_remote=remote, trace_flags=TraceFlags(1 if sampled else 0))


def _is_sampled(sampler: ShareSampler, parent: SpanContext | None, links: int = 0) -> bool:
    context = None if parent is None else trace.set_span_in_context(NonRecordingSpan(parent))
    linked = [Link(_context(sampled=True, remote=False))] * links
    decision = sampler.should_sample(context, 1, "x", links=linked).decision
    return decision is Decision.RECORD_AND_SAMPLE


@pytest.fixture
def ended() -> Iterator[InMemorySpanExporter]:
    """Make spans in this process, and keep them."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    spans.use(ProcessTracer(provider))
    yield exporter
    spans.use(None)
    provider.shutdown()


def test_a_caller_cannot_have_its_requests_recorded_unless_it_is_trusted() -> None:
    remote = [_context(sampled=one, remote=True) for one in (False, True)]
    never = ShareSampler(0.0, trusts_parent=False)
    assert [_is_sampled(never, one) for one in (None, *remote)] == [False] * 3
    always = ShareSampler(1.0, trusts_parent=False)
    assert [_is_sampled(always, one) for one in (None, *remote)] == [True] * 3
    trusting = ShareSampler(0.0, trusts_parent=True)
    assert [_is_sampled(trusting, one) for one in (None, *remote)] == [False, False, True]


def test_the_share_is_that_of_chance_and_a_trace_is_recorded_whole() -> None:
    draws = iter([0.24, 0.25, 0.9])
    sampler = ShareSampler(0.25, trusts_parent=False, chance=lambda: next(draws))
    assert [_is_sampled(sampler, None) for _ in range(3)] == [True, False, False]
    below = [_context(sampled=one, remote=False) for one in (False, True)]
    assert [_is_sampled(sampler, one) for one in below] == [False, True], "no draw is left"
    assert _is_sampled(sampler, None, links=1), "the batch of a recorded request"


def test_a_failed_span_names_the_class_of_its_error_alone(ended: InMemorySpanExporter) -> None:
    with pytest.raises(ValueError, match="kim"), spans.span("work", {"boxoffice.tries": 2}):
        raise ValueError("kim@example.com is not a number")
    (span,) = ended.get_finished_spans()
    assert dict(span.attributes or {}) == {"boxoffice.tries": 2, "error.type": "ValueError"}
    assert not span.status.is_ok
    assert not span.events
    assert "kim" not in span.to_json()


async def test_a_call_to_a_provider_has_a_span(ended: InMemorySpanExporter) -> None:
    async with aiohttp.ClientSession() as session:
        provider = ProviderHttp(
            "toss", "http://127.0.0.1:1", {"Authorization": "secret"}, session, Settings().providers
        )
        with pytest.raises(ProviderUnavailable):
            await provider.call(ProviderRequest("confirm", "POST", "/v1/payments/secret-key"))
    (span,) = ended.get_finished_spans()
    assert span.name == "toss confirm"
    assert span.kind is trace.SpanKind.CLIENT
    assert (span.attributes or {})["error.type"] == "ProviderUnavailable"
    assert "secret" not in span.to_json()


class _Exporter(SpanExporter):
    """Takes spans, refuses them, or breaks."""

    def __init__(self, *outcomes: SpanExportResult | Exception) -> None:
        self.outcomes = list(outcomes)

    def export(self, _spans: object) -> SpanExportResult:
        outcome = self.outcomes.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome


def test_what_the_collector_does_not_take_is_counted_and_the_next_is_tried() -> None:
    def values() -> list[float]:
        names = ("boxoffice_spans_exported_total", "boxoffice_spans_lost_total")
        return [REGISTRY.get_sample_value(name) or 0.0 for name in names]

    exporter = _Exporter(SpanExportResult.FAILURE, OSError("broken"), SpanExportResult.SUCCESS)
    queue = SpanQueue(exporter, queue_max=2, every_s=3600, stop_within_s=5)
    context = SpanContext(1, 2, is_remote=False, trace_flags=TraceFlags(1))
    before = values()
    for _ in range(3):
        for _ in range(3):
            queue.on_end(ReadableSpan("x", context=context))
        queue._send_all()
    queue.shutdown()
    exported, lost = (now - then for now, then in zip(values(), before, strict=True))
    assert (exported, lost) == (2, 3 + 2 + 2), "each time one more than are kept; two parts failed"


def test_the_missing_packages_of_traces_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "boxoffice.observability.tracing.tracer", None)
    settings = Settings.of(traces_url="http://collector:4318/v1/traces").observability
    with pytest.raises(SettingsInvalid, match=r"pip install 'boxoffice\[tracing\]'"):
        traced(settings, "serve")


def test_no_tracer_is_loaded_while_traces_are_off() -> None:
    ran = subprocess.run([sys.executable, "-c", OFF], capture_output=True, text=True, check=True)
    # The client of Valkey imports parts of OpenTelemetry where they are installed.
    needed = [f"boxoffice.observability.tracing.{name}" for name in ("spans", "starting")]
    assert ran.stdout.splitlines() == [str(needed), "[]"]
    assert spans.current() is None
    with spans.span("work"):
        pass
