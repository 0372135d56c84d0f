"""What the load test is pointed at: an installation of its own, or one that runs already."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID

import msgspec
from rich.console import Console

from boxoffice.cli import seeding
from boxoffice.cli.printing import terminal
from boxoffice.platform.postgres.migrations import migrate
from boxoffice.platform.processes.supervisor import wrapped_command
from boxoffice.settings import Settings
from boxoffice_embedded import EmbeddedServers
from boxoffice_loadtest.errors import LoadtestError, TargetUnfit
from boxoffice_loadtest.measurement import database_reader, processes
from boxoffice_loadtest.measurement.api_client import ask, check_url, code_of
from boxoffice_loadtest.measurement.database_reader import ScheduleTerms

_START_TIMEOUT_S = 60.0
_STOP_TIMEOUT_S = 60.0
_DAY_S = 86_400
_BALANCE_MINOR = 1_000_000_000
_HOLD_TTL_S = 3_600
# Slower than people come in the scenario, so that a line forms.
_ROOM_RATE_PER_S = 30.0
_LAPSES_FREE_MAX = 1_000_000


class Person(msgspec.Struct, frozen=True):
    """A line of the tokens file."""

    user_id: str
    access_token: str


@dataclass
class People:
    """Those who take part, in the order of the tokens file."""

    file: Path
    persons: list[Person]

    @property
    def user_ids(self) -> list[str]:
        """Their ids by position."""
        return [person.user_id for person in self.persons]


def read_people(file: Path) -> People:
    """Read a tokens file; raise `TargetUnfit` where it is none."""
    try:
        lines = file.read_bytes().split(b"\n")
        persons = [msgspec.json.decode(line, type=Person) for line in lines if line.strip()]
    except (OSError, msgspec.MsgspecError) as error:
        raise TargetUnfit(
            f"{file} is not a file of tokens from `boxoffice seed`: {error}"
        ) from error
    if not persons:
        raise TargetUnfit(f"{file} has no tokens")
    return People(file, persons)


@dataclass
class Installation:
    """An installation under test; what is None cannot be seen from here."""

    base_url: str
    people: People
    settings: Settings | None
    pids: Callable[[], dict[str, list[int]]]
    trouble: Callable[[], str | None]
    stage: Callable[[int, bool], ScheduleTerms]
    not_sampled: list[str] = field(default_factory=list)
    environment: dict[str, str] = field(default_factory=dict)
    is_embedded: bool = False


class ApiProcesses:
    """`boxoffice serve` with its workers, as users run it."""

    def __init__(self, settings: Settings, log: Path, workers: int) -> None:
        self.settings = settings.replace(port=_free_port(), workers=workers)
        self.base_url = f"http://{self.settings.server.host}:{self.settings.server.port}"
        self._log = log
        self._workers: set[int] = set()
        self._process = _spawn(["serve"], self.settings, log)

    def wait_until_ready(self) -> None:
        """Return when it serves; raise `LoadtestError` with the end of its log where it does not."""
        until = time.monotonic() + _START_TIMEOUT_S
        while time.monotonic() < until and self._process.poll() is None:
            if _is_ready(self.base_url) and len(self._found()) == self.settings.server.workers:
                self._workers = set(self._found())
                return
            time.sleep(0.05)
        said = self._log.read_text(errors="replace")[-600:]
        raise LoadtestError(f"the API did not start: {said}")

    def pids(self) -> list[int]:
        """Return the processes that answer."""
        return sorted(self._workers)

    def _found(self) -> list[int]:
        if self.settings.server.workers == 1:
            return [self._process.pid]
        return processes.children_of_all().get(self._process.pid, [])[:]

    def trouble(self) -> str | None:
        """Say what is wrong, if something is."""
        if self._process.poll() is not None:
            return f"the API ended with code {self._process.returncode}"
        if processes.is_supported() and not self._workers <= set(self._found()):
            return "an API process died"
        return None

    def stop(self) -> None:
        """Ask it to stop, and see to it."""
        _end(self._process)


def _spawn(argv: list[str], settings: Settings, log: Path) -> "subprocess.Popen[bytes]":
    clean = {name: text for name, text in os.environ.items() if not name.startswith("BOXOFFICE_")}
    env = {
        **clean,
        "BOXOFFICE_DATABASE_URL": settings.database.database_url,
        "BOXOFFICE_VALKEY_URL": settings.valkey.valkey_url,
        "BOXOFFICE_PORT": str(settings.server.port),
        "BOXOFFICE_WORKERS": str(settings.server.workers),
        # A virtual user stands for many people, who each change their mind now and then.
        "BOXOFFICE_HOLD_LAPSES_FREE_MAX": str(_LAPSES_FREE_MAX),
    }
    command = wrapped_command(
        [sys.executable, "-m", "boxoffice", *argv],
        identity="same",
        death_signal=signal.SIGTERM,
        directory=Path.cwd(),
    )
    with log.open("ab") as out:
        return subprocess.Popen(  # noqa: S603 — our own command, no shell
            command, env=env, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT,
            start_new_session=True,
        )  # fmt: skip


def _end(process: "subprocess.Popen[bytes]") -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(_STOP_TIMEOUT_S)
        except (subprocess.TimeoutExpired, KeyboardInterrupt):
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


def _is_ready(base_url: str) -> bool:
    try:
        return ask(base_url, "GET", "/readyz").status == 200
    except TargetUnfit:
        return False


@dataclass
class Embedded:
    """The embedded servers, their people, and API processes as they are asked for."""

    servers: EmbeddedServers
    settings: Settings
    people: People
    folder: Path
    roles: dict[str, "subprocess.Popen[bytes]"]

    @contextmanager
    def serving(self, workers: int) -> Iterator[tuple[Installation, ApiProcesses]]:
        """Run an API of so many processes until the block is left."""
        api = ApiProcesses(self.settings, self.folder / "api.log", workers)
        try:
            api.wait_until_ready()
            yield self._installation(api), api
        finally:
            api.stop()

    def _installation(self, api: ApiProcesses) -> Installation:
        def pids() -> dict[str, list[int]]:
            postgres, valkey = self.servers.postgres.pid, self.servers.valkey.pid
            found = {"api": api.pids(), "harness": [os.getpid()]}
            found |= {name: [process.pid] for name, process in self.roles.items()}
            found["postgres"] = [postgres] if postgres else []
            found["valkey"] = [valkey] if valkey else []
            return found

        def trouble() -> str | None:
            dead = self.servers.poll()
            return f"{dead[0]} has died" if dead else api.trouble()

        return Installation(
            base_url=api.base_url,
            people=self.people,
            settings=api.settings,
            pids=pids,
            trouble=trouble,
            stage=self._stage,
            not_sampled=[] if processes.is_supported() else ["processes"],
            environment=asyncio.run(_server(self.settings)),
            is_embedded=True,
        )

    def _stage(self, seats: int, has_room: bool) -> ScheduleTerms:
        plan = seeding.Plan(
            seats,
            0,
            0,
            hold_ttl_s=_HOLD_TTL_S,
            ticket_limit=1000,
            queue_rate_per_s=_ROOM_RATE_PER_S if has_room else None,
        )
        made = asyncio.run(seeding.seed(self.settings, plan, None, terminal(quiet=True)))
        return ScheduleTerms(made.schedule_id, made.concert_id, _HOLD_TTL_S, seats)


@contextmanager
def embedded(
    folder: Path, data_dir: Path, people: int, console: Console, say: Callable[[str], None]
) -> Iterator[Embedded]:
    """Start the servers and seed people with money; what is started ends with the block."""
    say("starting PostgreSQL and Valkey")
    with EmbeddedServers(data_dir, say=lambda _: None) as servers:
        settings = Settings.of(
            database_url=servers.database_url,
            valkey_url=servers.valkey_url,
            log_level="error",
            access_token_ttl_s=_DAY_S,
        )
        asyncio.run(migrate(settings))
        tokens = folder / "tokens.jsonl"
        plan = seeding.Plan(1, people, _BALANCE_MINOR)
        asyncio.run(seeding.seed(settings, plan, tokens, console))
        roles = {
            role: _spawn([role], settings, folder / f"{role}.log") for role in ("sweep", "relay")
        }
        try:
            yield Embedded(servers, settings, read_people(tokens), folder, roles)
        finally:
            for process in roles.values():
                _end(process)


async def _server(settings: Settings) -> dict[str, str]:
    async with database_reader.reading(settings) as reader:
        told = await reader.server()
    return {f"postgresql_{name}": text for name, text in told.items()}


def running(url: str, tokens: Path, schedule_id: UUID, settings: Settings | None) -> Installation:
    """Return an installation that runs already; raise `TargetUnfit` where it cannot be tested.

    With `settings` its database and Valkey are read as well; without, the report says what is missing.
    """
    base_url = check_url(url)
    people = read_people(tokens)
    health = ask(base_url, "GET", "/readyz")
    if health.status != 200:
        raise TargetUnfit(f"{base_url}/readyz answers {health.status}: is this boxoffice?")
    terms = _terms(base_url, schedule_id, settings)
    probe(base_url, people.persons[0], schedule_id)
    seen = settings is not None and bool(settings.database.database_url)
    missing = ["processes"] + ([] if seen else ["database", "valkey"])
    return Installation(
        base_url=base_url,
        people=people,
        settings=settings if seen else None,
        pids=dict,
        trouble=lambda: None,
        stage=lambda _seats, _has_room: terms,
        not_sampled=missing,
        environment=asyncio.run(_server(settings)) if settings is not None and seen else {},
    )


def _terms(base_url: str, schedule_id: UUID, settings: Settings | None) -> ScheduleTerms:
    shown = ask(base_url, "GET", f"/v1/schedules/{schedule_id}/seats")
    if shown.status != 200:
        raise TargetUnfit(f"{base_url} has no schedule {schedule_id} ({code_of(shown)})")
    seats = len(shown.body["seats"])
    if settings is not None and settings.database.database_url:
        return asyncio.run(_stored_terms(settings, schedule_id))
    concert_id, ttl_s = _find_schedule(base_url, schedule_id)
    return ScheduleTerms(schedule_id, concert_id, ttl_s, seats)


async def _stored_terms(settings: Settings, schedule_id: UUID) -> ScheduleTerms:
    async with database_reader.reading(settings) as reader:
        return await reader.terms(schedule_id)


def _find_schedule(base_url: str, schedule_id: UUID) -> tuple[UUID, float]:
    """Look through the published concerts for a schedule."""
    cursor = ""
    while True:
        page = ask(base_url, "GET", f"/v1/concerts?limit=100{cursor}")
        for concert in page.body["items"] if page.status == 200 else ():
            listed = ask(base_url, "GET", f"/v1/concerts/{concert['concert_id']}/schedules")
            for one in listed.body["items"] if listed.status == 200 else ():
                if one["schedule_id"] == str(schedule_id):
                    return UUID(concert["concert_id"]), float(one["hold_ttl_s"])
        after = page.body.get("next_cursor") if page.status == 200 else None
        if not after:
            raise TargetUnfit(f"no published concert has the schedule {schedule_id}")
        cursor = f"&cursor={after}"


def probe(base_url: str, person: Person, schedule_id: UUID) -> None:
    """Hold a seat and give it back; raise `TargetUnfit` with the reason where that is refused."""
    path = f"/v1/schedules/{schedule_id}/reservations"
    key = f"loadtest-probe-{os.urandom(6).hex()}"
    made = ask(base_url, "POST", path, token=person.access_token, key=key, body={"quantity": 1})
    if made.status == 201:
        given = made.body["reservation_id"]
        ask(base_url, "DELETE", f"/v1/reservations/{given}", token=person.access_token)
        return
    why = {
        "not_on_sale": f"schedule {schedule_id} is not on sale: open it first",
        "sold_out": f"schedule {schedule_id} is sold out: seed a fresh one",
        "ticket_limit": "the first person of the tokens file has as many tickets as one may have",
    }
    fallback = f"a hold is refused: {made.status} {code_of(made)}"
    if made.status == 401:
        fallback = "the tokens are not valid there: seed them against the same database"
    raise TargetUnfit(why.get(code_of(made), fallback))
