"""Traces of a running process, as a collector gets them; and without a collector."""

import asyncio
import json
import socket
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from boxoffice.settings import Settings
from faults.workload.fixtures import Fixtures, create_fixtures
from tests.support.collector import Collector, TakenSpan, collector
from tests.support.shop import Pod, Role

SERVER, CLIENT, INTERNAL = 2, 3, 1
HOLD = "POST /v1/schedules/{schedule_id}/reservations"
TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
# All that a span may say.
KEYS = {
    "boxoffice.batch.kind", "boxoffice.batch.size", "boxoffice.code", "boxoffice.events",
    "boxoffice.request_id", "error.type", "http.request.method", "http.response.status_code",
    "http.route",
}  # fmt: skip


async def _hold_all(pod: Pod, fixtures: Fixtures, seats: Sequence[str]) -> list[int]:
    """Ask for each of `seats` at once, for one buyer each; return the statuses of the answers."""
    url = f"{pod.url}/v1/schedules/{fixtures.schedule_id}/reservations"

    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=30)) as session:

        async def hold(at: int, seat: str) -> int:
            person = fixtures.people[at]
            headers = person.headers(f"key-of-{at}")
            headers["traceparent"] = f"00-{TRACE}-{PARENT}-00"
            headers["X-Request-Id"] = f"request-{at:03}"
            async with session.post(url, json={"seat_ids": [seat]}, headers=headers) as answer:
                return answer.status

        return await asyncio.gather(*(hold(at, seat) for at, seat in enumerate(seats)))


def _lines(printed: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in printed.splitlines() if line.startswith("{")]


async def _until(condition: Any) -> None:
    until = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < until
        await asyncio.sleep(0.05)


def _check_requests(taken: Collector, printed: str, count: int) -> list[TakenSpan]:
    """Each request has a span in its caller's trace, and one for the wait; return the waits."""
    requests = taken.named(HOLD)
    assert len(requests) == count
    lines = {line["request_id"]: line for line in _lines(printed) if line["event"] == "request"}
    for span in requests:
        assert (span.kind, span.trace_id, span.parent_id) == (SERVER, TRACE, PARENT)
        line = lines[span.attributes["boxoffice.request_id"]]
        assert (line["trace_id"], line["span_id"]) == (span.trace_id, span.span_id)
        assert span.attributes["http.response.status_code"] == line["status"]
        assert span.attributes["boxoffice.code"] == line["code"]
        assert not span.is_error, "a seat that is taken is no error"
    waits = taken.named("commit hold")
    by_id = {span.span_id for span in requests}
    assert {span.parent_id for span in waits} <= by_id
    return waits


def _check_batches(taken: Collector, waits: Sequence[TakenSpan]) -> None:
    """Each wait is linked with its batches, in both directions: more than one where it was retried."""
    batches = taken.named("batch hold")
    linked = {link for batch in batches for link in batch.links}
    assert linked == {wait.span_id for wait in waits}
    for batch in batches:
        assert batch.parent_id == ""
        assert batch.trace_id != TRACE
        assert batch.attributes["boxoffice.batch.size"] == len(batch.links)
        for wait in waits:
            assert (batch.span_id in wait.links) == (wait.span_id in batch.links)


async def test_requests_and_batches_are_linked_and_name_no_person(
    settings: Settings, tmp_path: Path
) -> None:
    fixtures = await create_fixtures(settings, tmp_path, seats=12, users=16)
    seats = [*fixtures.seat_ids, *fixtures.seat_ids[:4]]
    with collector() as taken:
        wanted = {"traces_url": taken.url, "traces_sample_percent": 100}
        relay = Role("relay", settings, **wanted)
        pod = Pod(settings, **wanted, log_level="info", seat_cache="false").wait_until_ready()
        try:
            statuses = await _hold_all(pod, fixtures, seats)
            await _until(lambda: taken.named("relay"))
        finally:
            assert pod.stop() == 0
            assert relay.stop() == 0
    assert sorted(statuses) == [201] * 12 + [409] * 4
    assert taken.paths == {"/v1/traces"}
    waits = _check_requests(taken, pod.printed, 16)
    assert len(waits) == 16
    _check_batches(taken, waits)
    (relayed, *_) = taken.named("relay")
    assert relayed.resource["boxoffice.role"] == "relay"
    assert relayed.attributes["boxoffice.events"] > 0
    assert all(span.resource["service.name"] == "boxoffice" for span in taken.spans)
    assert not [span for span in taken.spans if "readyz" in span.name]
    assert {key for span in taken.spans for key in span.attributes} <= KEYS
    said = json.dumps([(span.name, span.attributes, span.resource) for span in taken.spans])
    known = [person.user_id for person in fixtures.people] + [*fixtures.seat_ids, "127.0.0.1"]
    assert [one for one in known if one in said] == []


@pytest.mark.parametrize("listens", [False, True], ids=["refused", "silent"])
async def test_a_dead_collector_is_no_part_of_a_request(
    settings: Settings, tmp_path: Path, listens: bool
) -> None:
    fixtures = await create_fixtures(settings, tmp_path, seats=12, users=12)
    with socket.socket() as dead:
        dead.bind(("127.0.0.1", 0))
        if listens:
            dead.listen(1)  # It takes a connection and never answers.
        pod = Pod(
            settings,
            traces_url=f"http://127.0.0.1:{dead.getsockname()[1]}/v1/traces",
            traces_sample_percent=100,
            traces_export_timeout_ms=60_000,
            traces_queue_max=8,
        ).wait_until_ready()
        began_at_s = time.monotonic()
        statuses = await _hold_all(pod, fixtures, fixtures.seat_ids)
        took_s = time.monotonic() - began_at_s
        async with aiohttp.ClientSession() as session:
            answer = await session.get(f"{pod.url}/metrics")
            metrics = await answer.text()
        stopped_at_s = time.monotonic()
        assert pod.stop() == 0
    assert statuses == [201] * 12
    assert took_s < 30, "the export waits for a minute"
    assert "boxoffice_spans_exported_total 0.0" in metrics
    lost = next(
        line for line in metrics.splitlines() if line.startswith("boxoffice_spans_lost_total ")
    )
    assert float(lost.split()[1]) > 0, "more ended than are kept"
    assert time.monotonic() - stopped_at_s < 40
