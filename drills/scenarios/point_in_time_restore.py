"""Sells, backs up, sells on, damages rows by mistake, restores to just before, and checks all of it."""

import os
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import asyncpg
import msgspec
from rich.console import Console

from boxoffice.audit import audit
from boxoffice.cli import seeding
from boxoffice.payments.reconciliation.rules import day_window
from boxoffice.platform.postgres.migrations import migrate
from boxoffice.platform.valkey import Valkey
from boxoffice.settings import Settings
from boxoffice_embedded.servers.embedded_servers import EmbeddedServers
from drills.archived_postgres import ArchivedPostgres, unfit
from drills.drill import Drill, DrillReport
from tests.support.shop import Role
from tests.support.simulators import Simulators, running_simulators
from tests.support.till import Attempt, Till, open_till

_MISTAKE = "DELETE FROM tickets WHERE ticket_id IN (SELECT ticket_id FROM tickets LIMIT 1)"
_ASKED = """
    INSERT INTO statement_runs (provider, kind, since, until, started_at, changed_at)
    VALUES ('toss', 'day', $1, $2, clock_timestamp(), clock_timestamp())
"""
_RTO_S, _RPO_S = 60, 120


@dataclass
class Restored:
    """The shop of the drill, and what was given out before and after the restore."""

    report: DrillReport
    folder: Path
    postgres: ArchivedPostgres
    till: Till
    environment: Mapping[str, str]
    queued_schedule: UUID
    roles: list[Role] = field(default_factory=list)
    tickets: dict[str, dict[str, Any]] = field(default_factory=dict)

    def backup(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """Run a command of the product, as an operator would."""
        self.report.say(f"boxoffice backup {' '.join(arguments)}")
        return subprocess.run(
            [sys.executable, "-m", "boxoffice", "backup", *arguments],
            env={**os.environ, **self.environment, "BOXOFFICE_DATABASE_URL": self.postgres.url},
            capture_output=True,
            text=True,
            check=False,
        )

    def start(self) -> None:
        """Start a pod and a relay."""
        self.till.open_pod()
        self.roles = [Role("relay", self.till.settings)]

    def stop(self) -> None:
        """Stop every process of the shop."""
        self.till.close()
        self.till.roles.clear()
        self.till.pods.clear()
        for role in self.roles:
            role.kill()
        self.roles.clear()

    async def sell(self, at: int) -> Attempt:
        """Let a buyer pay a seat through the provider."""
        attempt = await self.till.attempt(
            self.till.fixtures.people[at], self.till.fixtures.seat_ids[at]
        )
        status, said = await self.till.confirm(attempt)
        if status != 200:
            raise RuntimeError(f"the sale ended with {status}: {said}")
        return attempt

    async def join(self, at: int) -> int:
        """Let a buyer join the waiting room, and return the number."""
        person = self.till.fixtures.people[at]
        found: dict[str, Any] = {}

        async def is_in() -> bool:
            status, body = await self.till.call("POST", self._queue_path(), person)
            found.update(body or {})
            return status == 201

        await self.till.until(is_in, "the buyer is in the queue")
        self.tickets[person.user_id] = found
        return int(found["number"])

    async def place(self, at: int) -> dict[str, Any]:
        """Return the position of a buyer in the waiting room."""
        person = self.till.fixtures.people[at]
        ticket = self.tickets[person.user_id]["queue_ticket"]
        headers = {**person.headers(), "Queue-Ticket": ticket}
        url = self.till.url + self._queue_path()
        async with self.till.session.get(url, headers=headers) as answer:
            body: dict[str, Any] = await answer.json()
        if body.get("queue_ticket"):
            self.tickets[person.user_id] = body
        return body

    def _queue_path(self) -> str:
        return f"/v1/schedules/{self.queued_schedule}/queue"

    async def event_ids(self) -> list[int]:
        """Return the ids of all events that consumers have seen, once the outbox is empty."""

        async def is_empty() -> bool:
            return not await self.till.connection.fetchval("SELECT count(*) FROM outbox")

        await self.till.until(is_empty, "all events are delivered")
        valkey = Valkey(self.till.settings.valkey)
        try:
            stream = self.till.settings.outbox.relay_stream
            entries = await valkey.command("XRANGE", stream, "-", "+")
        finally:
            await valkey.close()
        return [int(fields[b"event_id"]) for _, fields in entries]

    async def first_seat_event(self, last_event_id: str = "") -> tuple[str, str]:
        """Return the name and the id of the first event of the seat map's stream."""
        url = f"{self.till.url}/v1/schedules/{self.till.fixtures.schedule_id}/seats/events"
        headers = {"Last-Event-ID": last_event_id} if last_event_id else {}
        name = event_id = ""
        async with self.till.session.get(url, headers=headers) as answer:
            async for line in answer.content:
                text = line.decode().strip()
                name = text.removeprefix("event: ") if text.startswith("event:") else name
                event_id = text.removeprefix("id: ") if text.startswith("id:") else event_id
                if not text and name:
                    return name, event_id
        raise RuntimeError("the stream ended")


async def play(report: DrillReport, folder: Path) -> None:
    """Run the drill."""
    environment = {"BOXOFFICE_BACKUP_LOCATION": str(folder / "store")}
    with ExitStack() as stack:
        embedded = stack.enter_context(EmbeddedServers(folder / "valkey", say=report.say))
        postgres = stack.enter_context(ArchivedPostgres(folder / "server", environment))
        (folder / "simulators").mkdir()
        simulators = stack.enter_context(running_simulators(folder / "simulators"))
        settings = Settings.of(
            database_url=postgres.url, valkey_url=embedded.valkey_url, log_level="error",
            wallet_top_up_free=True,
        )  # fmt: skip
        await migrate(settings)
        await _play(report, folder, postgres, settings, simulators, environment)


async def _play(
    report: DrillReport,
    folder: Path,
    postgres: ArchivedPostgres,
    settings: Settings,
    simulators: Simulators,
    environment: Mapping[str, str],
) -> None:
    async with open_till(
        settings, simulators, folder, seats=20, users=12, hold_ttl_s=1_800
    ) as till:
        plan = seeding.Plan(4, 0, 0, queue_rate_per_s=0.01)
        queued = await seeding.seed(settings, plan, None, Console(quiet=True))
        shop = Restored(report, folder, postgres, till, environment, queued.schedule_id)
        try:
            await _run(shop)
        finally:
            shop.stop()


async def _run(shop: Restored) -> None:
    report, till = shop.report, shop.till
    shop.start()
    for at in (0, 1):
        await shop.sell(at)
    known_number = await shop.join(0)
    full = shop.backup("create", "--full")
    await shop.sell(2)
    incremental = shop.backup("create")
    report.check(
        "a full and an incremental backup were made of the running server",
        holds=(full.returncode, incremental.returncode) == (0, 0),
        seen=full.stderr + incremental.stderr if full.returncode or incremental.returncode else "",
    )
    known = await till.attempt(till.fixtures.people[3], till.fixtures.seat_ids[3])
    point: datetime = await till.connection.fetchval("SELECT clock_timestamp()")
    await till.connection.execute("SELECT pg_switch_wal()")

    report.say("selling in the time that will be lost")
    await till.confirm(known)
    lost = await shop.sell(4)
    lost_numbers = [await shop.join(at) for at in (5, 6)]
    _, lost_state = await shop.first_seat_event()
    ids_before = await shop.event_ids()
    report.say("an operator deletes a ticket by mistake")
    await till.connection.execute(_MISTAKE)
    damaged = await audit(till.settings)
    report.check("the audit finds the mistake", holds=not damaged.ok)
    await _archive_all(till)
    shop.stop()
    await till.connection.close()
    shop.postgres.kill()

    await _restore(shop, point)
    shop.start()
    till.connection = await asyncpg.connect(shop.postgres.url)
    await _check_events(shop, ids_before, lost_state)
    await _check_queue(shop, known_number, lost_numbers)
    await _check_payments(shop, known, lost)


async def _archive_all(till: Till) -> None:
    name = await till.connection.fetchval("SELECT pg_walfile_name(pg_switch_wal())")
    query = "SELECT coalesce(last_archived_wal, '') >= $1 FROM pg_stat_archiver"

    async def is_archived() -> bool:
        found: bool = await till.connection.fetchval(query, name)
        return found

    await till.until(is_archived, "the last WAL is archived")


async def _restore(shop: Restored, point: datetime) -> None:
    report = shop.report
    broken = shop.backup("verify", "--json")
    report.check(
        "a verification to the end of the archive finds the mistake",
        holds=broken.returncode == 1 and bool(msgspec.json.decode(broken.stdout)["broken"]),
    )
    verified = shop.backup("verify", "--json", "--to", point.isoformat())
    report.check(
        "a verification to just before is clean",
        holds=verified.returncode == 0,
        seen="" if verified.returncode == 0 else verified.stderr + verified.stdout,
    )
    found = msgspec.json.decode(verified.stdout)
    age_s = msgspec.json.decode(broken.stdout)["rpo_s"]
    report.measure("RPO: age of the last archived commit", age_s, "s", target=f"≤ {_RPO_S} s")
    report.measure("RTO of the verification", found["rto_s"], "s", target=f"≤ {_RTO_S} s")
    began = time.perf_counter()
    place = shop.folder / "restored"
    restored = shop.backup("restore", "--data-dir", str(place), "--to", point.isoformat())
    report.measure("RTO of the restore", time.perf_counter() - began, "s", target=f"≤ {_RTO_S} s")
    report.check(
        "the database is restored to just before the mistake",
        holds=restored.returncode == 0,
        seen=restored.stdout.partition("\n")[0] if restored.returncode == 0 else restored.stderr,
    )
    shop.postgres.adopt(place, shop.postgres)
    shop.postgres.start()
    clean = await audit(shop.till.settings)
    report.check("the audit is clean after the restore", holds=clean.ok, seen=clean.broken)


async def _check_events(shop: Restored, before: list[int], lost_state: str) -> None:
    report = shop.report
    await shop.sell(7)
    after = [one for one in await shop.event_ids() if one not in set(before)]
    report.check(
        "ids of new events are above all that listeners have seen",
        holds=bool(after) and min(after) > max(before) and {one >> 46 for one in after} == {1},
        seen=f"{max(before)} before, {min(after, default=0)} after",
    )
    name, state = await shop.first_seat_event(lost_state)
    report.check(
        "a seat map of the lost time gets the full state",
        holds=name == "snapshot" and state != lost_state,
        seen=name,
    )


async def _check_queue(shop: Restored, known: int, lost: list[int]) -> None:
    new = await shop.join(8)
    shop.report.check(
        "a new number is above all that were issued, also in the lost time",
        holds=new > max([known, *lost]),
        seen=f"{known} known, {lost} lost, {new} new",
    )
    people = (0, 5, 6, 8)
    for at in people:
        await shop.place(at)
    places = [(await shop.place(at))["position"] for at in people]
    shop.report.check(
        "owners of lost numbers are not behind newcomers",
        holds=places == sorted(places),
        seen=places,
    )


async def _check_payments(shop: Restored, known: Attempt, lost: Attempt) -> None:
    report, till = shop.report, shop.till
    till.start_cashier()
    await till.until_status(known, "SUCCEEDED")
    report.check("a payment that was captured in the lost time is looked up and sold", holds=True)
    zone = ZoneInfo("Asia/Seoul")
    today = day_window(datetime.now(zone).date(), zone)
    await till.connection.execute(_ASKED, today.since, today.until)

    async def is_found() -> bool:
        return ("unknown_order", lost.amount, None, "waits") in await till.findings()

    await till.until(is_found, "the statement shows the lost order")
    shown = shop.backup("lost-payments")
    report.check(
        "a payment whose order is lost is found in the statement",
        holds=shown.returncode == 0 and lost.payment_key in shown.stdout,
        seen=shown.stdout.rpartition("\n")[0].rpartition("\n")[2] or shown.stderr,
    )
    returned = shop.backup("lost-payments", "--give-back")
    report.check(
        "an operator has it returned", holds="1 are being returned" in returned.stdout,
        seen=returned.stderr,
    )  # fmt: skip
    await till.until_status(lost, "RETURNED")
    await till.until_idle()
    await _wait_for_tickets(till)
    await till.require_books_agree()
    report.check("the provider's book, the ledger and the tickets agree", holds=True)


async def _wait_for_tickets(till: Till) -> None:
    """Five seats are sold: two and one before the point, one looked up, and one afterwards."""

    async def are_there() -> bool:
        return await till.tickets() == 5

    await till.until(are_there, "five tickets")


DRILL = Drill(
    "point_in_time_restore",
    "sells, backs up, damages rows, restores to just before, and checks what follows",
    2,
    play,
    unfit=unfit,
)
