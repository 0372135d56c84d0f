"""Measures the memory of open connections and of cached schedules."""

import contextlib
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from urllib.parse import urlsplit
from uuid import UUID

from boxoffice_loadtest.analysis import least_squares
from boxoffice_loadtest.measurement import processes
from boxoffice_loadtest.measurement.api_client import request
from boxoffice_loadtest.measurement.database_reader import TargetSchedule
from boxoffice_loadtest.model import MemoryProbe

_SETTLE_S = 0.6
_LOOKUPS_PER_SCHEDULE = 12
_REQUEST = b"GET /v1/concerts HTTP/1.1\r\nHost: loadtest\r\n\r\n"

Points = Iterator[tuple[float, float]]
PrepareSchedule = Callable[[int, bool], TargetSchedule]


def probe(
    base_url: str,
    pids: Sequence[int],
    prepare_schedule: PrepareSchedule,
    connections: Sequence[int],
    schedules: int,
    seats: int,
) -> MemoryProbe | None:
    """Measure the API processes; None if they are not visible from here."""
    if not pids or not processes.is_supported():
        return None
    idle = _memory_mib(pids)
    by_connection = list(_connections(base_url, pids, connections))
    time.sleep(_SETTLE_S)
    prepared = (prepare_schedule(seats, False).schedule_id for _ in range(schedules))
    by_seat = [
        (float(number * seats * len(pids)), memory_mib)
        for number, memory_mib in enumerate(_schedules(base_url, pids, prepared), start=1)
    ]
    return MemoryProbe(
        processes=len(pids),
        idle_mib=idle,
        peak_mib=max(mib for _, mib in [*by_connection, *by_seat, (0, idle)]),
        by_connection=least_squares.line(by_connection),
        by_cached_seat=least_squares.line(by_seat),
        seats_per_schedule=seats,
    )


def _memory_mib(pids: Sequence[int]) -> float:
    children = processes.children_of_all()
    return sum(processes.usage(pid, children).memory_mib for pid in pids)


def _connections(base_url: str, pids: Sequence[int], counts: Sequence[int]) -> Points:
    """Open connections with one request each, and keep them open while memory is read."""
    parts = urlsplit(base_url)
    with ExitStack() as stack:
        opened = 0
        for count in counts:
            for _ in range(count - opened):
                with contextlib.suppress(OSError):
                    sock = socket.create_connection((parts.hostname or "", parts.port or 80), 5)
                    stack.enter_context(sock)
                    sock.sendall(_REQUEST)
                    sock.recv(65_536)
            opened = count
            time.sleep(_SETTLE_S)
            yield float(count), _memory_mib(pids)


def _schedules(base_url: str, pids: Sequence[int], schedule_ids: Iterator[UUID]) -> Iterator[float]:
    """Load schedules into the caches one by one, and read memory after each."""
    for schedule_id in schedule_ids:
        for _ in range(_LOOKUPS_PER_SCHEDULE):
            request(base_url, "GET", f"/v1/schedules/{schedule_id}/seats")
        time.sleep(_SETTLE_S / 2)
        yield _memory_mib(pids)
