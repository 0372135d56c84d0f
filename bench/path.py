"""`python -m bench.path`: the files of the product that a request passes, and how often it returns.

A served process runs here under `sys.setprofile`. Each kind of request is repeated on one connection,
one at a time, with its user's token verified before. A file counts if it is entered in most of the
repetitions; a return is the flow entering a file that it has entered and left before. Counts include
what follows the answer, such as the end of the batch, and leave out what many requests share: the
access log is written, and metrics are added, ten times a second.
"""

import asyncio
import random
import socket
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from statistics import median
from types import FrameType
from typing import Annotated, Any

import msgspec
import typer
import uvloop

import boxoffice
from bench.environment.environment import Dataset, DatasetPlan, SeededSchedule, running_environment
from bench.scenarios import http_requests
from boxoffice.app import open_application
from boxoffice.http.server.context import connection_limits
from boxoffice.http.server.listening import listen
from boxoffice.http.server.server import Server
from boxoffice.observability.logs import configure_logs
from boxoffice.settings import Settings

_PRODUCT = str(Path(boxoffice.__file__).parent) + "/"
_CONNECTION = "http/server/connection.py"
_COUNTED_SHARE = 0.8
_WARMUP = 3
# A batch's last callback runs within this time of the answer.
_SETTLE_S = 0.03
# Longer than the access log waits before it writes, and never in step with a timer of the product.
_PAUSE_S = 0.15
_PAUSE_MORE_S = 0.1
_SEED = 15
_READY_TIMEOUT_S = 20.0
_RECEIVE_BYTES = 1 << 20

_SEATS = 1_000

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


class CallRecorder:
    """Records which files of the product the current thread enters, in order."""

    def __init__(self) -> None:
        self.entered: list[str] = []
        self._names: dict[str, str] = {}

    def start(self) -> None:
        """Record from now on."""
        self.entered = []
        sys.setprofile(self._record)

    def stop(self) -> list[str]:
        """Return the files that were entered since `start`, a file again where the flow came back."""
        sys.setprofile(None)
        return self.entered

    def _record(self, frame: FrameType, event: str, _argument: Any) -> None:
        if event != "call":
            return
        path = frame.f_code.co_filename
        name = self._names.get(path)
        if name is None:
            inside = path.startswith(_PRODUCT)
            name = self._names[path] = path.removeprefix(_PRODUCT) if inside else ""
        if name and (not self.entered or self.entered[-1] != name):
            self.entered.append(name)


class RequestPath(msgspec.Struct):
    """The files on the way of one kind of request, in the order of first entering, and the returns."""

    kind: str
    files: list[str]
    returns: int


def path_of(kind: str, repetitions: Sequence[Sequence[str]]) -> RequestPath:
    """Return the files that most repetitions enter, and the median of the returns to them."""
    seen = Counter(name for entered in repetitions for name in set(entered))
    counted = {name for name, times in seen.items() if times >= _COUNTED_SHARE * len(repetitions)}
    flows = [_without_repeats(name for name in one if name in counted) for one in repetitions]
    typical = sorted(flows, key=len)[len(flows) // 2]
    returns = median(len(flow) - len(set(flow)) for flow in flows)
    return RequestPath(kind, list(dict.fromkeys(typical)), round(returns))


def since_connection(entered: Sequence[str]) -> list[str]:
    """Leave out what ran before the connection read the request: tasks in the background."""
    at = entered.index(_CONNECTION) if _CONNECTION in entered else 0
    return list(entered[at:])


def _without_repeats(names: Iterable[str]) -> list[str]:
    flow: list[str] = []
    for name in names:
        if not flow or flow[-1] != name:
            flow.append(name)
    return flow


class UnexpectedAnswer(Exception):
    """A request was not answered with its status."""


class Client:
    """One connection to the server, with one request at a time."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=30)

    def send(self, request: bytes, status: int) -> bytes:
        """Send a request and return the body of its answer; raise `UnexpectedAnswer`."""
        self._socket.sendall(request)
        received = b""
        while b"\r\n\r\n" not in received:
            received += self._socket.recv(_RECEIVE_BYTES)
        head, _, body = received.partition(b"\r\n\r\n")
        lines = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:])
        while len(body) < int(lines.get(b"content-length", 0)):
            body += self._socket.recv(_RECEIVE_BYTES)
        if int(head.split(b" ", 2)[1]) != status:
            raise UnexpectedAnswer(f"{head[:40]!r} {body[:400]!r} instead of {status}")
        return body

    def close(self) -> None:
        """Close the connection."""
        self._socket.close()


@dataclass
class Measurement:
    """Sends requests of each kind through `client`; `record` returns the files that a call enters."""

    client: Client
    dataset: Dataset
    count: int
    record: Callable[[Callable[[], object]], list[str]]
    paths: list[RequestPath] = field(default_factory=list)

    def sale(self) -> None:
        """Measure the kinds of a sale without a waiting room."""
        schedule, tokens = self.dataset.schedules[0], self.dataset.tokens
        buyers, others = tokens[: self.count], tokens[self.count :]
        for token in tokens:
            self.client.send(http_requests.get("/v1/me/wallet", token), 200)
        holds = self._holds(schedule, buyers)
        self._measure("hold", holds, 201)
        # A repetition has the answer of the first request.
        ids = [_reservation_id(self.client.send(request, 201)) for request in holds]
        pays = [http_requests.pay(*pair) for pair in zip(buyers, ids, strict=True)]
        self._measure("payment", pays, 201)
        self._measure("refusal", self._holds(schedule, others), 409)
        seat_map = http_requests.get(f"/v1/schedules/{schedule.schedule_id}/seats", tokens[0])
        self._measure("seat map", [seat_map] * self.count, 200)

    def poll(self) -> None:
        """Measure the poll of a queue position."""
        schedule_id, token = self.dataset.schedules[0].schedule_id, self.dataset.tokens[0]
        ticket = self._joined(http_requests.join(schedule_id, token))
        self._measure("poll", [http_requests.queue_position(schedule_id, ticket)] * self.count, 200)

    def _measure(self, kind: str, requests: Sequence[bytes], status: int) -> None:
        flows = []
        pauses = random.Random(_SEED)  # noqa: S311 — a load, not a secret
        for request in requests:
            flows.append(self.record(partial(self.client.send, request, status)))
            time.sleep(_PAUSE_S + pauses.uniform(0, _PAUSE_MORE_S))
        self.paths.append(path_of(kind, flows[_WARMUP:]))

    def _holds(self, schedule: SeededSchedule, tokens: Sequence[str]) -> list[bytes]:
        pairs = zip(schedule.seat_ids, tokens, strict=False)
        return [
            http_requests.hold(schedule.schedule_id, token, f"path-{seat}", [seat])
            for seat, token in pairs
        ]

    def _joined(self, request: bytes) -> str:
        """Join when the waiting room has a leader, and return the queue ticket."""
        until = time.monotonic() + _READY_TIMEOUT_S
        while True:
            try:
                return str(msgspec.json.decode(self.client.send(request, 201))["queue_ticket"])
            except UnexpectedAnswer:
                if time.monotonic() > until:
                    raise
                time.sleep(_PAUSE_S)


def _reservation_id(body: bytes) -> str:
    return str(msgspec.json.decode(body)["reservation_id"])


async def _served(
    settings: Settings, dataset: Dataset, count: int, measure: Callable[[Measurement], None]
) -> list[RequestPath]:
    """Serve in this thread while `measure` sends requests from another one."""
    loop = asyncio.get_running_loop()
    recorder = CallRecorder()

    def call(function: Callable[[], Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(_called(function), loop).result()

    def record(send: Callable[[], object]) -> list[str]:
        call(recorder.start)
        send()
        time.sleep(_SETTLE_S)
        return since_connection(call(recorder.stop))

    async with open_application(settings) as application:
        limits = connection_limits(settings.server)
        server = Server(application.http.router, application.http.access_log, limits)
        sock = listen(settings)
        port = sock.getsockname()[1]
        await server.start(sock, settings.server.backlog_max)
        client = Client(port)
        measurement = Measurement(client, dataset, count, record)
        try:
            await asyncio.to_thread(measure, measurement)
        finally:
            client.close()
            await server.stop()
    return measurement.paths


async def _called(function: Callable[[], Any]) -> Any:
    return function()


def measured(folder: Path, repetitions: int) -> list[RequestPath]:
    """Measure each kind of request on servers whose data is in `folder`."""
    count = _WARMUP + repetitions
    paths: list[RequestPath] = []
    with running_environment(folder / "servers") as servers:
        dataset = servers.seed_dataset(DatasetPlan(_SEATS, 1, 2 * count))
        for measure in (Measurement.sale, Measurement.poll):
            with servers.fresh_database(dataset.plan) as settings:
                if measure is Measurement.poll:
                    asyncio.run(servers.add_waiting_rooms(settings))
                configure_logs(settings.observability)
                paths += uvloop.run(_served(settings.replace(port=0), dataset, count, measure))
    return paths


@app.command()
def main(
    repetitions: Annotated[int, typer.Option(min=1, help="Measured requests per kind.")] = 10,
    json: Annotated[Path | None, typer.Option(help="Where to write the paths.")] = None,
) -> None:
    """Print the files on the way of each kind of request, in order, and the returns to them."""
    with tempfile.TemporaryDirectory(prefix="boxoffice-bench-", ignore_cleanup_errors=True) as home:
        paths = measured(Path(home), repetitions)
    for one in paths:
        print(f"{one.kind}: {len(one.files)} files, {one.returns} returns")
        print("".join(f"  {name}\n" for name in one.files))
    if json is not None:
        json.write_bytes(msgspec.json.format(msgspec.json.encode(paths)))


if __name__ == "__main__":
    app()
