"""Which spans are recorded."""

import random
from collections.abc import Callable, Sequence

from opentelemetry.context import Context
from opentelemetry.sdk.trace.sampling import Decision, Sampler, SamplingResult
from opentelemetry.trace import Link, SpanKind, TraceState, get_current_span
from opentelemetry.util.types import Attributes


class ShareSampler(Sampler):
    """Records a share of the traces that begin here, and of them every span.

    A span with links is recorded: its requests are. With `trusts_parent` the flag of a caller's
    `traceparent` decides; else this process does, by chance and not by the trace id, which a caller
    chooses.
    """

    def __init__(
        self, share: float, *, trusts_parent: bool, chance: Callable[[], float] = random.random
    ) -> None:
        self._share = share
        self._trusts_parent = trusts_parent
        self._chance = chance

    def should_sample(
        self,
        parent_context: Context | None,
        trace_id: int,
        name: str,
        kind: SpanKind | None = None,
        attributes: Attributes = None,
        links: Sequence[Link] | None = None,
        trace_state: TraceState | None = None,
    ) -> SamplingResult:
        """Decide about a span that starts."""
        parent = get_current_span(parent_context).get_span_context()
        if links:
            is_sampled = True
        elif parent.is_valid and (not parent.is_remote or self._trusts_parent):
            is_sampled = parent.trace_flags.sampled
        else:
            is_sampled = self._chance() < self._share
        decision = Decision.RECORD_AND_SAMPLE if is_sampled else Decision.DROP
        return SamplingResult(decision, attributes if is_sampled else None, trace_state)

    def get_description(self) -> str:
        """Return the name by which the SDK shows it."""
        return f"ShareSampler({self._share})"
