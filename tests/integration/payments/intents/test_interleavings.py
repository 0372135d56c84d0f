"""Any interleaving of what may happen to a payment settles once.

Hypothesis draws the order of: the buyer's confirmation (with a lost or declined answer), its
repetition, a look-up, a notice that comes twice, a renewal, the end of the hold, a take-over of the
seat, the sweeper, an expiry, a cancellation, and a refund that was made at the provider. A line of a
statement acts through the look-up that it makes due (`tests/e2e/money/test_statements.py`). Afterwards
the provider's book is the ledger, seats are tickets, and no buyer is charged without a seat or a
refund under way. Without the guard that books a capture once, the same property fails.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace

import asyncpg
import pytest
from hypothesis import HealthCheck, Phase, given, note, settings
from hypothesis import strategies as st

from boxoffice.errors import Problem
from boxoffice.payments.intents.rules import order_id
from boxoffice.payments.intents.store import Intent
from boxoffice.payments.providers.port import PaymentStatus
from boxoffice.platform.postgres.database import Database
from boxoffice.settings import Settings
from faults.guards.markers import texts_without
from tests.conftest import Servers
from tests.support.checkout import Checkout, reservation_of
from tests.support.database import copied_database
from tests.support.fake_provider import FakeProvider, Fault
from tests.support.hall import Hall, open_hall

_BOOK = """
    SELECT -a.minor[1] AS cash_minor, a.minor[2] AS suspense_minor, a.minor[3] AS income_minor,
           a.minor[4] AS due_minor,
           (SELECT coalesce(sum(t.amount_minor), 0)::bigint FROM provider_transactions t
             WHERE t.user_id = $1 AND t.kind = 'capture') AS booked_minor,
           (SELECT coalesce(sum(f.amount_minor), 0)::bigint FROM refunds f
             WHERE f.user_id = $1) AS owed_minor,
           (SELECT count(*) FROM tickets t
             WHERE t.user_id = $1 AND t.status = 'VALID') AS tickets,
           (SELECT count(*) FROM seats s WHERE s.user_id = $1 AND s.state = 'SOLD') AS seats
      FROM (SELECT array_agg(
                       (SELECT coalesce(sum(e.amount_minor), 0)::bigint FROM ledger_entries e
                         WHERE e.user_id = $1 AND e.account = n.account) ORDER BY n.at) AS minor
              FROM unnest('{cash,suspense,income,refunds_due}'::text[])
                   WITH ORDINALITY n (account, at)) a
"""


class Story:
    """One payment of one buyer, and what may happen to it."""

    def __init__(self, hall: Hall, provider: FakeProvider) -> None:
        self.hall = hall
        self.pods = (Checkout(hall, provider), Checkout(hall, provider))
        self.provider = provider
        self.buyer, self.rival = hall.people[:2]
        self.has_lapsed = False

    async def begin(self) -> Intent:
        self.intent = await self.pods[0].opened(self.buyer, "S001")
        self.order = order_id(self.buyer, self.intent.intent_id)
        return self.intent

    async def confirm(self, *faults: Fault) -> None:
        self.provider.faults = list(faults)
        await self.pods[0].confirm(self.intent)

    async def lost(self) -> None:
        await self.confirm(Fault.LOST_AFTER)

    async def unsent(self) -> None:
        await self.confirm(Fault.LOST_BEFORE)

    async def declined(self) -> None:
        await self.confirm(Fault.DECLINE)

    async def returned(self) -> None:
        """The buyer's page asks again, at another pod."""
        await self.pods[1].confirm(self.intent)

    async def look_up(self) -> None:
        """The cashier looks up, and repeats the call under its key if nothing is known."""
        payment = await self.provider.look_up(self.order, None)
        if payment is not None:
            await self.pods[1].intents.settle(self.order, payment)
            return
        now = await self.pods[1].current(self.intent)
        if now.status == "UNKNOWN" and not self.has_lapsed:
            await self.pods[1].confirmations.repeat(now)

    async def notice(self) -> None:
        """A notice that comes twice at the same time, to two pods."""
        payment = await self.provider.look_up(self.order, None)
        if payment is not None:
            await asyncio.gather(*(pod.intents.settle(self.order, payment) for pod in self.pods))

    async def refunded_there(self) -> None:
        payment = await self.provider.look_up(self.order, None)
        if payment is not None:
            shown = replace(payment, status=PaymentStatus.REFUNDED)
            await self.pods[0].intents.settle(self.order, shown)

    async def deposit(self) -> None:
        """The money moves at the provider by another path than ours."""
        if self.order not in self.provider.book:
            self.provider.capture(self.order, self.intent.amount_minor)

    async def renew(self) -> None:
        await self.pods[1].confirmations.renew(self.intent)

    async def lapse(self) -> None:
        if not self.has_lapsed:
            self.has_lapsed = True
            await self.hall.lapse(reservation_of(self.intent))

    async def take_over(self) -> None:
        await self.hall.hold(self.rival, "S001")

    async def sweep(self) -> None:
        await self.hall.expire()

    async def expire(self) -> None:
        await self.pods[0].confirmations.expire(self.intent)

    async def cancel(self) -> None:
        await self.pods[0].intents.cancel(self.buyer, self.intent.intent_id)

    async def close(self) -> None:
        for pod in self.pods:
            await pod.close()


STEPS = [
    "confirm", "lost", "unsent", "declined", "returned", "look_up", "notice", "refunded_there",
    "deposit", "renew", "lapse", "take_over", "sweep", "expire", "cancel",
]  # fmt: skip


async def _told(steps: list[str], settings_: Settings) -> None:
    db = Database(settings_)
    await db.open()
    try:
        hall = await open_hall(db)
        story = Story(hall, FakeProvider())
        await story.begin()
        for step in steps:
            act: Callable[[], Awaitable[None]] = getattr(story, step)
            with contextlib.suppress(Problem):  # refusals are answers
                await act()
        # What a cashier does in the end.
        for _ in range(2):
            with contextlib.suppress(Problem):
                await story.look_up()
        await _check(story)
        await story.close()
    finally:
        await db.close()


async def _check(story: Story) -> None:
    [book] = await story.hall.db.fetch(_BOOK, story.buyer)
    captured = story.provider.captured_minor
    status = (await story.pods[0].row(story.intent))["status"]
    note(f"{status} {dict(book)} captured {captured}")
    assert book["cash_minor"] == book["booked_minor"] == captured, (
        "the provider's book is the ledger"
    )
    assert book["suspense_minor"] == 0
    assert book["income_minor"] + book["due_minor"] == captured, "a seat, or a refund under way"
    assert book["due_minor"] == book["owed_minor"]
    assert book["tickets"] == book["seats"] == book["income_minor"] // 1_000


@pytest.fixture(scope="module")
def database(shared_database_url: str) -> str:
    """The database that all examples share; each has a hall of its own."""
    return shared_database_url


def _settings(database: str) -> Settings:
    return Settings.of(database_url=database, valkey_url="redis://127.0.0.1:1")


@settings(
    max_examples=60,
    deadline=None,
    phases=(Phase.explicit, Phase.generate, Phase.shrink),
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(steps=st.lists(st.sampled_from(STEPS), max_size=8))
def test_any_order_settles_once(steps: list[str], database: str) -> None:
    asyncio.run(_told(steps, _settings(database)))


@pytest.fixture
def damaged(servers: Servers, template: str) -> Iterator[str]:
    """A database that books a capture as often as it hears of it."""
    texts = texts_without(["settle_what_was_booked_is_not_booked_again"])
    with copied_database(servers.database_url, template) as url:
        asyncio.run(_install(url, *texts.values()))
        yield url


async def _install(url: str, *texts: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        for text in texts:
            await connection.execute(text)
    finally:
        await connection.close()


def test_without_the_once_guard_the_property_fails(damaged: str) -> None:
    @settings(max_examples=60, deadline=None, database=None, phases=(Phase.generate,))
    @given(steps=st.lists(st.sampled_from(STEPS), max_size=8))
    def settles_once(steps: list[str]) -> None:
        asyncio.run(_told(steps, _settings(damaged)))

    with pytest.raises(AssertionError, match="the provider's book is the ledger"):
        settles_once()
