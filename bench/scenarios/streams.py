"""Holds at a steady rate, to measure the event streams of the seats."""

from bench.scenarios.holds import accepted
from bench.scenarios.scenario import RequestSet, ScenarioContext

_RATE_PER_S = 200.0
_SECONDS_MAX = 10.0
# All streams come from one address.
ENV = {
    "BOXOFFICE_STREAMS_PER_CLIENT_MAX": "1000000",
    "BOXOFFICE_STREAMS_PER_ADDRESS_MAX": "1000000",
}


def steady_holds(context: ScenarioContext) -> RequestSet:
    """Single seats of one large schedule at 200 holds a second."""
    holds = accepted(context)
    count = max(1, int(_RATE_PER_S * min(context.sizes.open_s, _SECONDS_MAX)))
    return RequestSet(holds.requests, holds.warmup, min(count, len(holds.requests)), _RATE_PER_S)
