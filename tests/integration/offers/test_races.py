"""Two pods decide holds of one schedule with offers at once."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Sequence

import pytest

from boxoffice.batching import GroupCommit, GroupCommitLimits
from boxoffice.offers.rules import Reduction, SalesChannel
from boxoffice.offers.store import CodeTerms
from boxoffice.platform.concurrency.background import Background
from boxoffice.platform.postgres.database import Database
from boxoffice.platform.valkey import Valkey
from boxoffice.reservations.handlers import HoldHandler, LockSwitch
from boxoffice.reservations.seat_lock import SeatLock
from boxoffice.reservations.store import HoldCommand, HoldOutcome, ReservationStore
from boxoffice.settings import Settings
from tests.support.hall import open_hall
from tests.support.invariants import broken
from tests.support.offers import YOUTH, OfferDesk


class HoldingPod:
    """The group commit of one process."""

    def __init__(self, db: Database, valkey: Valkey) -> None:
        self.background = Background()
        self._commit = GroupCommit(GroupCommitLimits(batch_max=8, retry_for_s=10))
        self._holds = HoldHandler(
            ReservationStore(db),
            SeatLock(valkey, 1_000),
            self.background,
            switch=LockSwitch("off"),
        )

    async def hold(self, desk: OfferDesk, command: HoldCommand) -> HoldOutcome:
        """Hold as a request does, with its retries."""
        return await self._commit.submit(self._holds, desk.hall.schedule_id, command)

    async def close(self) -> None:
        """End what is left."""
        await self._commit.close()
        await self.background.finish()


@pytest.fixture
async def pods(db: Database, valkey: Valkey, settings: Settings) -> AsyncIterator[list[HoldingPod]]:
    """Two pods, each with a pool of its own."""
    second = Database(settings)
    await second.open()
    made = [HoldingPod(db, valkey), HoldingPod(second, valkey)]
    yield made
    for pod in made:
        await pod.close()
    await second.close()


@pytest.fixture
async def crowd(db: Database, desk: OfferDesk) -> OfferDesk:
    """A hall of sixty seats with fifty people."""
    return OfferDesk(await open_hall(db, seats=60, people=50), desk.offers)


async def _rush(
    pods: Sequence[HoldingPod], crowd: OfferDesk, people: range, code: str = ""
) -> Counter[str]:
    hall = crowd.hall
    outcomes = await asyncio.gather(
        *(
            pods[at % len(pods)].hold(
                crowd, crowd.command(hall.people[at], hall.seat_ids[at], code=code)
            )
            for at in people
        )
    )
    return Counter(one.name for one in outcomes)


async def test_fifty_people_redeem_a_single_use_code_once(
    pods: list[HoldingPod], crowd: OfferDesk
) -> None:
    await crowd.terms(channels=[SalesChannel("web", "Web", None, True)])
    _, [code] = await crowd.codes()
    assert await _rush(pods, crowd, range(50), code) == {"held": 1, "code_used_up": 49}
    assert not await broken(crowd.hall.db, crowd.hall.schedule_id)


async def test_a_quota_is_sold_to_its_last_seat_and_no_further(
    pods: list[HoldingPod], crowd: OfferDesk
) -> None:
    await crowd.terms(channels=[SalesChannel("web", "Web", 25, True)])
    assert await _rush(pods, crowd, range(50)) == {"held": 25, "quota_exhausted": 25}
    assert not await broken(crowd.hall.db, crowd.hall.schedule_id)


async def test_a_quota_that_begins_during_the_rush_counts_what_was_held_before(
    pods: list[HoldingPod], crowd: OfferDesk
) -> None:
    await crowd.terms(channels=[SalesChannel("web", "Web", None, True)])
    rush = asyncio.ensure_future(_rush(pods, crowd, range(50)))
    await asyncio.sleep(0)
    await crowd.terms(channels=[SalesChannel("web", "Web", 50, True)])
    assert await rush == {"held": 50}
    query = "SELECT taken FROM sales_channels WHERE schedule_id = $1"
    [row] = await crowd.hall.db.fetch(query, crowd.hall.schedule_id)
    assert row["taken"] == 50


async def test_a_code_that_is_disabled_meanwhile_is_used_before_or_not_at_all(
    pods: list[HoldingPod], crowd: OfferDesk
) -> None:
    terms = CodeTerms(name="half", reduction=Reduction(50), is_shared=True)
    batch_id, _ = await crowd.codes(terms, code="HALF")
    rush = asyncio.ensure_future(_rush(pods, crowd, range(25), "HALF"))
    await asyncio.sleep(0)
    await crowd.disable(batch_id)
    assert await _rush(pods, crowd, range(25, 50), "HALF") == {"code_invalid": 25}
    before = await rush
    assert set(before) <= {"held", "code_invalid"}


async def test_a_price_that_changes_between_hold_and_payment_stays(
    pods: list[HoldingPod], desk: OfferDesk
) -> None:
    await desk.terms(YOUTH)
    terms = CodeTerms(name="ten", reduction=Reduction(10), is_shared=True)
    batch_id, _ = await desk.codes(terms, code="TEN")
    one = desk.hall.people[0]
    command = desk.command(one, "S001", types=("youth",), code="TEN")
    outcome = await pods[0].hold(desk, command)
    await desk.terms(fee_minor=500)
    await desk.disable(batch_id)
    assert outcome.held is not None
    paid = await desk.hall.pay(one, outcome.held.reservation_id)
    assert paid.payment is not None
    assert paid.payment.amount_minor == outcome.held.amount_minor == 670 - 67
