"""A model of the shop drives the real one: every answer is foreseen, and every step is audited."""

import asyncio
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any, TypeVar
from uuid import UUID, uuid4

import asyncpg
import pytest
from hypothesis import HealthCheck, Phase, note
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)

from boxoffice.app import Application, open_application
from boxoffice.audit import audit
from boxoffice.catalog.rules import NewConcert, NewSchedule, NewSeat
from boxoffice.cli import seeding
from boxoffice.errors import Problem
from boxoffice.platform.ids import ScopedId
from boxoffice.platform.postgres.database import Database
from boxoffice.platform.valkey import Valkey
from boxoffice.reservations.store import ReservationStore
from boxoffice.reservations.sweeper import sweep_once
from boxoffice.settings import Settings
from tests.support.members import member

T = TypeVar("T")

SEATS = [f"S-1-{number}" for number in range(1, 9)]
PEOPLE = 3
TICKET_LIMIT = 4
PRICE = 100
HOLD_TTL_S = 300


@dataclass
class Hold:
    """What the model knows of a reservation."""

    person: int
    seats: tuple[str, ...]
    key: str
    status: str = "HELD"
    lapsed: bool = False
    best: bool = False

    @property
    def live(self) -> bool:
        """Whether its seats are taken."""
        return self.status == "CONFIRMED" or (self.status == "HELD" and not self.lapsed)


class World:
    """The real shop, driven step by step from outside its event loop."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.loop = asyncio.new_event_loop()
        self._stack = AsyncExitStack()
        self.app: Application = self.run(
            self._stack.enter_async_context(open_application(settings))
        )
        self.db = Database(settings)
        self.valkey = Valkey(settings.valkey)
        self.run(self.db.open())
        self.organizer = self.run(self._person("organizer"))
        self.run(self._grant(self.organizer))

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.loop.run_until_complete(work)

    def close(self) -> None:
        self.run(self.db.close())
        self.run(self.valkey.close())
        self.run(self._stack.aclose())
        self.loop.close()

    async def _person(self, name: str) -> UUID:
        email = f"{name}-{uuid4().hex}@example.test"
        return await self.app.services.accounts.sign_up(email, "a long password", name)

    async def _grant(self, user_id: UUID) -> None:
        connection = await asyncpg.connect(self.settings.database.database_url)
        await connection.execute("UPDATE users SET role = 'organizer' WHERE user_id = $1", user_id)
        await connection.close()

    async def forget(self, keys: list[str]) -> None:
        """Drop keys of the seat lock."""
        await self.valkey.command("DEL", *keys)

    def people(self) -> list[UUID]:
        return self.run(seeding.people(self.app, PEOPLE, 1, uuid4().hex[:8]))

    def schedule(self) -> UUID:
        now = datetime.now(UTC)
        schedule = NewSchedule(
            starts_at=now + timedelta(days=1),
            sale_opens_at=now - timedelta(days=1),
            sale_closes_at=None,
            currency="KRW",
            hold_ttl_s=HOLD_TTL_S,
            ticket_limit=TICKET_LIMIT,
        )
        concert = NewConcert(title="t", artist="a", venue="v")
        seats = [NewSeat(seat, "S", "1", at, "R", PRICE) for at, seat in enumerate(SEATS, start=1)]
        on_sale = self.app.services.catalog.put_on_sale(
            member(self.organizer), concert, schedule, seats
        )
        return self.run(on_sale).schedule_id


@pytest.fixture
def world(settings: Settings) -> Any:
    # A seat lock that is not released in time would refuse the next hold.
    patient = settings.replace(hold_lapses_free_max=1_000_000, valkey_timeout_ms=5_000)
    world = World(patient)
    yield world
    world.close()


class Shop(RuleBasedStateMachine):
    """Holds, releases, lapses, sweeps, payments and top-ups in any order."""

    world: World
    holds: Bundle[str] = Bundle("holds")

    @initialize()
    def open_the_sale(self) -> None:
        self.schedule_id = self.world.schedule()
        self.people = self.world.people()
        self.balances = [1] * PEOPLE
        self.reservations: dict[str, Hold] = {}
        self.keys = count(1)

    def _refusal(self, work: Coroutine[Any, Any, Any]) -> tuple[str, Any]:
        """Run one call and return ('ok', its result) or the code of its refusal."""
        try:
            return "ok", self.world.run(work)
        except Problem as problem:
            note(f"refused: {problem.code}")
            return problem.code, None

    def _owner(self, seat: str) -> Hold | None:
        return next(
            (hold for hold in self.reservations.values() if hold.live and seat in hold.seats), None
        )

    def _tickets(self, person: int) -> int:
        return sum(
            len(hold.seats)
            for hold in self.reservations.values()
            if hold.live and hold.person == person
        )

    @rule(
        target=holds,
        person=st.integers(0, PEOPLE - 1),
        seats=st.lists(st.sampled_from(SEATS), min_size=1, max_size=3, unique=True),
    )
    def hold(self, person: int, seats: list[str]) -> Any:
        key = f"k{next(self.keys)}"
        taken = any(self._owner(seat) for seat in seats)
        over = self._tickets(person) + len(seats) > TICKET_LIMIT
        expected = "seat_taken" if taken else "ticket_limit" if over else "ok"
        work = self.world.app.services.reservations.hold(
            self.people[person], self.schedule_id, key, seats
        )
        code, held = self._refusal(work)
        assert code == expected
        if held is None:
            return multiple()
        self.reservations[str(held.reservation_id)] = Hold(person, tuple(seats), key)
        return str(held.reservation_id)

    @rule(target=holds, person=st.integers(0, PEOPLE - 1), quantity=st.integers(1, 3))
    def hold_best(self, person: int, quantity: int) -> Any:
        free = [self._owner(seat) is None for seat in SEATS]
        fits = any(all(free[at : at + quantity]) for at in range(len(SEATS) - quantity + 1))
        over = self._tickets(person) + quantity > TICKET_LIMIT
        nothing = "no_adjacent_seats" if any(free) else "sold_out"
        expected = nothing if not fits else "ticket_limit" if over else "ok"
        key = f"k{next(self.keys)}"
        work = self.world.app.services.reservations.hold_best(
            self.people[person], self.schedule_id, key, quantity, None
        )
        code, held = self._refusal(work)
        assert code == expected
        if held is None:
            return multiple()
        assert len(held.seat_ids) == quantity
        assert all(self._owner(seat) is None for seat in held.seat_ids)
        self.reservations[str(held.reservation_id)] = Hold(person, held.seat_ids, key, best=True)
        return str(held.reservation_id)

    @rule(name=holds)
    def hold_again_under_the_same_key(self, name: str) -> None:
        hold = self.reservations[name]
        work = self.world.app.services.reservations.hold(
            self.people[hold.person], self.schedule_id, hold.key, list(hold.seats)
        )
        code, held = self._refusal(work)
        # A hold that "best seats" chose was another request: its key does not fit this one.
        assert code == ("idempotency_key_reused" if hold.best else "ok")
        if held is not None:
            assert str(held.reservation_id) == name

    @rule(name=holds, person=st.integers(0, PEOPLE - 1))
    def release(self, name: str, person: int) -> None:
        hold = self.reservations[name]
        own = hold.person == person
        expected = (
            "reservation_not_found"
            if not own
            else "ok"
            if hold.status == "HELD" and not hold.lapsed
            else "not_held"
        )
        scoped = ScopedId(self.schedule_id, UUID(name))
        code, _ = self._refusal(
            self.world.app.services.reservations.release(self.people[person], scoped)
        )
        assert code == expected
        if code == "ok":
            hold.status = "CANCELLED"

    @rule(name=holds, person=st.integers(0, PEOPLE - 1))
    def pay(self, name: str, person: int) -> None:
        hold = self.reservations[name]
        owed = PRICE * len(hold.seats)
        refusals = {"CONFIRMED": "already_paid", "CANCELLED": "not_held", "EXPIRED": "hold_expired"}
        if hold.person != person:
            expected = "reservation_not_found"
        elif hold.status != "HELD":
            expected = refusals[hold.status]
        elif hold.lapsed:
            expected = "hold_expired"
        else:
            expected = "ok" if self.balances[person] >= owed else "insufficient_balance"
        scoped = ScopedId(self.schedule_id, UUID(name))
        key = f"k{next(self.keys)}"
        work = self.world.app.services.payments.pay(self.people[person], scoped, key, "wallet")
        code, paid = self._refusal(work)
        assert code == expected
        if paid is not None:
            assert paid.amount_minor == owed
            assert set(paid.seat_ids) == set(hold.seats)
            hold.status = "CONFIRMED"
            self.balances[person] -= owed

    @rule(person=st.integers(0, PEOPLE - 1), amount=st.integers(-1, 500))
    def top_up(self, person: int, amount: int) -> None:
        work = self.world.app.services.payments.top_up(
            self.people[person], f"k{next(self.keys)}", amount
        )
        code, top_up = self._refusal(work)
        assert code == ("ok" if amount > 0 else "amount_invalid")
        if top_up is not None:
            self.balances[person] += amount
            assert top_up.balance_minor == self.balances[person]

    @rule(name=holds)
    def time_passes_for(self, name: str) -> None:
        """Move one hold so far into the past that it has lapsed, as waiting would."""
        hold = self.reservations[name]
        if hold.status != "HELD" or hold.lapsed:
            return
        self.world.run(self._age(UUID(name)))
        hold.lapsed = True

    async def _age(self, reservation_id: UUID) -> None:
        connection = await asyncpg.connect(self.world.settings.database.database_url)
        past = timedelta(seconds=HOLD_TTL_S + 1)
        async with connection.transaction():
            await connection.execute(
                "UPDATE reservations SET created_at = created_at - $2::interval,"
                " expires_at = expires_at - $2::interval WHERE reservation_id = $1",
                reservation_id,
                past,
            )
            await connection.execute(
                "UPDATE seats SET expires_at = expires_at - $2::interval WHERE reservation_id = $1",
                reservation_id,
                past,
            )
            await connection.execute(
                "INSERT INTO lapsing_holds"
                " SELECT schedule_id, expires_at, reservation_id, ARRAY[reservation_id]"
                " FROM reservations WHERE reservation_id = $1",
                reservation_id,
            )
        await connection.close()
        # The seat lock would refuse the seats for some seconds more; more than that has passed.
        keys = [f"{{{self.schedule_id}}}:seat:{seat}" for seat in SEATS]
        await self.world.forget(keys)

    @rule()
    def sweep(self) -> None:
        self.world.run(sweep_once(ReservationStore(self.world.db), 100))
        for hold in self.reservations.values():
            if hold.status == "HELD" and hold.lapsed:
                hold.status = "EXPIRED"

    @invariant()
    def every_invariant_holds(self) -> None:
        report = self.world.run(audit(self.world.settings))
        assert report.ok, report

    @invariant()
    def the_model_agrees(self) -> None:
        if not hasattr(self, "people"):
            return
        for person, user_id in enumerate(self.people):
            wallet = self.world.run(self.world.app.services.payments.wallet(user_id))
            assert wallet.balance_minor == self.balances[person]
        states = self.world.app.services.seats.read_model.states(self.schedule_id, max_age_s=0)
        shown = self.world.run(states).status
        for at, seat in enumerate(SEATS):
            owner = self._owner(seat)
            assert shown[at] == (0 if owner is None else 2 if owner.status == "CONFIRMED" else 1)


@pytest.mark.timeout(300)
def test_the_shop_does_what_its_model_says(world: World) -> None:
    machine = type("ShopOfThisTest", (Shop,), {"world": world})
    run_state_machine_as_test(
        machine,
        settings=hypothesis_settings(
            max_examples=25,
            stateful_step_count=25,
            deadline=None,
            print_blob=True,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        ),
    )
