"""The spike: its client, its groups of seats, the model of larger machines, published figures."""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from bench.client import load
from bench.client.load import LoadPlan, LoadResult
from bench.measurement.runner import unrecorded, with_workers
from bench.measurement.spike import PUBLISHED, SpikeRun, forecast
from bench.scenarios.spike import AREA_SEATS, wanted_group

ANSWER_S = 0.05
RETRY_AFTER_S = 1
ROW_SEATS = 20


@asynccontextmanager
async def _shop(shed: set[bytes]) -> AsyncIterator[tuple[int, Counter[bytes]]]:
    """Serve 201 after 50 ms, but shed the first request of each body in `shed`; count the requests."""
    seen: Counter[bytes] = Counter()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while request := await reader.read(1_000):
            seen[request] += 1
            if request in shed and seen[request] == 1:
                head = (
                    f"HTTP/1.1 503 No\r\nRetry-After: {RETRY_AFTER_S}\r\nContent-Length: 0\r\n\r\n"
                )
            else:
                await asyncio.sleep(ANSWER_S)
                head = "HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n"
            writer.write(head.encode())
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1], seen


async def _spike(shed: set[bytes]) -> tuple[LoadResult, Counter[bytes]]:
    requests = [f"request {at}".encode() for at in range(6)]
    async with _shop(shed) as (port, seen):
        plan = LoadPlan(
            port=port, connections=1, requests=requests, count=len(requests), at_once=True
        )
        return await asyncio.to_thread(load.run, plan), seen


async def test_latency_counts_from_the_start_while_a_request_waits_for_a_connection() -> None:
    result, _ = await _spike(set())
    # The last of six requests on one connection was answered after five others.
    assert result.p99_ms >= 6 * ANSWER_S * 1000
    assert result.p50_ms >= 3 * ANSWER_S * 1000
    assert result.statuses == {"201": 6}
    assert result.retried == 0


async def test_a_shed_request_is_repeated_after_its_retry_after_and_counts_once() -> None:
    result, seen = await _spike({b"request 0", b"request 5"})
    assert result.statuses == {"201": 6}
    assert result.retried == 2
    assert seen[b"request 0"] == seen[b"request 5"] == 2
    assert result.p99_ms >= RETRY_AFTER_S * 1000


async def test_an_acknowledged_hold_that_is_not_in_the_database_is_counted() -> None:
    result, _ = await _spike(set())
    assert [unrecorded(result, held) for held in (5, 6, 7)] == [1, 0, 1]


def test_groups_are_one_to_four_seats_of_one_row_anywhere_in_the_hall() -> None:
    chance = random.Random(7)
    seats = 2 * AREA_SEATS
    groups = [wanted_group(chance, seats) for _ in range(20_000)]
    assert {len(group) for group in groups} == {1, 2, 3, 4}
    assert all(group[0] // ROW_SEATS == group[-1] // ROW_SEATS for group in groups)
    assert {place for group in groups for place in group} == set(range(seats))


def _run(workers: int, app_s: float) -> SpikeRun:
    return SpikeRun(
        workers=workers,
        requests=400_000,
        app_s=app_s,
        postgres_s=4.0,
        valkey_s=1.0,
        p50_s=10.0,
        p95_s=19.0,
        p99_s=20.0,
        last_s=20.0,
    )


def test_the_model_extends_the_line_of_each_server_and_names_what_is_slowest() -> None:
    # Each worker adds 1 s of CPU to 19 s; PostgreSQL and Valkey need 5 s with any number of workers.
    runs = [_run(1, 20.0), _run(2, 21.0), _run(4, 23.0)]
    two = forecast(runs, 2)
    assert (two.workers, two.limit) == (2, "all cores")
    assert two.last_s == pytest.approx((21.0 + 5.0) / 2)
    assert two.p50_s == pytest.approx(two.last_s / 2)
    many = forecast(runs, 32)
    assert many.last_s == pytest.approx((19.0 + many.workers + 5.0) / 32, rel=0.2)
    assert many.last_s < forecast(runs, 8).last_s < two.last_s


def test_the_model_never_divides_valkey_or_a_batch_between_more_cores_than_it_uses() -> None:
    one = forecast([_run(1, 0.1)], 1_000)
    assert (one.limit, one.last_s) == ("PostgreSQL", 2.0) if one.workers == 1 else ("Valkey", 1.0)
    assert forecast([_run(1, 0.1)], 64).last_s >= 1.0


def test_requests_per_cpu_second_divide_by_all_servers() -> None:
    assert _run(1, 20.0).per_cpu_s == 400_000 / 25.0
    # 80 vCPU until the p99, because the time until the last answer is not published.
    assert PUBLISHED[0].per_core_s == pytest.approx(400_000 / (80 * 7.457))
    assert PUBLISHED[2].per_core_s == pytest.approx(400_000 / (192 * 7.447))


def test_a_row_brings_its_variants_for_more_workers_and_no_other() -> None:
    known = ["pay", "pay_relayed", "pay_2_workers", "repay_2_workers", "pay_16_workers"]
    assert with_workers(["pay"], known) == ["pay", "pay_2_workers", "pay_16_workers"]
    assert with_workers(["unknown"], known) == ["unknown"]
