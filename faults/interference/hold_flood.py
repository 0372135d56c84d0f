"""A flood of holds from a process of its own: `python -m` this module, `PLAN RESULT`.

Raw bytes on one thread, because the flood takes its CPU from the servers. Two kinds of clients:

- no backoff: requests at a constant rate (open workload), without retries. A request that finds all
  connections busy is counted as `unsent`;
- closed loop: a number of clients with one connection each. Each asks again after a think time, and
  after a refusal when `Retry-After` says.
"""

import asyncio
import gc
import math
import random
import re
import resource
import sys
import time
from collections import Counter, deque
from pathlib import Path

import msgspec
import uvloop

_HEAD_END = b"\r\n\r\n"
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_RETRY_AFTER = re.compile(rb"\r\nretry-after: *(\d+)", re.IGNORECASE)
_LOOK_EVERY_S = 0.001
TICK_S = 0.1
GRACE_S = 15.0
_HOLD = (
    b"POST /v1/schedules/%b/reservations HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: application/json\r\n"
    b"Authorization: Bearer %b\r\nContent-Type: application/json\r\nIdempotency-Key: "
)
_REST = b"%b-%012d\r\nContent-Length: %d\r\n\r\n%b"
_REFUSALS = (429, 503)


class HoldFloodPlan(msgspec.Struct, kw_only=True):
    """Target, duration and kind of a flood: holds of one seat each, by these buyers in turn.

    `rate_per_s` selects clients without backoff. Else `people` clients ask again after `think_s` on
    average. The first `warm_s` are not counted.
    """

    ports: list[int]
    schedule_id: str
    seat_ids: list[str]
    tokens: list[str]
    tag: str
    seed: int
    seconds: float
    warm_s: float
    rate_per_s: float = 0.0
    people: int = 0
    think_s: float = 0.1
    connections_max: int = 8_000


class HoldFloodResult(msgspec.Struct, kw_only=True):
    """What the clients saw after the warm-up; times in seconds.

    `begin_s` is monotonic, which all processes of a machine share. `accepted_by_tick` and
    `refused_by_tick` count holds by tenth of a second from then.
    """

    begin_s: float
    wall_s: float
    cpu_s: float
    offered: int
    accepted: int
    accepted_p50_s: float
    accepted_p99_s: float
    refused_p99_s: float
    statuses: dict[str, int]
    without_retry_after: int
    cut: int
    unanswered: int
    unsent: int
    connections: int
    accepted_by_tick: list[int]
    refused_by_tick: list[int]

    @property
    def offered_per_s(self) -> float:
        """Requests per second, unsent ones included."""
        return (self.offered + self.unsent) / self.wall_s

    @property
    def goodput_per_s(self) -> float:
        """Accepted holds per second."""
        return self.accepted / self.wall_s

    def between_per_s(self, begin_s: float, end_s: float) -> float:
        """Accepted holds per second between two moments, by whole ticks."""
        first, last = self._ticks(begin_s, end_s)
        return sum(self.accepted_by_tick[first:last]) / ((last - first) * TICK_S)

    def refused_between(self, begin_s: float, end_s: float) -> int:
        """The number of refusals between two moments, by whole ticks."""
        first, last = self._ticks(begin_s, end_s)
        return sum(self.refused_by_tick[first:last])

    def _ticks(self, begin_s: float, end_s: float) -> tuple[int, int]:
        first = math.ceil((begin_s - self.begin_s) / TICK_S)
        last = math.floor((end_s - self.begin_s) / TICK_S)
        if not 0 <= first < last <= len(self.accepted_by_tick):
            raise ValueError("the flood did not cover that time")
        return first, last

    @property
    def client_cores(self) -> float:
        """CPU time of the client, in cores."""
        return self.cpu_s / self.wall_s


class _FloodConnection(asyncio.Protocol):
    """A keep-alive connection with at most one request in flight."""

    def __init__(self, clients: "_Clients", head: bytes) -> None:
        self._clients = clients
        self.head = head
        self._got = bytearray()
        self._status = 0
        self._missing = -1
        self.retry_after_s = -1.0
        self.seat = -1
        self.sent_s = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: asyncio.Transport = transport  # type: ignore[assignment]

    def connection_lost(self, exc: Exception | None) -> None:
        self._clients.lost(self)

    def data_received(self, data: bytes) -> None:
        got = self._got
        got += data
        if self._missing < 0:
            end = got.find(_HEAD_END)
            if end < 0:
                return
            self._status = int(got[9:12])
            length = _LENGTH.search(got, 0, end + 2)
            self._missing = int(length[1]) if length else 0
            if self._status in _REFUSALS:
                header = _RETRY_AFTER.search(got, 0, end + 2)
                self.retry_after_s = float(header[1]) if header else -1.0
            del got[: end + 4]
        if len(got) >= self._missing:
            self._got = bytearray()
            self._missing = -1
            self._clients.answered(self, self._status)


class _Clients:
    """All connections, and their counts."""

    def __init__(self, plan: HoldFloodPlan) -> None:
        self._plan = plan
        self._loop = asyncio.get_running_loop()
        self._rng = random.Random(plan.seed)
        schedule = plan.schedule_id.encode()
        self._heads = [_HOLD % (schedule, token.encode()) for token in plan.tokens]
        self._bodies = [b'{"seat_ids":["%b"]}' % seat.encode() for seat in plan.seat_ids]
        self._free = deque(range(len(self._bodies)))
        self._tag = plan.tag.encode()
        self._number = 0
        self._idle: list[_FloodConnection] = []
        self._opening: set[asyncio.Task[None]] = set()
        self._is_over = False
        self.from_s = 0.0
        self.opened = 0
        self.unsent = 0
        self.offered = 0
        self.in_flight = 0
        self.accepted: list[float] = []
        self.accepted_by_tick = [0] * math.ceil(plan.seconds / TICK_S)
        self.refused_by_tick = list(self.accepted_by_tick)
        self.refused: list[float] = []
        self.statuses: Counter[str] = Counter()
        self.without_retry_after = 0
        self.cut = 0
        self.finished = self._loop.create_future()

    async def open(self, count: int) -> None:
        """Open so many connections, in groups."""
        for at in range(0, count, 100):
            await asyncio.gather(*(self._open() for _ in range(min(100, count - at))))

    async def _open(self) -> None:
        port = self._plan.ports[self.opened % len(self._plan.ports)]
        head = self._heads[self.opened % len(self._heads)]
        self.opened += 1
        _, connection = await self._loop.create_connection(
            lambda: _FloodConnection(self, head), "127.0.0.1", port
        )
        self._idle.append(connection)

    # -- Sending ---------------------------------------------------------------------------------

    def send(self, connection: _FloodConnection) -> None:
        """Hold the seat that has been free for longest."""
        at_s = self._loop.time()
        self._number += 1
        number = self._number
        connection.seat = self._free.popleft()
        connection.sent_s = at_s
        body = self._bodies[connection.seat]
        self.in_flight += 1
        if at_s >= self.from_s:
            self.offered += 1
        connection.transport.write(connection.head + _REST % (self._tag, number, len(body), body))

    def start(self) -> float:
        """Begin, and return when it ends."""
        now = self._loop.time()
        self.from_s = now + self._plan.warm_s
        self._until_s = self.from_s + self._plan.seconds
        if self._plan.rate_per_s:
            self._due_s = now
            self._arrive()
        else:
            for connection in self._idle:
                self._loop.call_later(
                    self._rng.random() * self._plan.think_s * 2, self._want, connection
                )
        self._loop.call_at(self._until_s, self._end)
        return self._until_s

    def _arrive(self) -> None:
        """Send all requests that are due, on idle or new connections."""
        now = self._loop.time()
        if self._is_over:
            return
        while self._due_s <= now:
            self._due_s += self._rng.expovariate(self._plan.rate_per_s)
            if self._idle:
                self.send(self._idle.pop())
            elif self.opened < self._plan.connections_max:
                self._open_soon()
            else:
                self.unsent += now >= self.from_s
        self._loop.call_later(_LOOK_EVERY_S, self._arrive)

    def _open_soon(self) -> None:
        task = self._loop.create_task(self._open_and_send())
        self._opening.add(task)
        task.add_done_callback(self._opening.discard)

    async def _open_and_send(self) -> None:
        await self._open()
        if not self._is_over:
            self.send(self._idle.pop())

    def _want(self, connection: _FloodConnection) -> None:
        if not self._is_over and not connection.transport.is_closing():
            self.send(connection)

    # -- Hearing ---------------------------------------------------------------------------------

    def answered(self, connection: _FloodConnection, status: int) -> None:
        """Process a response."""
        if connection.seat < 0:
            return  # The server closes an idle connection with a 408.
        self.in_flight -= 1
        now = self._loop.time()
        is_refused = status in _REFUSALS
        if is_refused:
            self._free.appendleft(connection.seat)
        else:
            self._free.append(connection.seat)
        connection.seat = -1
        if self.from_s <= now < self._until_s:
            self._count(connection, status, now)
        if not self._plan.rate_per_s:
            think_s = self._rng.expovariate(1 / self._plan.think_s)
            pause_s = max(1.0, connection.retry_after_s) * self._rng.uniform(1, 1.5)
            self._loop.call_later(pause_s if is_refused else think_s, self._want, connection)
        else:
            self._idle.append(connection)
        self._finish()

    def _finish(self) -> None:
        if self._is_over and not self.in_flight and not self.finished.done():
            self.finished.set_result(None)

    def _count(self, connection: _FloodConnection, status: int, now: float) -> None:
        self.statuses[str(status)] += 1
        at = min(int((now - self.from_s) / TICK_S), len(self.accepted_by_tick) - 1)
        if status == 201:
            self.accepted.append(now - connection.sent_s)
            self.accepted_by_tick[at] += 1
        elif status in _REFUSALS:
            self.refused.append(now - connection.sent_s)
            self.refused_by_tick[at] += 1
            self.without_retry_after += connection.retry_after_s < 0

    def lost(self, connection: _FloodConnection) -> None:
        """Count a connection that the server closed."""
        if connection.seat >= 0:
            self.in_flight -= 1
            self.cut += 1
            self._free.append(connection.seat)
            self._finish()
        elif connection in self._idle:
            self._idle.remove(connection)

    def _end(self) -> None:
        self._is_over = True
        self._finish()


async def _flood(plan: HoldFloodPlan) -> HoldFloodResult:
    clients = _Clients(plan)
    await clients.open(plan.people or 64)
    gc.collect()
    gc.disable()
    until_s = clients.start()
    loop = asyncio.get_running_loop()
    await asyncio.sleep(plan.warm_s)
    began_s, cpu_s = loop.time(), time.process_time()
    await asyncio.sleep(until_s - loop.time())
    wall_s, cpu_s = loop.time() - began_s, time.process_time() - cpu_s
    done, _ = await asyncio.wait([clients.finished], timeout=GRACE_S)
    accepted, refused = sorted(clients.accepted), sorted(clients.refused)
    return HoldFloodResult(
        begin_s=clients.from_s,
        wall_s=wall_s,
        cpu_s=cpu_s,
        offered=clients.offered,
        accepted=len(accepted),
        accepted_p50_s=_percentile(accepted, 50),
        accepted_p99_s=_percentile(accepted, 99),
        refused_p99_s=_percentile(refused, 99),
        statuses=dict(clients.statuses),
        without_retry_after=clients.without_retry_after,
        cut=clients.cut,
        unanswered=0 if done else clients.in_flight,
        unsent=clients.unsent,
        connections=clients.opened,
        accepted_by_tick=clients.accepted_by_tick,
        refused_by_tick=clients.refused_by_tick,
    )


def _percentile(ordered: list[float], percent: int) -> float:
    return ordered[max(0, -(-len(ordered) * percent // 100) - 1)] if ordered else 0.0


def main() -> None:
    """Run a plan from a file."""
    plan_file, result_file = sys.argv[1:]
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    plan = msgspec.msgpack.decode(Path(plan_file).read_bytes(), type=HoldFloodPlan)
    Path(result_file).write_bytes(msgspec.msgpack.encode(uvloop.run(_flood(plan))))


if __name__ == "__main__":
    main()
