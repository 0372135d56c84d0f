"""The checks themselves: without guards seats are sold twice, and every check must find them."""

import asyncio
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from random import Random

import asyncpg

from boxoffice.audit import audit
from boxoffice.settings import Settings
from faults.checks.database import Checked, check
from faults.checks.record import HeldSeats
from faults.cluster.cluster import Cluster, Topology, start_cluster
from faults.guards.markers import texts_without
from faults.interference.external_clients import SQL
from faults.scenario import AnyScenario, Component, Observations, StandaloneScenario
from faults.workload.load import LoadGenerator
from faults.workload.plan import WorkloadProfile

# Every guard against selling a seat twice, from the first lock to the last.
GUARDS = (
    "hold_only_free_seats",
    "hold_seats_are_locked",
    "hold_version_that_was_seen",
    "hold_state_that_was_seen",
    "hold_rows_that_were_changed_are_counted",
    "pay_nothing_that_was_taken_over",
    "pay_seats_that_were_changed_are_counted",
)
_AUDITED = "one_live_ticket_per_seat"
_SEATS, _SEATS_MAX = 12, 4
# No other buyers: every sale is seeded.
_NOBODY = WorkloadProfile(visits_per_s=0.001)
# Neither cache nor seat lock hides the decision of PostgreSQL.
_BARE = Topology(sweepers=0, relays=0, settings={"seat_cache": "false", "seat_lock": "off"})


async def take_guards_away(settings: Settings) -> None:
    """Remove the guards from the functions and the constraints of the database."""
    connection = await asyncpg.connect(settings.database.database_url)
    try:
        for text in texts_without(GUARDS).values():
            await connection.execute(text)
        await connection.execute(SQL["let_tickets_be_sold_twice"])
    finally:
        await connection.close()


@dataclass(frozen=True)
class _Sale:
    """Seats that two buyers wanted, how many bought them, and what the checks found."""

    seats: frozenset[str]
    buyers: int
    checked: Checked
    # Seats sold twice by the audit, in all sales so far.
    audited: int

    @property
    def is_in_the_histories(self) -> bool:
        return all(_is_said(self.checked.broken, f"history: seat {one} ") for one in self.seats)

    @property
    def is_in_the_record(self) -> bool:
        return _is_said(self.checked.broken, "seat_sold_twice ")


def _is_said(sentences: Iterable[str], beginning: str) -> bool:
    return any(one.startswith(beginning) for one in sentences)


async def seed_violations(random: Random, trials: int) -> Observations:
    """Sell seats twice in an installation of its own, and run every check after each sale."""
    with tempfile.TemporaryDirectory(
        prefix="boxoffice-faults-", ignore_cleanup_errors=True
    ) as folder:
        async with start_cluster(Path(folder), lambda _: None) as one:
            await one.deploy(_BARE)
            seen = Observations(broken=_believed(await _sell(one, random, "guarded")))
            await take_guards_away(one.settings)
            found = {"histories": 0, "record": 0, "audit": 0}
            audited = 0
            for number in range(trials):
                sale = await _sell(one, random, f"seeded-{number}")
                if sale.buyers != 2:
                    seen.broken.append(
                        f"{sale.buyers} of two buyers bought the seats without guards"
                    )
                found["histories"] += sale.is_in_the_histories
                found["record"] += sale.is_in_the_record
                found["audit"] += sale.audited == audited + len(sale.seats)
                audited = sale.audited
                seen.trials += 1
    for name, count in found.items():
        seen.figures[f"found_by_{name}_count"] = count
        if count != trials:
            seen.broken.append(f"the {name} found {count} of {trials}")
    return seen


def _believed(sale: _Sale) -> list[str]:
    """The control: with its guards the product sells once, and no check finds anything."""
    wrong = [f"{sale.buyers} of two bought seats with every guard"] if sale.buyers != 1 else []
    return wrong + [f"with every guard: {one}" for one in sale.checked.broken]


async def _sell(one: Cluster, random: Random, tag: str) -> _Sale:
    """Let two buyers buy the same seats of a new schedule, each at one process."""
    fixtures = await one.create_fixtures(seats=_SEATS, people=2, hold_ttl_s=60)
    load = LoadGenerator(fixtures, one.api, Random(random.random()), _NOBODY, tag)
    seats = random.sample(list(fixtures.seat_ids), random.randint(1, _SEATS_MAX))
    async with load.selling():
        await random.choice((_one_after_the_other, _held_then_paid, _at_once))(load, seats)
    paid = {payment.reservation_id for payment in load.record.payments}
    checked = await check(one.settings, fixtures, load.record, tag)
    return _Sale(frozenset(seats), len(paid), checked, await _audited(one.settings))


async def _audited(settings: Settings) -> int:
    report = await audit(settings)
    return next(one.violations for one in report.checks if one.name == _AUDITED)


async def _one_after_the_other(load: LoadGenerator, seats: list[str]) -> None:
    for person in range(2):
        await _buy(load, person, seats)


async def _held_then_paid(load: LoadGenerator, seats: list[str]) -> None:
    held = [await load.hold(person, seats) for person in range(2)]
    for one in held:
        await _pay(load, one)


async def _at_once(load: LoadGenerator, seats: list[str]) -> None:
    await asyncio.gather(*(_buy(load, person, seats) for person in range(2)))


async def _buy(load: LoadGenerator, person: int, seats: list[str]) -> None:
    await _pay(load, await load.hold(person, seats))


async def _pay(load: LoadGenerator, held: HeldSeats | None) -> None:
    if held is not None:
        await load.pay(held.person, held)


SCENARIOS: tuple[AnyScenario, ...] = (
    StandaloneScenario(
        name="seeded_double_sale",
        component=Component.GUARDS,
        does="without the guards of a sale the same seats are sold to two buyers: one after the "
        "other, both held and then both paid, or at once",
        expects="the histories, the record and the audit find every double sale; with the guards "
        "there is one buyer and no finding",
        run=seed_violations,
        trials=30,
        quick_trials=2,
        trial_s=1.0,
    ),
)
