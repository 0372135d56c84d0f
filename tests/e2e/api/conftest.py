"""A real server of our own on real servers below it, and people and concerts to try it with."""

import asyncio
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncpg
import pytest

from boxoffice.app import open_application
from boxoffice.audit import audit
from boxoffice.settings import Settings
from tests.conftest import ONE_ADDRESS, Servers
from tests.support.database import copied_database
from tests.support.shop import START_TIMEOUT_S, STOP_TIMEOUT_S, dying_with_us

from .client import Answer, Api, Person, Sale, expect, log_in, sign_up

_SERVER_ERROR = re.compile(rb'^boxoffice_requests_total\{.*status="5.*$', re.MULTILINE)


@dataclass(frozen=True)
class Running:
    """A server process and what it has logged."""

    process: subprocess.Popen[bytes]
    api: Api
    log: Path
    database_url: str

    def lines(self) -> list[dict[str, Any]]:
        """What it has logged so far, each line as JSON; one that is being written is left out."""
        whole = self.log.read_bytes().rpartition(b"\n")[0]
        return [json.loads(line) for line in whole.splitlines()]

    def requests(self) -> list[dict[str, Any]]:
        """The lines of its requests."""
        return [line for line in self.lines() if line["event"] == "request"]

    def stop(self) -> int:
        """Ask it to stop; return its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(STOP_TIMEOUT_S)


Start = Callable[..., Running]


def undescribed(requests: list[dict[str, Any]], document: dict[str, Any]) -> set[str]:
    """Return the answers that an operation gave and that the document does not name."""
    missing = set()
    for line in requests:
        operation = document["paths"].get(line["route"], {}).get(line["method"].lower())
        if operation is None:
            continue
        response = operation["responses"].get(str(line["status"]))
        if response is None or (
            line["code"] != "ok" and f"`{line['code']}`" not in response["description"]
        ):
            missing.add(f"{line['method']} {line['route']}: {line['status']} {line['code']}")
    return missing


@contextmanager
def running(database_url: str, valkey_url: str, log: Path, **changed: str) -> Iterator[Running]:
    """Run `boxoffice serve` on a free port; `changed` are settings by their variable's name."""
    env = {name: v for name, v in os.environ.items() if not name.startswith("BOXOFFICE_")}
    env |= {"BOXOFFICE_DATABASE_URL": database_url, "BOXOFFICE_VALKEY_URL": valkey_url}
    changed = {name: str(value) for name, value in ONE_ADDRESS.items()} | changed
    env["BOXOFFICE_WALLET_TOP_UP_FREE"] = "true"
    env |= {f"BOXOFFICE_{name.upper()}": value for name, value in changed.items()}
    # The port listens before the process does, so that early connections wait and no test polls.
    with socket.create_server(("127.0.0.1", 0), backlog=512) as sock, log.open("wb") as out:
        port = sock.getsockname()[1]
        argv = dying_with_us(
            [sys.executable, "-m", "boxoffice", "serve", "--fd", str(sock.fileno())]
        )
        process = subprocess.Popen(
            argv, env=env, stdout=out, stderr=subprocess.STDOUT, pass_fds=(sock.fileno(),)
        )
    server = Running(process, Api("127.0.0.1", port), log, database_url)
    try:
        _require_ready(server)
        yield server
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()


def _require_ready(server: Running) -> None:
    """Wait for the first answer, which a busy machine may give late."""
    ends_at = time.monotonic() + START_TIMEOUT_S
    while True:
        try:
            expect(server.api.get("/readyz"), 200)
        except OSError as error:
            is_starting = isinstance(error, TimeoutError) and server.process.poll() is None
            if not is_starting or time.monotonic() > ends_at:
                pytest.fail(f"the server does not answer: {server.log.read_text()}")
        else:
            return


def check_books(database_url: str) -> None:
    """Check every invariant of the shop."""
    report = asyncio.run(audit(Settings.of(database_url=database_url)))
    assert report.ok, report.broken


@pytest.fixture(scope="session")
def server(
    servers: Servers, template: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Running]:
    """The server that most tests share; it must never have failed, and its books must balance."""
    log = tmp_path_factory.mktemp("api") / "serve.log"
    with (
        copied_database(servers.database_url, template) as database_url,
        # Two buyers stand for the many of all the tests.
        running(database_url, servers.valkey_url, log, hold_lapses_free_max="1000000") as shared,
    ):
        yield shared
        failures = _SERVER_ERROR.findall(shared.api.get("/metrics").raw)
        document = shared.api.get("/openapi.json").json
        shared.stop()
        assert undescribed(shared.requests(), document) == set()
        assert not failures
        assert [line for line in shared.lines() if line["level"] in ("error", "critical")] == []
        check_books(database_url)


@pytest.fixture
def start(servers: Servers, database_url: str, tmp_path: Path) -> Iterator[Start]:
    """Starts servers with settings of their own on this test's database."""
    with ExitStack() as stack:

        def begin(**changed: str) -> Running:
            log = tmp_path / f"{uuid4().hex}.log"
            return stack.enter_context(running(database_url, servers.valkey_url, log, **changed))

        yield begin


@pytest.fixture(scope="session")
def api(server: Running) -> Api:
    """The shared server, called without a token."""
    return server.api


@pytest.fixture(scope="session")
def buyer(api: Api) -> Person:
    """A person with money."""
    return rich(api)


@pytest.fixture(scope="session")
def other(api: Api) -> Person:
    """Another person with money."""
    return rich(api)


@pytest.fixture(scope="session")
def organizer(server: Running) -> Person:
    """A person who may sell."""
    return make_organizer(server)


@pytest.fixture(scope="session")
def operator(server: Running) -> Person:
    """A person who runs the shop."""
    return make_organizer(server, "operator")


def make_organizer(server: Running, role: str = "organizer") -> Person:
    """Make a person with the role of an organizer, or another; roles are given by a command only."""
    person = sign_up(server.api, role.capitalize())

    async def grant() -> None:
        settings = Settings.of(database_url=server.database_url, valkey_url="redis://127.0.0.1:1")
        async with open_application(settings) as application:
            await application.services.accounts.grant_role(person.email, role)

    asyncio.run(grant())
    token = log_in(server.api, person.email)
    return Person(person.user_id, person.email, server.api.of(token))


def rich(api: Api, amount: int = 5_000_000) -> Person:
    """Sign a user up and top up the wallet."""
    person = sign_up(api)
    expect(person.api.keyed("/v1/me/wallet/top-ups", {"amount": amount}), 201)
    return person


def schedule_body(**changed: Any) -> dict[str, Any]:
    """A schedule that is on sale as soon as it is open."""
    now = datetime.now(UTC)
    return {
        "starts_at": (now + timedelta(days=30)).isoformat(),
        "sale_opens_at": (now - timedelta(hours=1)).isoformat(),
        **changed,
    }


def seat_bodies(count: int, **changed: Any) -> list[dict[str, Any]]:
    """Seats in rows of ten; the first half is graded VIP, the rest R."""
    return [
        {
            "section": "A",
            "row": str(1 + at // 10),
            "number": 1 + at % 10,
            "grade": "VIP" if at < count / 2 else "R",
            "price": 110_000 if at < count / 2 else 88_000,
            **changed,
        }
        for at in range(count)
    ]


def draft(organizer: Person, seats: int = 20, **changed: Any) -> Sale:
    """Create a concert with one schedule, neither published nor open."""
    title = changed.pop("title", "봄의 노래")
    concert = {"title": title, "artist": "The Encores", "venue": "Hall 1"}
    concert_id = expect(organizer.api.post("/v1/admin/concerts", concert), 201).json["concert_id"]
    path = f"/v1/admin/concerts/{concert_id}/schedules"
    made = expect(organizer.api.post(path, schedule_body(**changed)), 201)
    sale = Sale(
        concert_id,
        made.json["schedule_id"],
        [f"A-{1 + n // 10}-{1 + n % 10}" for n in range(seats)],
    )
    if seats:
        upload = f"/v1/admin/schedules/{sale.schedule_id}/seats"
        expect(organizer.api.post(upload, {"seats": seat_bodies(seats)}), 201)
    return sale


def on_sale(organizer: Person, seats: int = 20, **changed: Any) -> Sale:
    """Put a concert on sale."""
    sale = draft(organizer, seats, **changed)
    expect(organizer.api.post(f"/v1/admin/concerts/{sale.concert_id}/publish"), 200)
    expect(organizer.api.post(f"/v1/admin/schedules/{sale.schedule_id}/open"), 200)
    return sale


def hold(person: Person, sale: Sale, *seat_ids: str) -> Answer:
    """Hold seats."""
    return expect(person.api.keyed(sale.holds, {"seat_ids": seat_ids}), 201)


@pytest.fixture(scope="session")
def sale(organizer: Person) -> Sale:
    """A concert on sale."""
    return on_sale(organizer, 200)


# A room that was just opened can be joined as soon as a process leads it.
_PATIENCE_S = 20.0


def room_of(sale: Sale) -> str:
    """The address of the waiting room of a sale."""
    return f"/v1/schedules/{sale.schedule_id}/queue"


def admin_of(sale: Sale) -> str:
    """The address of the organizer's call."""
    return f"/v1/admin/schedules/{sale.schedule_id}/queue"


def open_room(organizer: Person, sale: Sale) -> None:
    """Have people wait for a sale, in the order in which they come."""
    expect(organizer.api.post(admin_of(sale), {"mode": "fifo"}), 200)


def join(person: Person, sale: Sale) -> dict[str, Any]:
    """Join, as soon as the room is there."""
    until_s = time.monotonic() + _PATIENCE_S
    while True:
        answer = person.api.post(room_of(sale))
        if answer.status != 503 or time.monotonic() > until_s:
            return dict(expect(answer, 201).json)


# The leader of the waiting rooms renews its lease all the time, whatever clients request.
_RENEWED = "leases"


def fingerprint(database_url: str) -> dict[str, str]:
    """Return a digest of every table's rows but the leases', to see that nothing was changed."""

    async def read() -> dict[str, str]:
        connection = await asyncpg.connect(database_url)
        try:
            tables = await connection.fetch(
                "SELECT relname FROM pg_class WHERE relkind IN ('r', 'p') AND NOT relispartition"
                " AND relnamespace = 'public'::regnamespace AND relname <> $1 ORDER BY relname",
                _RENEWED,
            )
            return {row["relname"]: await digest(connection, row["relname"]) for row in tables}
        finally:
            await connection.close()

    async def digest(connection: Any, table: str) -> str:
        text = "md5(coalesce(string_agg(t::text, ';' ORDER BY t::text), ''))"
        return str(await connection.fetchval(f'SELECT {text} FROM "{table}" t'))  # noqa: S608

    return asyncio.run(read())


@pytest.fixture
def unchanged(
    server: Running, sale: Sale, buyer: Person, other: Person, second_organizer: Person
) -> Iterator[None]:
    """Whatever the test asks for, the shared database stays as it is."""
    before = fingerprint(server.database_url)
    yield
    assert fingerprint(server.database_url) == before


@pytest.fixture(scope="session")
def second_organizer(server: Running) -> Person:
    """Another person who may sell."""
    return make_organizer(server)


@pytest.fixture(scope="session")
def signing_key(server: Running, buyer: Person) -> tuple[str, bytes]:
    """The key that the shared server signs with: its name and its secret."""

    async def read() -> tuple[str, bytes]:
        connection = await asyncpg.connect(server.database_url)
        try:
            row = await connection.fetchrow("SELECT kid::text, secret FROM token_keys")
        finally:
            await connection.close()
        assert row is not None
        return row["kid"], row["secret"]

    return asyncio.run(read())
