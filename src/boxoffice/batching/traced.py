"""Group commit with a span per batch; used in place of the plain one where traces are made."""

from collections.abc import Sequence
from typing import Any

from opentelemetry.trace import Span, get_current_span

from boxoffice.batching.commands import BatchHandler, C, GroupCommitLimits, O, Pending
from boxoffice.batching.group_commit import GroupCommit, K
from boxoffice.batching.queue import CommandLane
from boxoffice.observability.tracing import spans
from boxoffice.observability.tracing.tracer import ProcessTracer, sampled_context


class TracedGroupCommit(GroupCommit):
    """Links the span of a batch with the spans in which its recorded requests wait for it."""

    def __init__(self, limits: GroupCommitLimits, tracer: ProcessTracer) -> None:
        super().__init__(limits)
        self._tracer = tracer
        # The waits by the identity of their commands, which the callers keep alive.
        self._waits: dict[int, Span] = {}

    async def submit(self, handler: BatchHandler[K, C, O], key: K, command: C) -> O:
        """Queue `command`, with a span of the wait for its outcome; raises what the base class does."""
        if sampled_context() is None:
            return await super().submit(handler, key, command)
        with spans.span(f"commit {handler.kind}"):
            self._waits[id(command)] = get_current_span()
            try:
                return await super().submit(handler, key, command)
            finally:
                self._waits.pop(id(command), None)

    async def _run(self, lane: CommandLane[Any, Any], batch: Sequence[Pending[Any, Any]]) -> None:
        found = [self._waits.get(id(pending.command)) for pending in batch]
        waits = [wait for wait in found if wait is not None]
        if not waits:
            await super()._run(lane, batch)
            return
        contexts = [wait.get_span_context() for wait in waits]
        with self._tracer.batch(lane.handler.kind, len(batch), contexts) as span:
            for wait in waits:
                wait.add_link(span.get_span_context())
            await super()._run(lane, batch)
