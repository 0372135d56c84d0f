"""Cancel a sold-out hall while its cashiers are killed: each buyer is refunded once, and told once."""

import asyncio
import contextlib
import os
import sys
import tempfile
import time
from asyncio.subprocess import DEVNULL, Process
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random
from uuid import UUID

from boxoffice.app import open_services
from boxoffice.audit import audit
from boxoffice.catalog.edits.service import Editor
from boxoffice.payments.store import PayCommand, PaymentStore, TopUpCommand
from boxoffice.platform.ids import new_id
from boxoffice.platform.postgres import sql_files
from boxoffice.platform.postgres.database import Database
from boxoffice.platform.postgres.migrations import migrate
from boxoffice.reservations.store import HoldCommand, ReservationStore
from boxoffice.settings import Settings
from boxoffice_embedded import EmbeddedServers
from faults.scenario import AnyScenario, Component, Observations, StandaloneScenario

_SQL = sql_files.load("faults")
_SEATS_PER_TRIAL = 100
_BATCH = 1_000
_PRICE_MINOR = 1_000
_BALANCE_MAX_MINOR = 1_000_000
# All but the youngest are killed together: the one that leads, and one that is about to.
_CASHIERS = 3
_LOOKED_EVERY_S = 0.05
_KILLED_EVERY_S = 1.0
_DEADLINE_S = 3_600.0
_SETTINGS = {
    "cashier_lease_ms": 300,
    "cashier_interval_ms": 20,
    "refund_job_max_per_s": 10_000,
    "schedule_change_settle_s": 5,
    "db_pool_max": 12,
}


class _Hall:
    """A hall of seats that each belong to another buyer."""

    def __init__(self, seats: int) -> None:
        self.schedule_id = new_id()
        self.people = [new_id() for _ in range(seats)]
        self.seat_ids = [f"S{at:06}" for at in range(seats)]

    async def sell(self, db: Database) -> None:
        """Create the hall and sell every seat from a wallet, a thousand at a time."""
        await db.fetch(_SQL["open_hall"], self.schedule_id, len(self.people))
        await db.fetch(_SQL["hall_seats"], self.schedule_id, _PRICE_MINOR, self.seat_ids)
        for at in range(0, len(self.people), _BATCH):
            await self._sell(db, self.people[at : at + _BATCH], self.seat_ids[at : at + _BATCH])

    async def _sell(self, db: Database, people: Sequence[UUID], seat_ids: Sequence[str]) -> None:
        await db.fetch(_SQL["hall_people"], people)
        top_ups = [TopUpCommand(one, "seed", b"", new_id(), _PRICE_MINOR) for one in people]
        await PaymentStore(db).top_up(top_ups, _BALANCE_MAX_MINOR)
        holds = [
            HoldCommand(one, "hold", b"", new_id(), (seat_id,))
            for one, seat_id in zip(people, seat_ids, strict=True)
        ]
        await ReservationStore(db).hold(self.schedule_id, holds)
        payments = [
            PayCommand(
                user_id=hold.user_id,
                key="pay",
                fingerprint=b"",
                payment_id=new_id(),
                transfer_id=new_id(),
                reservation_id=hold.reservation_id,
            )
            for hold in holds
        ]
        await PaymentStore(db).pay(self.schedule_id, payments)


async def cancel_hall(random: Random, trials: int) -> Observations:
    """Cancel a hall of 100 seats per trial; SIGKILL the oldest cashier every second."""
    seen = Observations(trials=trials)
    with (
        tempfile.TemporaryDirectory(
            prefix="boxoffice-faults-", ignore_cleanup_errors=True
        ) as folder,
        EmbeddedServers(Path(folder), say=lambda _: None) as servers,
    ):
        addresses = {"database_url": servers.database_url, "valkey_url": servers.valkey_url}
        settings = Settings.of(**addresses).replace(**_SETTINGS)
        await migrate(settings)
        async with open_services(settings) as application:
            hall = _Hall(_SEATS_PER_TRIAL * trials)
            db = application.infrastructure.db
            began_s = time.monotonic()
            await hall.sell(db)
            seen.figures["seeding_s"] = time.monotonic() - began_s
            editor = Editor(hall.schedule_id, [hall.schedule_id])
            began_s = time.monotonic()
            await application.services.edits.cancel(
                editor, hall.schedule_id, "Typhoon", "cancel", with_compensation=False
            )
            await _work_off(db, settings, seen, random)
            seen.figures["cancellation_s"] = time.monotonic() - began_s
            await _check(db, settings, hall, seen)
    return seen


async def _work_off(db: Database, settings: Settings, seen: Observations, random: Random) -> None:
    """Kill the cashiers that may lead after a second of their work, until both jobs have ended."""
    led_under = 0
    async with _cashiers(settings) as cashiers, asyncio.timeout(_DEADLINE_S):
        while not (await db.fetch(_SQL["hall_is_done"]))[0]["is_done"]:
            [row] = await db.fetch(_SQL["cashiers_token"])
            if row["token"] <= led_under:
                await asyncio.sleep(_LOOKED_EVERY_S)
                continue
            led_under = row["token"]
            # A moment more or less, so that the kills meet every step.
            await asyncio.sleep(_KILLED_EVERY_S + random.uniform(-0.2, 0.2))
            for one in cashiers[:-1]:
                if one.returncode is not None:
                    seen.broken.append(f"a cashier ended by itself with {one.returncode}")
                    return
                one.kill()
                await one.wait()
            seen.kills += 1
            cashiers[:-1] = []
            cashiers += [await _cashier(settings) for _ in range(_CASHIERS - 1)]


@asynccontextmanager
async def _cashiers(settings: Settings) -> AsyncIterator[list[Process]]:
    running = [await _cashier(settings) for _ in range(_CASHIERS)]
    try:
        yield running
    finally:
        for one in running:
            with contextlib.suppress(ProcessLookupError):
                one.kill()
            await one.wait()


async def _cashier(settings: Settings) -> Process:
    names = {
        **_SETTINGS,
        "database_url": settings.database.database_url,
        "valkey_url": settings.valkey.valkey_url,
    }
    env = {**os.environ, **{f"BOXOFFICE_{name.upper()}": str(of) for name, of in names.items()}}
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "boxoffice", "cashier", env=env, stdout=DEVNULL, stderr=DEVNULL
    )


async def _check(db: Database, settings: Settings, hall: _Hall, seen: Observations) -> None:
    [row] = await db.fetch(_SQL["hall_outcome"], hall.schedule_id)
    found = dict(row)
    seen.counts.update(found)
    buyers = len(hall.people)
    expected = {
        "refunds_count": buyers,
        "refunded_buyers_count": buyers,
        "mails_count": buyers,
        "live_tickets_count": 0,
        "taken_seats_count": 0,
        "wallets_short_count": 0,
    }
    seen.broken += [
        f"{name} is {found[name]} and not {wanted}"
        for name, wanted in expected.items()
        if found[name] != wanted
    ]
    report = await audit(settings)
    if not report.ok:
        seen.broken += [f"audit: {one.name} is broken" for one in report.broken]


SCENARIOS: tuple[AnyScenario, ...] = (
    StandaloneScenario(
        name="money_cancelled_hall",
        component=Component.MONEY,
        does="cancels a sold-out hall of 60,000 seats and kills a cashier every second",
        expects="each buyer is refunded once and gets one mail; the audit is clean",
        run=cancel_hall,
        trials=600,
        trial_s=0.9,
        quick_trials=10,
    ),
)
