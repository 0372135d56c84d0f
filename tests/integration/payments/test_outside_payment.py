"""Payment by an outside provider, with a fake one at the edge: money moves once or not at all."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID, uuid4

import pytest

from boxoffice.batching import GroupCommit, GroupCommitLimits
from boxoffice.errors import (
    AlreadyPaid,
    Draining,
    HoldExpired,
    IdempotencyKeyReused,
    NotHeld,
    OutcomeUnknown,
    Overloaded,
    PaymentDeclined,
    PaymentMethodUnknown,
    ReservationNotFound,
    Unavailable,
)
from boxoffice.http.api.statuses import STATUSES
from boxoffice.payments.handlers import PayHandler, TopUpHandler
from boxoffice.payments.provider import Capture, Order
from boxoffice.payments.service import Payments
from boxoffice.payments.store import Payment, PaymentStore
from boxoffice.platform.ids import ScopedId
from boxoffice.platform.postgres.database import Database
from boxoffice.seats.cache.entries import ScheduleEntries
from boxoffice.seats.read_model import SeatReadModel
from boxoffice.seats.store import SeatStore
from boxoffice.settings import Settings
from tests.support.hall import BALANCE_MAX_MINOR, Hall
from tests.support.invariants import broken


class FakeProvider:
    """Takes money by reference, once however often it is asked, as those of the field do."""

    def __init__(self) -> None:
        self.captured: dict[str, Order] = {}
        self.voided: Counter[str] = Counter()
        self.asked = 0
        self.declines = False
        self.answers_to_lose = 0
        self.asked_for_money = asyncio.Event()
        self.before_answer: asyncio.Event | None = None

    @property
    def kept_minor(self) -> int:
        """What was captured and not given back."""
        return sum(
            order.amount_minor
            for reference, order in self.captured.items()
            if not self.voided[reference]
        )

    async def capture(self, order: Order) -> Capture:
        self.asked += 1
        self.asked_for_money.set()
        if self.declines:
            raise PaymentDeclined
        if self.voided[order.reference]:
            # The money went back: to capture again is to take it anew.
            del self.voided[order.reference], self.captured[order.reference]
        self.captured.setdefault(order.reference, order)
        if self.answers_to_lose:
            self.answers_to_lose -= 1
            raise Unavailable
        if self.before_answer is not None:
            await self.before_answer.wait()
        return Capture(f"capture of {order.reference}", order.amount_minor)

    async def void(self, order: Order) -> None:
        if order.reference in self.captured:
            self.voided[order.reference] += 1


class Desk:
    """The payment service over one hall, with one provider behind two methods."""

    def __init__(self, hall: Hall) -> None:
        self.provider = FakeProvider()
        self.hall = hall
        self.group_commit = GroupCommit(GroupCommitLimits())
        self.payments = Payments(
            PaymentStore(hall.db),
            self.group_commit,
            PayHandler(PaymentStore(hall.db)),
            TopUpHandler(PaymentStore(hall.db), BALANCE_MAX_MINOR),
            {"card": self.provider, "transfer": self.provider},
            1_000_000,
            SeatReadModel(ScheduleEntries(Settings().seats, SeatStore(hall.db))),
            can_top_up=True,
        )

    async def pay(
        self, person: UUID, reservation_id: UUID, key: str = "k", method: str = "card"
    ) -> Payment:
        reservation = ScopedId(self.hall.schedule_id, reservation_id)
        return await self.payments.pay(person, reservation, key, method)


@pytest.fixture
async def desk(hall: Hall) -> AsyncIterator[Desk]:
    """A desk of one pod."""
    desk = Desk(hall)
    yield desk
    await desk.group_commit.close()


@pytest.fixture
async def held(hall: Hall) -> UUID:
    """A hold of two seats of the first person."""
    return await hall.held(hall.people[0], "S001", "S002")


async def test_what_was_captured_pays_and_the_wallet_is_left_alone(
    desk: Desk, hall: Hall, held: UUID
) -> None:
    payment = await desk.pay(hall.people[0], held)
    assert (payment.amount_minor, payment.method, len(payment.ticket_ids)) == (2_000, "card", 2)
    assert desk.provider.kept_minor == 2_000
    assert await hall.balance(hall.people[0]) == 5_000
    assert not await broken(hall.db, hall.schedule_id)


async def test_a_decline_leaves_the_hold(desk: Desk, hall: Hall, held: UUID) -> None:
    desk.provider.declines = True
    with pytest.raises(PaymentDeclined) as refusal:
        await desk.pay(hall.people[0], held)
    assert STATUSES[refusal.value.code] == 402
    assert await hall.status(held) == "HELD"
    desk.provider.declines = False
    assert (await desk.pay(hall.people[0], held)).reservation_id == held


async def test_a_hold_that_ends_while_the_provider_works_is_given_back_once(
    desk: Desk, hall: Hall, held: UUID
) -> None:
    desk.provider.before_answer = asyncio.Event()
    paying = asyncio.create_task(desk.pay(hall.people[0], held))
    await desk.provider.asked_for_money.wait()
    await hall.lapse(held)
    desk.provider.before_answer.set()
    with pytest.raises(HoldExpired):
        await paying
    assert list(desk.provider.voided.values()) == [1]
    assert (await hall.hold(hall.people[1], "S001", "S002")).name == "held"
    assert not await broken(hall.db, hall.schedule_id)


async def test_a_repetition_captures_once_and_gets_the_same_payment(
    desk: Desk, hall: Hall, held: UUID
) -> None:
    first = await desk.pay(hall.people[0], held)
    assert await desk.pay(hall.people[0], held) == first
    assert desk.provider.asked == 1
    assert desk.provider.kept_minor == 2_000


async def test_many_at_once_capture_once(desk: Desk, hall: Hall, held: UUID) -> None:
    elsewhere = Desk(hall)
    elsewhere.provider = desk.provider
    elsewhere.payments._providers = {"card": desk.provider}
    payments = await asyncio.gather(
        *(one.pay(hall.people[0], held) for one in (desk, elsewhere) for _ in range(5))
    )
    assert len(set(payments)) == 1
    assert len(desk.provider.captured) == 1
    assert desk.provider.kept_minor == 2_000
    await elsewhere.group_commit.close()


async def test_a_lost_answer_of_the_provider_is_healed_by_asking_again(
    desk: Desk, hall: Hall, held: UUID
) -> None:
    desk.provider.answers_to_lose = 2
    for _ in range(2):
        with pytest.raises(Unavailable):
            await desk.pay(hall.people[0], held)
    assert await hall.status(held) == "HELD"
    await desk.pay(hall.people[0], held)
    assert (len(desk.provider.captured), desk.provider.kept_minor) == (1, 2_000)
    assert not await broken(hall.db, hall.schedule_id)


@pytest.mark.parametrize("end", ["lapsed", "swept", "released", "paid otherwise"])
async def test_what_a_lost_attempt_captured_is_given_back_when_the_repetition_is_refused(
    desk: Desk, hall: Hall, held: UUID, end: str
) -> None:
    """The pod died between the capture and the decision, and the hold ended before the next try."""
    buyer = hall.people[0]
    desk.provider.answers_to_lose = 1
    with pytest.raises(Unavailable):
        await desk.pay(buyer, held)
    if end in {"lapsed", "swept"}:
        await hall.lapse(held)
        await hall.expire(1 if end == "swept" else 0)
    elif end == "released":
        await hall.release(buyer, held)
    else:
        await desk.pay(buyer, held, "another", "wallet")
    with pytest.raises((HoldExpired, NotHeld, AlreadyPaid)):
        await desk.pay(buyer, held)
    assert desk.provider.kept_minor == 0
    assert desk.provider.asked == 1, "nothing more was taken for what is over"


class Refused(GroupCommit):
    """A group commit that answers the next command with `problem` instead of deciding it."""

    problem: type[Unavailable] | None = None

    async def submit(self, *command: Any) -> Any:
        if self.problem is not None:
            problem, self.problem = self.problem, None
            raise problem
        return await super().submit(*command)


@pytest.mark.parametrize("problem", [Overloaded, Unavailable, Draining, OutcomeUnknown])
async def test_money_is_given_back_where_nothing_was_done_and_kept_where_that_is_not_known(
    desk: Desk, hall: Hall, held: UUID, problem: type[Unavailable]
) -> None:
    refused = Refused(GroupCommitLimits())
    refused.problem = problem
    desk.payments._group_commit = refused
    with pytest.raises(problem):
        await desk.pay(hall.people[0], held)
    assert desk.provider.kept_minor == (2_000 if problem is OutcomeUnknown else 0)
    await desk.pay(hall.people[0], held)
    assert desk.provider.kept_minor == 2_000, "asked again, it pays once"
    assert not await broken(hall.db, hall.schedule_id)


def _looks_of(desk: Desk) -> list["asyncio.Task[Any]"]:
    """Keep each look of a desk at what is owed."""
    looks: list[asyncio.Task[Any]] = []
    payable = desk.payments._store.payable

    async def look(*what: UUID) -> Any:
        looks.append(asyncio.create_task(payable(*what)))
        return await looks[-1]

    vars(desk.payments._store)["payable"] = look
    return looks


async def _turns() -> None:
    """Let all tasks run that wait for no I/O."""
    for _ in range(100):
        await asyncio.sleep(0)


async def test_a_refused_twin_does_not_give_back_what_pays(
    desk: Desk, hall: Hall, held: UUID
) -> None:
    """The queue is full when the second request of one key arrives."""
    refused = Refused(GroupCommitLimits())
    desk.payments._group_commit = refused
    desk.provider.before_answer = asyncio.Event()
    looks = _looks_of(desk)
    first = asyncio.create_task(desk.pay(hall.people[0], held))
    await desk.provider.asked_for_money.wait()
    refused.problem = Overloaded
    second = asyncio.create_task(desk.pay(hall.people[0], held))
    # As far as it comes: up to the provider, if nothing keeps it from looking what is owed.
    await _turns()
    await asyncio.gather(*looks)
    await _turns()
    desk.provider.before_answer.set()
    results = await asyncio.gather(first, second, return_exceptions=True)
    assert sorted(type(one).__name__ for one in results) == ["Overloaded", "Payment"]
    assert desk.provider.kept_minor == 2_000


async def test_invented_ids_do_not_queue(desk: Desk, hall: Hall) -> None:
    await desk.group_commit.close()  # a command that gets there is refused with Draining
    made_up = ScopedId(uuid4(), uuid4())
    for method in ("wallet", "card"):
        with pytest.raises(ReservationNotFound):
            await desk.payments.pay(hall.people[0], made_up, "k", method)


async def test_a_reused_key_gives_back_its_own_capture_and_no_other(
    desk: Desk, hall: Hall, held: UUID
) -> None:
    buyer = hall.people[0]
    await desk.pay(buyer, held, "k", "card")
    more = await hall.held(buyer, "S003")
    for reservation, method in ((more, "card"), (held, "transfer")):
        with pytest.raises(IdempotencyKeyReused):
            await desk.pay(buyer, reservation, "k", method)
    assert desk.provider.kept_minor == 2_000
    assert not await broken(hall.db, hall.schedule_id)


async def test_nothing_is_captured_for_another_person_or_by_an_unknown_method(
    desk: Desk, hall: Hall, held: UUID
) -> None:
    with pytest.raises(ReservationNotFound):
        await desk.pay(hall.people[1], held)
    with pytest.raises(PaymentMethodUnknown):
        await desk.pay(hall.people[0], held, method="shells")
    assert desk.provider.asked == 0


async def test_the_wallet_pays_at_the_same_desk(desk: Desk, hall: Hall, held: UUID) -> None:
    first = await desk.pay(hall.people[0], held, method="wallet")
    assert await desk.pay(hall.people[0], held, method="wallet") == first
    with pytest.raises(AlreadyPaid):
        await desk.pay(hall.people[0], held, "another", "wallet")
    wallet = await desk.payments.wallet(hall.people[0])
    assert (wallet.balance_minor, wallet.currency) == (3_000, "KRW")
    assert (await desk.payments.top_up(hall.people[0], "c", 10)).balance_minor == 3_010


async def test_wallet_and_provider_at_once_pay_once(db: Database, desk: Desk, hall: Hall) -> None:
    for seat in hall.seat_ids[:5]:
        buyer = hall.people[0]
        reservation = await hall.held(buyer, seat)
        results = await asyncio.gather(
            desk.pay(buyer, reservation, seat, "card"),
            desk.pay(buyer, reservation, f"w{seat}", "wallet"),
            return_exceptions=True,
        )
        assert [type(one) for one in results if isinstance(one, Exception)] == [AlreadyPaid]
    spent = 5_000 - await hall.balance(hall.people[0])
    assert spent + desk.provider.kept_minor == 5_000
    assert not await broken(db, hall.schedule_id)
