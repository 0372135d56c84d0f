"""The seat cache of real pods: what it refuses without a query, and what it must not refuse."""

import asyncio
import math
import time
from collections.abc import AsyncIterator, Coroutine
from contextlib import AsyncExitStack
from typing import Any
from uuid import UUID, uuid4

import pytest

from boxoffice.app import Application, open_application
from boxoffice.errors import NotOnSale, SeatNotFound, SeatTaken, SoldOut
from boxoffice.platform.ids import ScopedId
from boxoffice.platform.postgres.database import Database
from boxoffice.platform.valkey import Valkey
from boxoffice.reservations.store import Held
from boxoffice.seats.cache.states import PersonFilter
from boxoffice.settings import Settings
from tests.support.hall import Hall, open_hall
from tests.support.waiting import until


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """Readings so rare that only own changes and messages count; deadlines that are not missed."""
    return settings.replace(
        seats_cache_ms=60_000,
        seats_verify_ms=60_000,
        seat_lock_hot_ms=400,
        valkey_timeout_ms=5_000,
        hold_lapses_free_max=1_000,
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


async def hold(pod: Application, hall: Hall, person: int, *seats: str, key: str = "") -> Held:
    return await pod.services.reservations.hold(
        hall.people[person], hall.schedule_id, key or str(uuid4()), seats
    )


async def believe(hall: Hall, *pods: Application) -> None:
    """Return when the pods have states that they believe."""
    for pod in pods:
        await pod.services.seats.read_model.states(hall.schedule_id, max_age_s=0)


async def shown(pod: Application, hall: Hall) -> list[int]:
    return list((await pod.services.seats.read_model.states(hall.schedule_id)).status)


def step(work: Coroutine[Any, Any, Any]) -> Any:
    """Run to the first place that waits for anything, and say what it was; raise what it raised."""
    try:
        return work.send(None)
    except StopIteration as done:
        return done.value
    finally:
        work.close()


async def at_once(work: Coroutine[Any, Any, Any]) -> BaseException:
    """Return the refusal of work that neither waits for anything nor starts anything."""
    tasks = asyncio.all_tasks()
    with pytest.raises(Exception) as refusal:  # noqa: PT011 — the caller looks at it
        step(work)
    assert asyncio.all_tasks() == tasks
    return refusal.value


async def test_a_taken_seat_is_refused_without_io_on_every_pod(
    db: Database, pods: list[Application]
) -> None:
    hall = await open_hall(db, balance_minor=10_000)
    here, there = pods
    await believe(hall, *pods)
    held = await hold(here, hall, 0, "S001", "S002")
    reservation = ScopedId(hall.schedule_id, held.reservation_id)
    refusal = await at_once(hold(here, hall, 1, "S002", "S003"))
    assert isinstance(refusal, SeatTaken)
    assert refusal.extra == {"seat_ids": ["S002"]}

    async def heard() -> bool:
        return there.services.seats.refusals.taken(hall.schedule_id, ["S001"], hall.people[1]) == [
            "S001"
        ]

    await until(heard)
    assert isinstance(await at_once(hold(there, hall, 1, "S001")), SeatTaken)

    await here.services.payments.pay(hall.people[0], reservation, "p", "wallet")
    for pod in pods:
        assert isinstance(await at_once(hold(pod, hall, 1, "S001")), SeatTaken)
    assert step(hold(here, hall, 1, "S003")) is not None, "a free seat is for the database to give"
    assert isinstance(await at_once(hold(here, hall, 1, "S001", "S999")), SeatNotFound)


async def test_the_cache_can_be_switched_off(db: Database, settings: Settings) -> None:
    hall = await open_hall(db)
    off = settings.replace(seat_cache=False)
    async with open_application(off) as pod:
        await believe(hall, pod)
        await hold(pod, hall, 0, "S001")
        assert step(hold(pod, hall, 1, "S001")) is not None
        with pytest.raises(SeatTaken):
            await hold(pod, hall, 1, "S001")


async def test_an_end_is_respected_to_the_millisecond(
    db: Database, pods: list[Application]
) -> None:
    pod, _ = pods
    hall = await open_hall(db, hold_ttl_s=1)
    await believe(hall, pod)

    async def is_sure() -> bool:
        """A busy machine may answer late what time it is."""
        await pod.infrastructure.clock.synchronize()
        return pod.infrastructure.clock.uncertainty_s() < 0.04

    await until(is_sure)
    ends_at = (await hold(pod, hall, 0, "S001")).expires_at.timestamp()
    while True:
        before, slack = pod.infrastructure.clock.now(), pod.infrastructure.clock.uncertainty_s()
        try:
            asked = step(hold(pod, hall, 1, "S001"))
        except SeatTaken:
            assert before <= ends_at, "refused after its end"
        else:
            assert asked is not None
            assert pod.infrastructure.clock.now() > ends_at - slack - 0.002, "asked too early"
            break
        await asyncio.sleep(0.001)
    assert slack < 0.05

    async def sold_again() -> bool:
        """The request that was sent on is decided; where it came too early, another one is."""
        await until(lambda: _idle(pod))
        if (await hall.seat("S001"))["user_id"] == hall.people[1]:
            return True
        await asyncio.sleep(slack)
        return (await hold(pod, hall, 1, "S001")).seat_ids == ("S001",)

    await until(sold_again)


async def _idle(pod: Application) -> bool:
    return not pod.infrastructure.group_commit.count


@pytest.mark.parametrize("end", ["released", "lapsed"])
async def test_a_repetition_is_never_refused_by_any_pod(
    db: Database, pods: list[Application], end: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, there = pods
    hall = await open_hall(db, hold_ttl_s=1 if end == "lapsed" else 300)
    await believe(hall, *pods)
    first = await hold(here, hall, 0, "S001", key="k")
    if end == "released":
        reservation = ScopedId(hall.schedule_id, first.reservation_id)
        await here.services.reservations.release(hall.people[0], reservation)
    else:
        await asyncio.sleep(1.1)
        # The next hold outlives the checks, however slow the machine is.
        await hall.change_schedule("hold_ttl_s = 300")
    assert (await hold(there, hall, 1, "S001")).ttl_s == 300
    for pod in pods:
        await until(lambda pod=pod: _refuses(pod, hall, 2))  # type: ignore[misc]
        assert await hold(pod, hall, 0, "S001", key="k") == first

    # The control: a cache that does not know who has been here refuses the repetition.
    monkeypatch.setattr(PersonFilter, "__contains__", lambda _self, _person: False)
    with pytest.raises(SeatTaken):
        await hold(there, hall, 0, "S001", key="k")


async def _refuses(pod: Application, hall: Hall, person: int) -> bool:
    return bool(pod.services.seats.refusals.taken(hall.schedule_id, ["S001"], hall.people[person]))


async def test_sold_out_is_answered_from_memory(db: Database, pods: list[Application]) -> None:
    pod, _ = pods
    hall = await open_hall(db, seats=4)
    await believe(hall, pod)
    best = pod.services.reservations.hold_best

    def hold_command(
        person: int, quantity: int, grade: str | None = None
    ) -> Coroutine[Any, Any, Held]:
        return best(hall.people[person], hall.schedule_id, str(uuid4()), quantity, grade)

    mine = await best(hall.people[0], hall.schedule_id, "mine", 4, None)
    assert isinstance(await at_once(hold_command(1, 1)), SoldOut)
    assert isinstance(await at_once(hold_command(1, 2, "R")), SoldOut)
    assert await best(hall.people[0], hall.schedule_id, "mine", 4, None) == mine


async def test_a_sale_that_is_closed_is_not_called_taken(
    db: Database, pods: list[Application]
) -> None:
    pod, _ = pods
    hall = await open_hall(db)
    await believe(hall, pod)
    await hold(pod, hall, 0, "S001")
    await hall.change_schedule("status = 'CLOSED'")
    await believe(hall, pod)
    with pytest.raises(NotOnSale):
        await hold(pod, hall, 1, "S001")


async def test_an_answered_release_frees_the_seat_on_every_pod(
    db: Database, pods: list[Application]
) -> None:
    here, there = pods
    hall = await open_hall(db)
    await believe(hall, *pods)
    for at in range(20):
        held = await hold(here, hall, 0, "S001")
        await until(lambda: _refuses(there, hall, 1))
        reservation = ScopedId(hall.schedule_id, held.reservation_id)
        await here.services.reservations.release(hall.people[0], reservation)
        body = await (await here.services.seats.read_model.rendered(hall.schedule_id)).body()
        assert body.count(b"AVAILABLE") == 12, at
        # The other pod's turn of the event loop is all that may be missing.
        await until(lambda: _free(there, hall))


async def _free(pod: Application, hall: Hall) -> bool:
    return pod.services.seats.refusals.taken(hall.schedule_id, ["S001"], hall.people[1]) == []


async def test_changes_show_on_both_pods_with_one_version(
    db: Database, pods: list[Application]
) -> None:
    hall = await open_hall(db, balance_minor=100_000)
    await believe(hall, *pods)
    held = await hold(pods[0], hall, 0, "S001")
    await hold(pods[1], hall, 1, "S002")
    reservation = ScopedId(hall.schedule_id, held.reservation_id)
    await pods[1].services.payments.pay(hall.people[0], reservation, "p", "wallet")

    async def agreed() -> bool:
        for pod in pods:
            pod.services.seats.read_model.show_newest(hall.schedule_id)
        seen = [await pod.services.seats.read_model.states(hall.schedule_id) for pod in pods]
        return len({(one.version, one.status) for one in seen}) == 1 and seen[0].status[:3] == (
            b"\2\1\0"
        )

    await until(agreed)
    truth = await pods[0].services.seats.read_model.states(hall.schedule_id)
    again = await pods[0].services.seats.read_model.states(hall.schedule_id, max_age_s=0)
    assert (truth.version, truth.status) == (again.version, again.status)


async def _see(pod: Application, hall: Hall, seat: str) -> float:
    """Return how long it took until a pod refused a seat: much less than the rare readings take."""
    began = time.monotonic()

    async def sees() -> bool:
        return bool(pod.services.seats.refusals.taken(hall.schedule_id, [seat], hall.people[1]))

    await until(sees, 20.0)
    return time.monotonic() - began


async def test_without_valkey_what_is_shown_is_no_older_than_a_quarter_of_a_second(
    db: Database, settings: Settings
) -> None:
    alone = settings.replace(
        valkey_url="redis://127.0.0.1:1/0", seats_cache_ms=250, seats_verify_ms=60_000
    )
    hall = await open_hall(db)
    async with open_application(alone) as here, open_application(alone) as there:
        await believe(hall, here, there)
        # The shortest of a few: a busy machine only ever adds.
        shortest_s = math.inf
        for seat in hall.seat_ids[:4]:
            await hold(here, hall, 0, seat)
            shortest_s = min(shortest_s, await _see(there, hall, seat))
            if shortest_s < 1.0:
                break
        assert shortest_s < 1.0
    # The control: who reads once a minute and hears nothing, sees nothing.
    rare = alone.replace(seats_cache_ms=60_000)
    async with open_application(rare) as deaf:
        await believe(hall, deaf)
        await hall.held(hall.people[2], "S005")
        await asyncio.sleep(0.5)
        assert deaf.services.seats.refusals.taken(hall.schedule_id, ["S005"], hall.people[1]) == []


async def test_lost_messages_are_recovered_by_readings_and_arrive_again(
    db: Database, settings: Settings, valkey: Valkey
) -> None:
    told = settings.replace(seats_cache_ms=100, seats_verify_ms=1_000, valkey_timeout_ms=100)
    hall = await open_hall(db)
    async with open_application(told) as here, open_application(told) as there:

        async def acquainted() -> bool:
            return all(
                pod.services.seats.change_bus.has_peers
                and pod.services.seats.change_bus.is_receiving
                for pod in (here, there)
            )

        await until(acquainted)
        await believe(hall, here, there)
        for seat in hall.seat_ids[:4]:
            # Publishing counts as a write; a pause of writes can be ended before its time.
            await valkey.command("CLIENT", "PAUSE", 60_000, "WRITE")
            try:
                await hold(here, hall, 0, seat)
                await _see(there, hall, seat)
                # Seen before the silence was noticed, unless the machine was busy.
                is_verified = there.services.seats.change_bus.is_receiving
            finally:
                await valkey.command("CLIENT", "UNPAUSE")
            await until(acquainted)
            if is_verified:
                break
        assert is_verified


async def test_the_seat_lock_is_asked_only_while_pods_collide(
    db: Database, pods: list[Application], valkey: Valkey
) -> None:
    here, _ = pods
    hall = await open_hall(db, seats=40, people=4)
    await believe(hall, here)

    async def claimed(seat: str) -> bool:
        key = f"{{{hall.schedule_id}}}:seat:{seat}"
        return bool(await valkey.command("EXISTS", key))

    await hold(here, hall, 0, "S001")
    assert not await claimed("S001")
    seats = iter(hall.seat_ids[1:])

    async def is_claimed_after_a_collision() -> bool:
        theirs, free = next(seats), next(seats)
        await hall.held(hall.people[1], theirs)  # another pod's, whose notice was lost
        with pytest.raises(SeatTaken):
            await hold(here, hall, 2, theirs)
        await hold(here, hall, 3, free)
        return await claimed(free)

    # On a busy machine it may have cooled down before the next hold.
    await until(is_claimed_after_a_collision)
    await asyncio.sleep(0.5)
    hot = await open_hall(db)
    await believe(hot, here)
    await hold(here, hot, 0, "S001")
    assert not await valkey.command("EXISTS", f"{{{hot.schedule_id}}}:seat:S001"), (
        "another schedule"
    )
    newcomer = UUID(int=hall.people[3].int ^ 0xFFFFF)
    late = next(seats)
    await here.services.reservations.hold(newcomer, hall.schedule_id, "late", [late])
    assert not await claimed(late), "it has cooled down"
