"""Sends ended spans to the collector from a thread; what it does not take in time is dropped."""

import threading
from collections import deque
from collections.abc import Sequence

from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from boxoffice.observability.tracing.spans import SPANS_EXPORTED, SPANS_LOST

_PART_MAX = 512


class SpanQueue(SpanProcessor):
    """Keeps at most `queue_max` ended spans, and exports them every `every_s` seconds."""

    def __init__(
        self, exporter: SpanExporter, queue_max: int, every_s: float, stop_within_s: float
    ) -> None:
        self._exporter = exporter
        self._queue_max = queue_max
        self._every_s = every_s
        self._stop_within_s = stop_within_s
        self._ended: deque[ReadableSpan] = deque()
        self._stopping = threading.Event()
        self._is_abandoned = False
        self._thread = threading.Thread(target=self._export, name="spans", daemon=True)
        self._thread.start()

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Do nothing: spans are kept when they end."""

    def on_end(self, span: ReadableSpan) -> None:
        """Keep an ended span; drop it where the collector is behind. Called by requests: no I/O."""
        context = span.context
        if context is None or not context.trace_flags.sampled:
            return
        if len(self._ended) >= self._queue_max:
            SPANS_LOST.inc()
        else:
            self._ended.append(span)

    def shutdown(self) -> None:
        """Export what is left, within `stop_within_s`."""
        self._stopping.set()
        self._thread.join(self._stop_within_s)
        self._is_abandoned = True
        self._exporter.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Return False: only the thread exports."""
        return False

    def _export(self) -> None:
        while not self._stopping.wait(self._every_s):
            self._send_all()
        self._send_all()

    def _send_all(self) -> None:
        while self._ended and not self._is_abandoned:
            count = min(len(self._ended), _PART_MAX)
            self._send([self._ended.popleft() for _ in range(count)])

    def _send(self, spans: Sequence[ReadableSpan]) -> None:
        try:
            is_taken = self._exporter.export(spans) is SpanExportResult.SUCCESS
        except Exception:  # whatever the exporter raises, the next spans are tried
            is_taken = False
        (SPANS_EXPORTED if is_taken else SPANS_LOST).inc(len(spans))
