"""The requests of a scenario by kind and by second. Pure."""

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

from boxoffice_loadtest.measurement.client_log import (
    ClientLog,
    LoggedRequest,
    by_second,
    percentile,
)
from boxoffice_loadtest.model import RequestStats, SecondStats


def request_stats(requests: Iterable[LoggedRequest]) -> list[RequestStats]:
    """Return the requests by the kind of call."""
    by_what: dict[str, list[LoggedRequest]] = defaultdict(list)
    for request in requests:
        by_what[request.what].append(request)
    return [_stats(what, found) for what, found in by_what.items()]


def _stats(what: str, requests: Sequence[LoggedRequest]) -> RequestStats:
    took = sorted(request.took_ms for request in requests)
    codes = Counter(f"{one.status} {one.code}".strip() for one in requests)
    return RequestStats(
        request=what,
        count=len(requests),
        failures=sum(request.is_failure for request in requests),
        rejections=sum(request.is_rejection for request in requests),
        p50_ms=percentile(took, 50),
        p95_ms=percentile(took, 95),
        p99_ms=percentile(took, 99),
        max_ms=took[-1] if took else 0.0,
        codes=dict(codes.most_common()),
    )


def timeline(log: ClientLog) -> list[SecondStats]:
    """Return the answers of each second, and how many seats were taken by its end."""
    if log.started_ms is None:
        return []
    taken_at = _seats_over_time(log)
    *whole, cut = by_second(log.requests, log.started_ms) or [(0, [])]
    found = []
    # The last second is incomplete and would look like a collapse.
    for at_s, requests in whole or [cut]:
        took = sorted(request.took_ms for request in requests)
        found.append(
            SecondStats(
                at_s=at_s,
                answers=len(requests),
                failures=sum(request.is_failure for request in requests),
                rejections=sum(request.is_rejection for request in requests),
                p50_ms=percentile(took, 50),
                p95_ms=percentile(took, 95),
                seats_taken=bisect_left(taken_at, log.started_ms + 1000 * (at_s + 1)),
            )
        )
    return found


def _seats_over_time(log: ClientLog) -> list[float]:
    """Return when each seat was first acknowledged, in order."""
    first: dict[str, float] = {}
    for hold in log.holds:
        for seat in hold.seats:
            first[seat] = min(first.get(seat, hold.answered_ms), hold.answered_ms)
    return sorted(first.values())


def sold_out_s(log: ClientLog, seats_total: int) -> float | None:
    """Return when the last seat was taken, in seconds from the start; None if seats were left."""
    taken_at = _seats_over_time(log)
    if log.started_ms is None or not seats_total or len(taken_at) < seats_total:
        return None
    return (taken_at[seats_total - 1] - log.started_ms) / 1000
