"""What connections and hot schedules cost in memory: some are added, and the memory is read."""

import contextlib
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from urllib.parse import urlsplit

from boxoffice_loadtest.analysis import costs
from boxoffice_loadtest.measurement import processes
from boxoffice_loadtest.measurement.api_client import ask
from boxoffice_loadtest.model import MemoryProbe
from boxoffice_loadtest.runner.target import Installation

_SETTLE_S = 0.6
_LOOKS_PER_SCHEDULE = 12
_REQUEST = b"GET /v1/concerts HTTP/1.1\r\nHost: loadtest\r\n\r\n"


def probe(
    one: Installation, connections: Sequence[int], schedules: int, seats: int
) -> MemoryProbe | None:
    """Measure; None where the processes cannot be seen from here."""
    pids = one.pids().get("api", [])
    if not pids or not processes.is_supported():
        return None
    at_rest = _memory_mib(pids)
    by_connection = list(_connections(one.base_url, pids, connections))
    time.sleep(_SETTLE_S)
    by_seat = list(_schedules(one, pids, schedules, seats))
    peak = max(mib for _, mib in [*by_connection, *by_seat, (0, at_rest)])
    return MemoryProbe(
        processes=len(pids),
        at_rest_mib=at_rest,
        peak_mib=peak,
        by_connection=costs.line(by_connection),
        by_hot_seat=costs.line(by_seat),
        hot_seats_each=seats,
    )


def _memory_mib(pids: Sequence[int]) -> float:
    children = processes.children_of_all()
    return sum(processes.usage(pid, children).memory_mib for pid in pids)


def _connections(
    base_url: str, pids: Sequence[int], counts: Sequence[int]
) -> Iterator[tuple[float, float]]:
    """Open connections, ask once on each, and keep them open while memory is read."""
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


def _schedules(
    one: Installation, pids: Sequence[int], schedules: int, seats: int
) -> Iterator[tuple[float, float]]:
    """Make schedules hot one after the other; counted in seats times processes that keep them."""
    look: Callable[[str], object] = lambda path: ask(one.base_url, "GET", path)  # noqa: E731
    for number in range(1, schedules + 1):
        terms = one.stage(seats, False)
        for _ in range(_LOOKS_PER_SCHEDULE):
            look(f"/v1/schedules/{terms.schedule_id}/seats")
        time.sleep(_SETTLE_S / 2)
        yield float(number * seats * len(pids)), _memory_mib(pids)
