"""Whatever arrives and whatever fails: one outcome each, at most one effect each, in order."""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Hashable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import asyncpg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from boxoffice.batching import GroupCommit, GroupCommitLimits, Outcome, Pending, Retry
from boxoffice.batching.recovery import BatchRecovery
from boxoffice.errors import IdempotencyInFlight, OutcomeUnknown, Overloaded, Unavailable
from tests.unit.batching.scripted import leftovers

LIMITS = GroupCommitLimits(
    batch_max=3, batches_in_flight=2, queue_max=12, retry_for_s=0.05, unknown_outcome_timeout_s=0.05
)

LOST = asyncpg.ConnectionDoesNotExistError
POISON = asyncpg.CharacterNotInRepertoireError
# What the database does with a batch; when the plan is used up, everything goes well.
BEFORE_COMMIT = {
    "deadlock": asyncpg.DeadlockDetectedError("deadlock"),
    "away": Unavailable("no connection"),
    "lost_before": LOST("lost"),
}
STEPS = ["fine", "slow", "contended", "lost_after", *BEFORE_COMMIT]


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """Jumps to the next timer instead of waiting for it, so that a run depends on its seed alone."""

    _now = 0.0

    def time(self) -> float:
        return self._now

    def _run_once(self) -> None:
        if not self._ready and self._scheduled:  # type: ignore[attr-defined]
            self._now = max(self._now, self._scheduled[0].when())  # type: ignore[attr-defined]
        super()._run_once()  # type: ignore[misc]


@dataclass(frozen=True, slots=True)
class Order:
    """A command of the run; `number` is its place among the arrivals."""

    number: int
    lane: str
    identity: Hashable | None
    fingerprint: bytes
    is_poison: bool

    @property
    def record(self) -> Hashable:
        """Under what the database remembers it."""
        return self.lane, self.number if self.identity is None else f"key {self.identity}"


@dataclass(frozen=True)
class Arrival:
    """A caller arrives some time after the one before, and may cancel."""

    pause_ms: int
    lane: str
    key: int | None
    body: bytes
    is_poison: bool
    patience_ms: int | None


ARRIVALS = st.lists(
    st.builds(
        Arrival,
        pause_ms=st.sampled_from([0, 0, 0, 1, 5]),
        lane=st.sampled_from("AB"),
        key=st.sampled_from([None, None, 1, 2]),
        body=st.sampled_from([b"x", b"x", b"y"]),
        is_poison=st.integers(0, 9).map(lambda roll: roll == 0),
        patience_ms=st.sampled_from([None, None, None, 0, 3]),
    ),
    max_size=24,
)


@dataclass
class World:
    """A database that keeps one record per request, and everything that a checker wants to know."""

    plan: list[str]
    look_up_failures: int
    records: dict[Hashable, Order] = field(default_factory=dict)
    delivered: Counter[int] = field(default_factory=Counter)
    first_decided: list[Order] = field(default_factory=list)
    at_database: int = 0
    kind: str = "run"

    async def handle(
        self, lane_key: str, batch: Sequence[Pending[Order, str]]
    ) -> Sequence[Outcome[str]]:
        """Do with the batch what the plan says."""
        orders = [pending.command for pending in batch]
        self._check_batch(lane_key, orders)
        self.first_decided += [pending.command for pending in batch if pending.attempts == 1]
        step = self.plan.pop(0) if self.plan else "fine"
        async with self._visit():
            await asyncio.sleep(0.01 if step == "slow" else 0.001)
            outcomes = self._do(step, orders)
        self.delivered.update(
            order.number
            for order, outcome in zip(orders, outcomes, strict=True)
            if not isinstance(outcome, Retry)
        )
        return outcomes

    async def look_up(self, lane_key: str, orders: Sequence[Order]) -> Sequence[str | None]:
        """Say what the records say, once the planned failures are over."""
        self._check_batch(lane_key, orders)
        async with self._visit():
            await asyncio.sleep(0.001)
        if self.look_up_failures:
            self.look_up_failures -= 1
            raise OSError("away")
        return [self._answer(order) if order.record in self.records else None for order in orders]

    def _check_batch(self, lane_key: str, orders: Sequence[Order]) -> None:
        assert 1 <= len(orders) <= LIMITS.batch_max
        assert {order.lane for order in orders} == {lane_key}
        assert len({order.record for order in orders}) == len(orders)

    @asynccontextmanager
    async def _visit(self) -> AsyncIterator[None]:
        self.at_database += 1
        assert self.at_database <= LIMITS.batches_in_flight
        try:
            yield
        finally:
            self.at_database -= 1

    def _do(self, step: str, orders: Sequence[Order]) -> list[Outcome[str]]:
        if step in BEFORE_COMMIT:
            raise BEFORE_COMMIT[step]
        if any(order.is_poison for order in orders):
            raise POISON("poison")
        # In a contended batch every second command is blocked.
        turned_away = orders[::2] if step == "contended" else []
        outcomes = [
            Retry("in the way") if order in turned_away else self._commit(order) for order in orders
        ]
        if step == "lost_after":
            raise LOST("lost")
        return outcomes

    def _commit(self, order: Order) -> str:
        self.records.setdefault(order.record, order)
        return self._answer(order)

    def _answer(self, order: Order) -> str:
        made = self.records[order.record]
        return f"made {made.number}" if made.fingerprint == order.fingerprint else "key reused"


class Crowd:
    """Sends the arrivals and checks what each caller hears against the world."""

    def __init__(self, world: World, group: GroupCommit) -> None:
        self.world = world
        self.group = group

    async def run(self, arrivals: Sequence[Arrival]) -> None:
        """Return when every caller has heard or gone, and the group commit is closed and empty."""
        callers = []
        for number, arrival in enumerate(arrivals):
            if arrival.pause_ms:
                await asyncio.sleep(arrival.pause_ms / 1000)
            callers.append(asyncio.create_task(self._call(arrival, _order(number, arrival))))
        async with asyncio.timeout(60):
            await asyncio.gather(*callers)
            await self.group.close()

    async def _call(self, arrival: Arrival, order: Order) -> None:
        patience_s = None if arrival.patience_ms is None else arrival.patience_ms / 1000
        try:
            async with asyncio.timeout(patience_s):
                outcome = await self.group.submit(self.world, order.lane, order)
        except TimeoutError:
            return
        except OutcomeUnknown:
            return
        except POISON:
            assert order.is_poison
        except (IdempotencyInFlight, Overloaded, Unavailable):
            made = self.world.records.get(order.record)
            assert made is None or made.number != order.number
        else:
            assert outcome == self.world._answer(order)


def _order(number: int, arrival: Arrival) -> Order:
    body = arrival.body + (b"!" if arrival.is_poison else b"")
    return Order(number, arrival.lane, arrival.key, body, arrival.is_poison)


def _run(world: World, arrivals: Sequence[Arrival]) -> GroupCommit:
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        clock = runner.get_loop().time
        group = GroupCommit(LIMITS, clock=clock, jitter=random.Random(0).random)
        runner.run(Crowd(world, group).run(arrivals))
    return group


@settings(max_examples=300, deadline=None)
@given(
    arrivals=ARRIVALS,
    plan=st.lists(st.sampled_from(STEPS), max_size=16),
    look_up_failures=st.integers(0, 4),
)
def test_any_run(arrivals: list[Arrival], plan: list[str], look_up_failures: int) -> None:
    world = World(plan, look_up_failures)
    group = _run(world, arrivals)
    assert all(count == 1 for count in world.delivered.values())
    assert not leftovers(group)
    for lane in "AB":
        order = [o.number for o in world.first_decided if o.lane == lane]
        assert order == sorted(order)


async def _guess(recovery: BatchRecovery, lane: Any, batch: Any) -> None:
    """Take a lost answer for a sign that nothing was done."""
    recovery.retry(lane, batch, "guess")


def test_the_checker_notices_a_guess(monkeypatch: pytest.MonkeyPatch) -> None:
    one = Arrival(0, "A", None, b"x", is_poison=False, patience_ms=None)
    _run(World(["lost_after", "away"], 0), [one])
    monkeypatch.setattr(BatchRecovery, "recover", _guess)
    with pytest.raises(AssertionError):
        _run(World(["lost_after", "away"], 0), [one])
