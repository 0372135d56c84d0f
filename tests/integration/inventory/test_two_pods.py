"""Blocked, repriced and added seats on two real pods: what both show and sell, within a second."""

import asyncio
import random
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any
from uuid import uuid4

import pytest

from boxoffice.app import Application, open_application
from boxoffice.catalog.rules import NewSeat
from boxoffice.errors import Problem, SeatNotFound, SeatTaken
from boxoffice.inventory.rules import Command, SeatCommand, Selection
from boxoffice.platform.ids import ScopedId
from boxoffice.platform.postgres.database import Database
from boxoffice.reservations.routes import present_held
from boxoffice.reservations.store import Held
from boxoffice.seats.cache.states import AVAILABLE, BLOCKED, HELD
from boxoffice.seats.feed.history import SNAPSHOT, SeatHistory
from boxoffice.settings import Settings
from tests.support.hall import Hall, open_hall
from tests.support.invariants import broken
from tests.support.members import member
from tests.support.waiting import until

WITHIN_S = 1.0


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """Readings so rare that only messages count."""
    return settings.replace(
        seats_cache_ms=60_000, seats_verify_ms=60_000, hold_lapses_free_max=1_000
    )


@pytest.fixture
async def pods(settings: Settings) -> AsyncIterator[list[Application]]:
    """Two pods that hear each other."""
    async with AsyncExitStack() as stack:
        both = [await stack.enter_async_context(open_application(settings)) for _ in range(2)]

        async def acquainted() -> bool:
            return all(
                pod.services.seats.change_bus.has_peers
                and pod.services.seats.change_bus.is_receiving
                for pod in both
            )

        await until(acquainted)
        yield both


async def believe(hall: Hall, *pods: Application) -> None:
    """Return when the pods have states that they believe."""
    for pod in pods:
        await pod.services.seats.read_model.states(hall.schedule_id, max_age_s=0)


async def change(pod: Application, hall: Hall, name: Command, *seats: str, **fields: Any) -> None:
    command = SeatCommand(name, Selection(seats), **fields)
    await pod.services.inventory.seats.change(member(hall.schedule_id), hall.schedule_id, command)


async def hold(pod: Application, hall: Hall, person: int, *seats: str) -> Held:
    return await pod.services.reservations.hold(
        hall.people[person], hall.schedule_id, str(uuid4()), seats
    )


async def status(pod: Application, hall: Hall) -> list[int]:
    snapshot = await pod.services.seats.read_model.snapshot(hall.schedule_id)
    return list(snapshot.status)


async def price(pod: Application, hall: Hall, seat_id: str) -> int:
    await pod.services.seats.read_model.snapshot(hall.schedule_id)
    layout = await pod.services.seats.read_model.layout(hall.schedule_id)
    return layout.seats[layout.index[seat_id]].price_minor


async def test_the_other_pod_refuses_a_blocked_seat_from_memory(
    pods: list[Application], hall: Hall
) -> None:
    here, there = pods
    await believe(hall, here, there)
    await change(here, hall, "block", "S001")

    async def shown() -> bool:
        return (await status(there, hall))[0] == BLOCKED

    await until(shown, WITHIN_S)
    refusals = there.services.seats.refusals
    assert refusals.taken(hall.schedule_id, ["S001", "S002"], hall.people[0]) == ["S001"]
    with pytest.raises(SeatTaken):
        await hold(there, hall, 0, "S001")
    await change(there, hall, "release", "S001")

    async def on_sale() -> bool:
        return (await status(here, hall))[0] == AVAILABLE

    await until(on_sale, WITHIN_S)
    await hold(here, hall, 0, "S001")
    assert (await status(here, hall))[0] == HELD


async def test_a_hall_is_sold_out_when_the_rest_is_blocked(
    pods: list[Application], hall: Hall
) -> None:
    here, there = pods
    await believe(hall, here, there)
    await change(here, hall, "block", *hall.seat_ids)

    async def sold_out() -> bool:
        return there.services.seats.refusals.is_sold_out(hall.schedule_id, hall.people[0])

    await until(sold_out, WITHIN_S)
    assert set(await status(there, hall)) == {BLOCKED}
    await change(here, hall, "release", "S005")

    async def on_sale() -> bool:
        return (await status(there, hall))[4] == AVAILABLE

    await until(on_sale, WITHIN_S)
    held = await there.services.reservations.hold_best(
        hall.people[0], hall.schedule_id, "best", 1, None
    )
    assert held.seat_ids == ("S005",)


async def test_both_pods_show_a_new_price_and_follow_it_with_a_snapshot(
    pods: list[Application], hall: Hall
) -> None:
    here, there = pods
    await believe(hall, here, there)
    model = there.services.seats.read_model
    before = await model.snapshot(hall.schedule_id)
    history = SeatHistory(10)
    history.update(before.version, before.status, on_sale=True, layout_version=1)
    tag = await (await model.rendered(hall.schedule_id)).tag()
    await change(here, hall, "reprice", "S001", price_minor=2_500)
    assert await price(here, hall, "S001") == 2_500

    async def told() -> bool:
        return await price(there, hall, "S001") == 2_500

    await until(told, WITHIN_S)
    after = await model.snapshot(hall.schedule_id)
    [event] = history.update(
        after.version, after.status, on_sale=True, layout_version=after.layout_version
    )
    assert (event.name, event.data.layout_version) == (SNAPSHOT, 2)  # type: ignore[union-attr]
    rendered = await model.rendered(hall.schedule_id)
    assert await rendered.tag() != tag
    assert b'"layout_version":2' in await rendered.body()


async def test_a_hold_by_an_old_layout_answers_the_new_price(
    pods: list[Application], hall: Hall
) -> None:
    here, there = pods
    await believe(hall, here, there)
    # The message is lost: the other pod knows nothing of the change.
    here.services.seats.change_bus.post = lambda *_args: None  # type: ignore[method-assign]
    await change(here, hall, "reprice", "S001", price_minor=2_500)
    model = there.services.seats.read_model
    assert (await model.layout(hall.schedule_id)).price_minor(["S001"]) == 1_000
    held = await hold(there, hall, 0, "S001", "S002")
    assert held.amount_minor == 3_500
    layout = await model.layout_with(hall.schedule_id, held.seat_ids, held.amount_minor)
    shown = present_held(hall.schedule_id, held, layout)
    assert [seat.price.amount for seat in shown.seats] == [2_500, 1_000]
    # A layout that is current is not read again.
    assert await model.layout_with(hall.schedule_id, ["S002"], 1) is layout


async def test_added_seats_are_sold_by_both_pods(pods: list[Application], hall: Hall) -> None:
    here, there = pods
    await believe(hall, here, there)
    seats = [NewSeat("N1", "S", "2", 1, "R", 900), NewSeat("N2", "S", "2", 2, "R", 900)]
    with pytest.raises(SeatNotFound):
        await hold(there, hall, 0, "N1")
    await here.services.inventory.seats.add(
        member(hall.schedule_id), hall.schedule_id, seats, blocked=False
    )
    assert (await hold(here, hall, 1, "N2")).amount_minor == 900
    # The other pod hears of a seat that its layout does not have, and reads the layout.

    async def known() -> bool:
        return len(await status(there, hall)) == 14

    await until(known, WITHIN_S)
    assert (await status(there, hall))[12:] == [AVAILABLE, HELD]
    assert (await hold(there, hall, 0, "N1")).seat_ids == ("N1",)


async def test_a_reservation_shows_a_seat_that_this_pod_has_not_heard_of(
    pods: list[Application], hall: Hall
) -> None:
    here, there = pods
    await believe(hall, here, there)
    here.services.seats.change_bus.post = lambda *_args: None  # type: ignore[method-assign]
    seats = [NewSeat("N1", "S", "2", 1, "R", 900)]
    await here.services.inventory.seats.add(
        member(hall.schedule_id), hall.schedule_id, seats, blocked=False
    )
    held = await hold(here, hall, 0, "N1")
    layout = await there.services.seats.read_model.layout_with(hall.schedule_id, held.seat_ids)
    assert "N1" in layout.index


async def test_blocks_prices_and_holds_at_the_same_moment(
    pods: list[Application], db: Database
) -> None:
    """Buyers on both pods against an organizer who blocks, releases and reprices the same seats."""
    hall = await open_hall(db, seats=24, people=12, ticket_limit=100, balance_minor=100_000)
    await believe(hall, *pods)
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    until_at = time.monotonic() + 2.0
    sold: list[Held] = []

    async def buyer(person: int) -> None:
        while time.monotonic() < until_at:
            pod = pods[chance.randrange(2)]
            try:
                held = await hold(pod, hall, person, *chance.sample(list(hall.seat_ids), 2))
            except Problem:
                await asyncio.sleep(0.002)
                continue
            await _release_or_pay(pod, hall, person, held, chance, sold)

    async def organizer(pod: Application) -> None:
        names: list[Command] = ["block", "release", "reprice"]
        while time.monotonic() < until_at:
            name = chance.choice(names)
            fields = {"price_minor": chance.randrange(1, 9)} if name == "reprice" else {}
            await change(pod, hall, name, *chance.sample(list(hall.seat_ids), 6), **fields)
            await asyncio.sleep(0.005)

    async with asyncio.TaskGroup() as crowd:
        for person in range(len(hall.people)):
            crowd.create_task(buyer(person))
        for pod in pods:
            crowd.create_task(organizer(pod))
    assert not await broken(db, hall.schedule_id)
    assert len(sold) < 12
    await _both_show_what_is(pods, hall)


async def _release_or_pay(
    pod: Application,
    hall: Hall,
    person: int,
    held: Held,
    chance: random.Random,
    sold: list[Held],
) -> None:
    if chance.random() < 0.9 or len(sold) > 3:
        command = pod.services.reservations.release
        await command(hall.people[person], ScopedId(hall.schedule_id, held.reservation_id))
        return
    paid = (await hall.pay(hall.people[person], held.reservation_id)).payment
    assert paid is not None
    assert paid.amount_minor == held.amount_minor
    sold.append(held)


async def _both_show_what_is(pods: list[Application], hall: Hall) -> None:
    rows = await hall.db.fetch(
        "SELECT state, price_minor FROM seats WHERE schedule_id = $1 ORDER BY ordinal",
        hall.schedule_id,
    )
    names = {"AVAILABLE": AVAILABLE, "HELD": HELD, "SOLD": 2, "BLOCKED": BLOCKED}
    for pod in pods:
        # A payment of this test went past the pods; what it sold is theirs to read.
        await believe(hall, pod)
        assert await status(pod, hall) == [names[row["state"]] for row in rows]
        layout = await pod.services.seats.read_model.layout(hall.schedule_id)
        assert [seat.price_minor for seat in layout.seats] == [row["price_minor"] for row in rows]
