"""The whole way of a request in the API process: from its bytes to those of the answer.

The clients' connections are in memory, so no socket of a client counts; PostgreSQL and Valkey are real,
and their driver and client count. Requests come in turns of `TURN`, as under load.
"""

import asyncio
import gc
import time
from collections.abc import Sequence

import msgspec

from bench.environment.environment import Dataset, DatasetPlan
from bench.parts.timing import PartCost, part_cost
from bench.path import UnexpectedAnswer
from bench.scenarios import http_requests
from boxoffice.app import Application
from boxoffice.http.server.connection import Connection
from boxoffice.http.server.context import ServerContext, connection_limits

TURN = 32
# The first is filled, and nothing of it measured: plans and caches are warm afterwards.
_SCHEDULES = 4
_GROUP = f"request, in turns of {TURN}"
_CREATED, _OK, _REFUSED = b"201", b"200", b"409"
_STATUS = slice(9, 12)
_OPENS_WITHIN_S = 20.0
_RETRY_S = 0.2


def plan(turns: int) -> DatasetPlan:
    """Return the data of a measurement of `turns` turns per schedule: a buyer for each seat."""
    seats = turns * TURN
    return DatasetPlan(seats, _SCHEDULES, seats * _SCHEDULES)


class MemoryTransport(asyncio.Transport):
    """A connection whose other end is in this process: it keeps the answer."""

    def __init__(self, turns: "Turns") -> None:
        super().__init__({"peername": ("127.0.0.1", 1)})
        self._turns = turns
        self.answer = b""

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Keep an answer."""
        if not self.answer:
            self._turns.note_answer()
        self.answer += bytes(data)

    def get_write_buffer_size(self) -> int:
        """Return 0: the client reads at once."""
        return 0

    def is_closing(self) -> bool:
        """Whether the server closes it."""
        return False

    def pause_reading(self) -> None:
        """Do nothing: a turn has one request."""

    def resume_reading(self) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing: an answer other than expected is noticed by its status."""

    def abort(self) -> None:
        """Do nothing."""


class Turns:
    """Connections that all send a request in the same turn of the event loop."""

    def __init__(self, application: Application) -> None:
        http = application.http
        limits = connection_limits(application.settings.server)
        context = ServerContext(http.router, http.access_log, limits)
        self._transports = [MemoryTransport(self) for _ in range(TURN)]
        self._connections = [Connection(context) for _ in range(TURN)]
        for connection, transport in zip(self._connections, self._transports, strict=True):
            connection.connection_made(transport)
        self._unanswered = 0
        self._is_answered = asyncio.Event()

    def note_answer(self) -> None:
        """Count the first bytes of an answer."""
        self._unanswered -= 1
        if self._unanswered == 0:
            self._is_answered.set()

    async def send(self, requests: Sequence[bytes], status: bytes) -> float:
        """Send up to `TURN` requests; return the CPU seconds of this thread until all are answered.

        Raises `UnexpectedAnswer`.
        """
        self._unanswered = len(requests)
        self._is_answered.clear()
        for transport in self._transports:
            transport.answer = b""
        began_at = time.thread_time()
        asyncio.get_running_loop().call_soon(self._receive, requests)
        await self._is_answered.wait()
        # What follows the answers in the same turn belongs to them.
        await asyncio.sleep(0)
        took_s = time.thread_time() - began_at
        for answer in self._answers(len(requests)):
            if answer[_STATUS] != status:
                raise UnexpectedAnswer(answer.decode(errors="replace"))
        return took_s

    def bodies(self) -> list[bytes]:
        """Return the bodies of the last answers."""
        return [answer.partition(b"\r\n\r\n")[2] for answer in self._answers(TURN)]

    def close(self) -> None:
        """Close every connection."""
        for connection in self._connections:
            connection.connection_lost(None)

    def _answers(self, count: int) -> list[bytes]:
        return [transport.answer for transport in self._transports[:count]]

    def _receive(self, requests: Sequence[bytes]) -> None:
        for connection, request in zip(self._connections, requests, strict=False):
            connection.data_received(request)


class _Made(msgspec.Struct):
    reservation_id: str


class _Joined(msgspec.Struct):
    queue_ticket: str


async def sale(application: Application, dataset: Dataset) -> list[PartCost]:
    """Measure holds, payments, refusals and lookups."""
    turns = Turns(application)
    holds: list[float] = []
    pays: list[float] = []
    seats = dataset.plan.seats
    _settle()
    for number, schedule in enumerate(dataset.schedules):
        buyers = dataset.tokens[number * seats :][:seats]
        held = await _hold(turns, schedule.schedule_id, buyers, schedule.seat_ids)
        paid = await _pay(turns, buyers, held[1])
        if number:
            holds += held[0]
            pays += paid
    refusals = await _repeated(turns, _refused(dataset), _REFUSED)
    lookup = http_requests.get("/v1/concerts", dataset.tokens[0])
    lookups = await _repeated(turns, [lookup] * seats, _OK)
    turns.close()
    names = ("hold, cold token", "payment from the wallet", "refusal", "list of concerts")
    measured = zip(names, (holds, pays, refusals, lookups), strict=True)
    return [part_cost(_GROUP, name, seconds) for name, seconds in measured]


async def queue(application: Application, dataset: Dataset) -> list[PartCost]:
    """Measure joins, polls and boards of a waiting room."""
    turns = Turns(application)
    schedule_id = dataset.schedules[0].schedule_id
    joins = [http_requests.join(schedule_id, token) for token in dataset.tokens]
    await _opened(turns, joins[0])
    _settle()
    joined: list[float] = []
    tickets: list[str] = []
    for batch in _turns_of(joins[TURN:]):
        joined.append(await turns.send(batch, _CREATED) / TURN)
        tickets += [msgspec.json.decode(body, type=_Joined).queue_ticket for body in turns.bodies()]
    asked = [http_requests.queue_position(schedule_id, ticket) for ticket in tickets]
    cold = [await turns.send(batch, _OK) / TURN for batch in _turns_of(asked)]
    polls = await _repeated(turns, asked[: dataset.plan.seats], _OK)
    board = http_requests.get(f"/v1/schedules/{schedule_id}/queue/board", "")
    boards = await _repeated(turns, [board] * dataset.plan.seats, _OK)
    turns.close()
    # The first third warms up.
    measured = {
        "join, cold token": joined[len(joined) // 3 :],
        "poll, cold ticket": cold[len(cold) // 3 :],
        "poll": polls,
        "board": boards,
    }
    return [part_cost(_GROUP, name, seconds) for name, seconds in measured.items()]


def _settle() -> None:
    """Leave what exists out of garbage collections, as a served process does."""
    gc.collect()
    gc.freeze()


def _turns_of(requests: Sequence[bytes]) -> list[Sequence[bytes]]:
    return [requests[at : at + TURN] for at in range(0, len(requests), TURN)]


async def _hold(
    turns: Turns, schedule_id: str, buyers: Sequence[str], seat_ids: Sequence[str]
) -> tuple[list[float], list[str]]:
    """Hold a seat for each buyer; return the seconds of a hold in each turn, and the reservations."""
    requests = [
        http_requests.hold(schedule_id, token, f"hold-{seat_id}", [seat_id])
        for token, seat_id in zip(buyers, seat_ids, strict=True)
    ]
    took: list[float] = []
    made: list[str] = []
    for batch in _turns_of(requests):
        took.append(await turns.send(batch, _CREATED) / TURN)
        made += [msgspec.json.decode(body, type=_Made).reservation_id for body in turns.bodies()]
    return took, made


async def _pay(turns: Turns, buyers: Sequence[str], made: Sequence[str]) -> list[float]:
    requests = [http_requests.pay(*one) for one in zip(buyers, made, strict=True)]
    return [await turns.send(batch, _CREATED) / TURN for batch in _turns_of(requests)]


def _refused(dataset: Dataset) -> list[bytes]:
    """Return holds of the first schedule, which is full, by people who have been served before."""
    full, seats = dataset.schedules[0], dataset.plan.seats
    asked = zip(dataset.tokens[seats : 2 * seats], full.seat_ids, strict=True)
    return [
        http_requests.hold(full.schedule_id, token, f"again-{seat_id}", [seat_id])
        for token, seat_id in asked
    ]


async def _repeated(turns: Turns, requests: Sequence[bytes], status: bytes) -> list[float]:
    """Send the requests once to warm up, and once more."""
    took = [await turns.send(batch, status) / TURN for batch in 2 * _turns_of(requests)]
    return took[len(took) // 2 :]


async def _opened(turns: Turns, join: bytes) -> None:
    """Return when the waiting room has a leader and answers a join."""
    until = time.monotonic() + _OPENS_WITHIN_S
    while True:
        try:
            await turns.send([join], _CREATED)
        except UnexpectedAnswer:
            if time.monotonic() > until:
                raise
            await asyncio.sleep(_RETRY_S)
        else:
            return
