"""Layouts, states, versions and encoded maps, on a real database."""

import asyncio
import gzip
import json
from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid4

import msgspec
import pytest

from boxoffice.catalog.rules import hall
from boxoffice.errors import ScheduleNotFound
from boxoffice.seats.cache.states import AVAILABLE, HELD, SOLD
from boxoffice.seats.views import SeatMap

from .support import Shop, schedule


async def fresh(shop: Shop, schedule_id: UUID) -> tuple[int, list[int]]:
    states = await shop.seats.states(schedule_id, max_age_s=0)
    return states.version, list(states.status)


async def shown(shop: Shop, schedule_id: UUID) -> dict[str, Any]:
    body = await (await shop.seats.rendered(schedule_id)).body()
    decoded: dict[str, Any] = json.loads(body)
    return decoded


async def test_the_layout_keeps_the_order_of_the_seat_map(shop: Shop) -> None:
    made = await shop.draft(0)
    seats = list(reversed(hall(40)))
    await shop.catalog.add_seats(shop.organizer, made.schedule_id, seats[:15])
    await shop.catalog.add_seats(shop.organizer, made.schedule_id, seats[15:])
    await shop.catalog.publish(shop.organizer, made.concert_id)
    await shop.catalog.open(shop.organizer, made.schedule_id)
    layout = await shop.seats.layout(made.schedule_id)
    assert [one.seat_id for one in layout.seats] == [one.seat_id for one in seats]
    assert layout.seats[3].price_minor == seats[3].price_minor
    assert layout.index[seats[20].seat_id] == 20
    assert layout.currency == "KRW"


async def test_a_schedule_of_a_draft_concert_does_not_exist(shop: Shop) -> None:
    made = await shop.draft()
    for schedule_id in (made.schedule_id, uuid4()):
        for call in (shop.seats.layout, shop.seats.states, shop.seats.rendered):
            with pytest.raises(ScheduleNotFound):
                await call(schedule_id)


async def test_a_final_layout_is_read_once(shop: Shop) -> None:
    sold = await shop.on_sale()
    layout = await shop.seats.layout(sold.schedule_id)
    shop.clock.advance(1e9)
    assert await shop.seats.layout(sold.schedule_id) is layout


async def test_what_another_process_opens_is_there_a_moment_later(
    make_shop: Callable[[], Shop],
) -> None:
    """Absence is cached, for a short time."""
    writer, reader = make_shop(), make_shop()
    made = await writer.draft(3)
    await writer.catalog.publish(writer.organizer, made.concert_id)
    for call in (reader.seats.layout, reader.seats.rendered, reader.lookups.schedule):
        with pytest.raises(ScheduleNotFound):
            await call(made.schedule_id)
    await writer.catalog.open(writer.organizer, made.schedule_id)
    reader.clock.advance(0.06)
    assert len((await reader.seats.layout(made.schedule_id)).seats) == 3
    assert (await reader.lookups.schedule(made.schedule_id)).found.on_sale


async def test_the_version_grows_with_every_visible_change_and_never_goes_back(shop: Shop) -> None:
    sold = await shop.on_sale(3)
    one, two, three = (seat.seat_id for seat in (await shop.seats.layout(sold.schedule_id)).seats)
    seen = [await fresh(shop, sold.schedule_id)]

    async def look(changed: bool) -> None:
        now = await fresh(shop, sold.schedule_id)
        before = seen[-1]
        assert (now[1] != before[1]) is changed
        assert now[0] > before[0] if changed else now[0] == before[0]
        seen.append(now)

    first, second = uuid4(), uuid4()
    held = await shop.hold(sold.schedule_id, [one, two], first)
    await look(changed=True)
    assert seen[-1][1] == [HELD, HELD, AVAILABLE]
    await shop.lapse(sold.schedule_id, held)
    await look(changed=True)
    assert seen[-1][1] == [AVAILABLE] * 3

    taken_over = await shop.hold(sold.schedule_id, [one, three], second)
    await look(changed=True)
    assert seen[-1][1] == [HELD, AVAILABLE, HELD]
    # The sweeper closes a lapsed hold: nothing that is shown has changed.
    await shop.db.fetch("SELECT * FROM reservations_expire_v2($1, 10)", sold.schedule_id)
    await look(changed=False)

    await shop.db.fetch(
        "SELECT * FROM reservations_release_v2($1, $2, $3, $4)",
        sold.schedule_id,
        [uuid4()],
        [second],
        [taken_over],
    )
    await look(changed=True)
    assert seen[-1][1] == [AVAILABLE] * 3


async def test_states_are_kept_for_their_time_and_read_again_on_demand(shop: Shop) -> None:
    sold = await shop.on_sale(2)
    seat_id = (await shop.seats.layout(sold.schedule_id)).seats[0].seat_id
    before = await shop.seats.states(sold.schedule_id)
    await shop.hold(sold.schedule_id, [seat_id], uuid4())
    assert await shop.seats.states(sold.schedule_id) is before
    shop.clock.advance(shop.settings.seats.seats_cache_ms / 1000)
    after = await shop.seats.states(sold.schedule_id)
    assert list(after.status) == [HELD, AVAILABLE]
    assert after.read_at > before.read_at
    forced = await shop.seats.states(sold.schedule_id, max_age_s=0)
    assert forced is not after
    shop.applier.invalidate(sold.schedule_id)
    shop.seats.show_newest(sold.schedule_id)
    assert await shop.seats.states(sold.schedule_id) is not forced


async def test_the_encoded_map_is_what_was_declared(shop: Shop) -> None:
    sold = await shop.on_sale(4)
    seats = (await shop.seats.layout(sold.schedule_id)).seats
    await shop.hold(sold.schedule_id, [seats[1].seat_id], uuid4())
    await shop.db.fetch(
        """UPDATE seats SET state = CASE WHEN ordinal = 2 THEN 'BLOCKED' ELSE 'SOLD' END,
                  reservation_id = CASE WHEN ordinal = 3 THEN $2::uuid END,
                  user_id = CASE WHEN ordinal = 3 THEN $2::uuid END
            WHERE schedule_id = $1 AND ordinal > 1""",
        sold.schedule_id,
        uuid4(),
    )
    shop.applier.invalidate(sold.schedule_id)
    shop.seats.show_newest(sold.schedule_id)
    body = await (await shop.seats.rendered(sold.schedule_id)).body()
    seat_map = msgspec.json.decode(body, type=SeatMap)
    assert [one.status for one in seat_map.seats] == ["AVAILABLE", "HELD", "BLOCKED", "SOLD"]
    assert list((await shop.seats.states(sold.schedule_id)).status) == [
        AVAILABLE,
        HELD,
        3,
        SOLD,
    ]
    assert seat_map.schedule_id == sold.schedule_id
    assert seat_map.version == (await shop.seats.states(sold.schedule_id)).version
    assert msgspec.to_builtins(seat_map.seats[0]) == {
        "seat_id": seats[0].seat_id,
        "section": "1",
        "row": "1",
        "number": 1,
        "grade": "VIP",
        "price": {"amount": 165_000, "currency": "KRW"},
        "status": "AVAILABLE",
    }


@pytest.mark.parametrize("seats", [1, 3_500])
async def test_a_map_is_encoded_and_compressed_once_per_version(shop: Shop, seats: int) -> None:
    sold = await shop.on_sale(seats)
    first = await shop.seats.rendered(sold.schedule_id)
    bodies = await asyncio.gather(*(first.body() for _ in range(5)))
    packed = await asyncio.gather(*(first.gzip() for _ in range(5)))
    assert all(body is bodies[0] for body in bodies)
    assert all(body is packed[0] for body in packed)
    assert gzip.decompress(packed[0]) == bodies[0]
    assert len(json.loads(bodies[0])["seats"]) == seats
    # Another reading of the same version is the same answer.
    await fresh(shop, sold.schedule_id)
    assert await shop.seats.rendered(sold.schedule_id) is first
    seat_id = (await shop.seats.layout(sold.schedule_id)).seats[0].seat_id
    await shop.hold(sold.schedule_id, [seat_id], uuid4())
    await fresh(shop, sold.schedule_id)
    second = await shop.seats.rendered(sold.schedule_id)
    assert await second.tag() != await first.tag()
    assert await second.body() != bodies[0]


async def test_processes_agree_about_the_tag(make_shop: Callable[[], Shop]) -> None:
    one, two = make_shop(), make_shop()
    sold = await one.on_sale(5)
    tags = [await (await shop.seats.rendered(sold.schedule_id)).tag() for shop in (one, two)]
    assert tags[0] == tags[1]
    again = await one.on_sale(5)
    assert await (await one.seats.rendered(again.schedule_id)).tag() != tags[0]


async def test_a_draft_of_a_published_concert_has_no_map(shop: Shop) -> None:
    made = await shop.on_sale(2)
    bare = await shop.catalog.create_schedule(
        shop.organizer, made.concert_id, schedule(sale_closes_at=None)
    )
    for call in (shop.seats.layout, shop.seats.states, shop.seats.rendered):
        with pytest.raises(ScheduleNotFound):
            await call(bare.schedule_id)


async def test_concurrent_callers_share_one_reading(shop: Shop) -> None:
    sold = await shop.on_sale(5)
    answers = await asyncio.gather(*(shop.seats.states(sold.schedule_id) for _ in range(30)))
    assert all(answer is answers[0] for answer in answers)
