"""A shop of real processes at simulated providers: buyers pay, processes die, books are compared."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import aiohttp
import asyncpg
import msgspec

from boxoffice.audit import audit
from boxoffice.platform.ids import ScopedId, parse_scoped
from boxoffice.settings import Settings
from faults.workload.fixtures import Fixtures, SeededBuyer, create_fixtures
from tests.support.shop import Pod, Role
from tests.support.simulators import Simulator, Simulators

# Processes start slowly on a busy machine.
PATIENCE_S = 90.0
# What a provider did then is in an hour and in a day whose statements are due.
YESTERDAY_S = 27 * 3_600.0
# The cashier looks an outcome up this long after its deadline.
CONFIRM_TIMEOUT_MS = 4_000

_BOOKS = """
    SELECT provider, transaction_key, kind, amount_minor, currency FROM provider_transactions
     WHERE provider = $1 ORDER BY transaction_key
"""
_CASH = """
    SELECT coalesce(-sum(e.amount_minor), 0)::bigint FROM ledger_entries e
      JOIN transfers t USING (user_id, transfer_id)
     WHERE e.account = 'cash' AND t.provider = $1
"""
_TRUTH = """
    SELECT (SELECT count(*) FROM seats WHERE state = 'SOLD') AS sold,
           (SELECT count(*) FROM tickets WHERE status <> 'VOID') AS tickets,
           (SELECT coalesce(sum(amount_minor), 0)::bigint FROM ledger_entries
             WHERE account = 'suspense') AS suspense_minor,
           (SELECT coalesce(sum(amount_minor), 0)::bigint FROM ledger_entries
             WHERE account = 'refunds_due') AS due_minor,
           (SELECT coalesce(sum(amount_minor), 0)::bigint FROM refunds
             WHERE status <> 'DONE') AS owed_minor,
           (SELECT coalesce(sum(amount_minor), 0)::bigint FROM payments
             WHERE method <> 'wallet') AS sold_minor
"""


# Towards the shop, or away from it.
_SIGNS = {"capture": 1, "refund_failed": 1, "dispute_won": 1, "refund": -1, "dispute": -1}


@dataclass(frozen=True)
class Attempt:
    """What the provider's window hands to the page when the buyer returns."""

    person: SeededBuyer
    intent_id: str
    payment_key: str
    amount: int

    @property
    def body(self) -> dict[str, object]:
        """The request that confirms it."""
        return {"payment_key": self.payment_key, "order_id": self.intent_id, "amount": self.amount}


@dataclass
class Till:
    """The clients of the shop; `url` is the process that they talk to."""

    settings: Settings
    simulators: Simulators
    fixtures: Fixtures
    connection: asyncpg.Connection
    session: aiohttp.ClientSession
    url: str = ""
    roles: list[Role] = field(default_factory=list)
    pods: list[Pod] = field(default_factory=list)

    def simulator(self, method: str) -> Simulator:
        """Return a provider by the name of its method."""
        found: Simulator = getattr(self.simulators, method)
        return found

    def open_pod(self, **overrides: object) -> Pod:
        """Start an API process, which gets the providers' notices from now on."""
        pod = Pod(self.settings, **self._overrides(overrides)).wait_until_ready()
        self.pods.append(pod)
        self.url = pod.url
        return pod

    def start_cashier(self, **overrides: object) -> Role:
        """Start a cashier."""
        role = Role("cashier", self.settings, **self._overrides(overrides))
        self.roles.append(role)
        return role

    def _overrides(self, more: dict[str, object]) -> dict[str, object]:
        return {
            **self.simulators.values,
            "confirm_timeout_ms": CONFIRM_TIMEOUT_MS,
            "cashier_interval_ms": 50,
            "cashier_lease_ms": 1_500,
            "cashier_retry_first_s": 0.2,
            "cashier_reconcile_interval_s": 1,
            **more,
        }

    async def call(
        self, method: str, path: str, person: SeededBuyer, body: object = None, key: str = ""
    ) -> tuple[int, Any]:
        """Send a request; status 0 where no answer came."""
        try:
            async with self.session.request(
                method, self.url + path, json=body, headers=person.headers(key)
            ) as answer:
                raw = await answer.read()
                return answer.status, msgspec.json.decode(raw) if raw else None
        except (aiohttp.ClientError, OSError):
            return 0, None

    async def hold(self, person: SeededBuyer, *seat_ids: str) -> str:
        """Hold seats; return the reservation."""
        path = f"/v1/schedules/{self.fixtures.schedule_id}/reservations"
        key = f"hold-{person.user_id}-{seat_ids[0]}-{time.monotonic_ns()}"
        status, body = await self.call("POST", path, person, {"seat_ids": list(seat_ids)}, key)
        assert status == 201, body
        return str(body["reservation_id"])

    async def open(self, person: SeededBuyer, reservation_id: str, method: str) -> dict[str, Any]:
        """Make an intent for a hold."""
        body = {"reservation_id": reservation_id, "method": method}
        key = f"intent-{time.monotonic_ns()}"
        status, intent = await self.call("POST", "/v1/payment-intents", person, body, key)
        assert status == 201, intent
        found: dict[str, Any] = intent
        return found

    async def authorize(
        self, person: SeededBuyer, intent: dict[str, Any], method: str, **how: object
    ) -> Attempt:
        """Let the buyer finish at the provider."""
        values = {"order_id": intent["intent_id"], "amount": intent["amount"], **how}
        if "payment_key" in intent["client"]:
            values["payment_key"] = intent["client"]["payment_key"]
        made = await self.simulator(method).do("authorize", **values)
        return Attempt(person, intent["intent_id"], str(made["payment_key"]), intent["amount"])

    async def attempt(self, person: SeededBuyer, seat_id: str, method: str = "toss") -> Attempt:
        """Hold a seat, make an intent for it, and finish at the provider."""
        intent = await self.open(person, await self.hold(person, seat_id), method)
        return await self.authorize(person, intent, method)

    async def confirm(self, attempt: Attempt) -> tuple[int, Any]:
        """Return from the provider; status 0 where no answer came."""
        path = f"/v1/payment-intents/{attempt.intent_id}/confirm"
        return await self.call("POST", path, attempt.person, attempt.body)

    async def status(self, attempt: Attempt) -> str:
        """Return an intent's status in the database; any process may be dead."""
        user_id, intent_id = scoped(attempt.intent_id)
        query = "SELECT status FROM payment_intents WHERE user_id = $1 AND intent_id = $2"
        found: str = await self.connection.fetchval(query, user_id, intent_id)
        return found

    async def until(self, holds: Callable[[], Awaitable[object]], what: str) -> None:
        """Wait for a condition."""
        ends_at = time.monotonic() + PATIENCE_S
        while not await holds():
            assert time.monotonic() < ends_at, f"{what}: not within {PATIENCE_S:.0f} s"
            await asyncio.sleep(0.03)

    async def until_status(self, attempt: Attempt, *statuses: str) -> None:
        """Wait for one of these statuses."""

        async def is_there() -> bool:
            return await self.status(attempt) in statuses

        await self.until(is_there, f"{attempt.intent_id} is {' or '.join(statuses)}")

    async def until_called(self, method: str, operation: str, count: int = 1) -> None:
        """Wait until the provider has received calls of an operation."""

        async def has_come() -> bool:
            return len(await self.simulator(method).calls(operation)) >= count

        await self.until(has_come, f"{method} is asked to {operation}")

    async def hurry(self) -> None:
        """Let the time pass that work and notices wait for.

        What is due already may be in progress, and would be done again if it were planned anew.
        """
        await self.connection.execute(
            "UPDATE cashier_work SET due_at = clock_timestamp() WHERE due_at > clock_timestamp()"
        )
        await self.connection.execute(
            "UPDATE provider_notices SET due_at = clock_timestamp()"
            " WHERE handled_at IS NULL AND due_at > clock_timestamp()"
        )

    async def until_idle(self) -> None:
        """Wait until the cashier has nothing more to do about captured or returned money."""

        async def is_idle() -> bool:
            work = (
                "SELECT count(*) FROM cashier_work WHERE kind IN ('look_up', 'refund', 'abandon')"
            )
            notices = "SELECT count(*) FROM provider_notices WHERE handled_at IS NULL"
            if not await self.connection.fetchval(work):
                return not await self.connection.fetchval(notices)
            await self.hurry()
            return False

        await self.until(is_idle, "the cashier is idle")

    async def require_books_agree(self, *, owed_minor: int = 0) -> None:
        """Compare the provider's book with the ledger, seats with tickets, and run the audit."""
        for method in ("toss", "stripe"):
            here = await self.connection.fetch(_BOOKS, method)
            book = await self.simulator(method).movements()
            assert sorted((one["key"], one["amount_minor"], one["currency"]) for one in book) == [
                (row["transaction_key"], row["amount_minor"], row["currency"]) for row in here
            ], method
            there_minor = sum(_SIGNS[one["kind"]] * one["amount_minor"] for one in book)
            assert await self.connection.fetchval(_CASH, method) == there_minor
        truth = dict(await self.connection.fetchrow(_TRUTH) or {})
        assert truth["sold"] == truth["tickets"], truth
        assert truth["suspense_minor"] == 0, truth
        assert truth["due_minor"] == truth["owed_minor"] == owed_minor, truth
        report = await audit(self.settings)
        assert report.ok, report.broken

    async def findings(self) -> list[tuple[str, int | None, int | None, str]]:
        """Return each finding of the statements: kind, both amounts, and whether it has healed."""
        query = """
            SELECT kind, there_minor, here_minor,
                   CASE WHEN resolved_at IS NULL THEN 'waits' ELSE 'healed' END AS state
              FROM statement_findings ORDER BY kind
        """
        return [tuple(row) for row in await self.connection.fetch(query)]

    async def tickets(self) -> int:
        """Return how many live tickets there are."""
        found: int = await self.connection.fetchval(
            "SELECT count(*) FROM tickets WHERE status <> 'VOID'"
        )
        return found

    async def __aenter__(self) -> Self:
        return self

    def close(self) -> None:
        """End every process."""
        for role in self.roles:
            role.thaw()
            role.kill()
        for pod in self.pods:
            if pod.process.poll() is None:
                pod.kill()


def scoped(intent_id: str) -> ScopedId:
    """Return the two ids in an intent's public one."""
    found = parse_scoped(intent_id)
    assert found is not None
    return found


@asynccontextmanager
async def open_till(
    settings: Settings, simulators: Simulators, folder: Path, *, seats: int = 8, users: int = 8,
    hold_ttl_s: int | None = None,
) -> AsyncIterator[Till]:  # fmt: skip
    """Seed a sale, and end every process of the till afterwards."""
    fixtures = await create_fixtures(
        settings, folder, seats=seats, users=users, hold_ttl_s=hold_ttl_s
    )
    connection = await asyncpg.connect(settings.database.database_url)
    timeout = aiohttp.ClientTimeout(total=60)
    async with aiohttp.ClientSession(timeout=timeout) as session:
        till = Till(settings, simulators, fixtures, connection, session)
        try:
            yield till
        finally:
            till.close()
            await connection.close()


def together(people: Sequence[SeededBuyer], seats: Sequence[str]) -> list[tuple[SeededBuyer, str]]:
    """Pair buyers with seats."""
    return list(zip(people, seats, strict=False))
