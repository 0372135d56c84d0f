"""A repeated creation of a concert or schedule finds the first one."""

import asyncio
from collections.abc import Callable

import pytest
from msgspec import structs

from boxoffice.errors import IdempotencyKeyReused
from tests.support.connection import Client, Result

from .support import CONCERT, Shop, schedule


async def _count(shop: Shop, table: str) -> int:
    rows = await shop.db.fetch(f"SELECT count(*) AS n FROM {table}")  # noqa: S608 - ours
    count: int = rows[0]["n"]
    return count


async def test_a_repeated_concert_is_the_first_one(shop: Shop) -> None:
    first = await shop.catalog.create_concert(shop.organizer, CONCERT, key="one")
    assert await shop.catalog.create_concert(shop.organizer, CONCERT, key="one") == first
    other = await shop.catalog.create_concert(shop.organizer, CONCERT, key="two")
    unnamed = [await shop.catalog.create_concert(shop.organizer, CONCERT) for _ in range(2)]
    foreign = await shop.catalog.create_concert(shop.other, CONCERT, key="one")
    made = [first, other, *unnamed, foreign]
    assert len({one.concert_id for one in made}) == await _count(shop, "concerts") == 5
    another = structs.replace(CONCERT, title="Another")
    with pytest.raises(IdempotencyKeyReused):
        await shop.catalog.create_concert(shop.organizer, another, key="one")
    assert await _count(shop, "concerts") == 5


async def test_requests_of_two_pods_with_one_key_make_one(
    make_shop: Callable[[], Shop],
) -> None:
    pods = [make_shop(), make_shop()]
    me = pods[0].organizer
    made = await asyncio.gather(
        *(pods[at % 2].catalog.create_concert(me, CONCERT, key="one") for at in range(8))
    )
    assert len({one.concert_id for one in made}) == await _count(pods[0], "concerts") == 1
    concert_id, wanted = made[0].concert_id, schedule()
    added = await asyncio.gather(
        *(
            pods[at % 2].catalog.create_schedule(me, concert_id, wanted, key="one")
            for at in range(8)
        )
    )
    assert added == added[:1] * 8
    assert await _count(pods[0], "schedules") == 1


async def test_a_repeated_schedule_is_the_first_one_also_at_the_limit(shop: Shop) -> None:
    concert = await shop.catalog.create_concert(shop.organizer, CONCERT, key="one")
    wanted = schedule()
    # The key of a concert is another one.
    first = await shop.catalog.create_schedule(
        shop.organizer, concert.concert_id, wanted, key="one"
    )
    await shop.db.fetch("UPDATE schedules SET ticket_limit = 3")
    again = await shop.catalog.create_schedule(
        shop.organizer, concert.concert_id, wanted, key="one"
    )
    assert (again.schedule_id, again.ticket_limit) == (first.schedule_id, 3)
    beside = await shop.catalog.create_concert(shop.organizer, CONCERT)
    for concert_id, other in (
        (beside.concert_id, wanted),
        (concert.concert_id, schedule(ticket_limit=7)),
    ):
        with pytest.raises(IdempotencyKeyReused):
            await shop.catalog.create_schedule(shop.organizer, concert_id, other, key="one")
    assert await _count(shop, "schedules") == 1


async def test_a_late_repetition_does_not_bring_back_what_was_deleted(shop: Shop) -> None:
    concert = await shop.catalog.create_concert(shop.organizer, CONCERT, key="one")
    wanted = schedule()
    await shop.catalog.create_schedule(shop.organizer, concert.concert_id, wanted, key="two")
    await shop.db.fetch("DELETE FROM schedules")
    with pytest.raises(IdempotencyKeyReused):
        await shop.catalog.create_schedule(shop.organizer, concert.concert_id, wanted, key="two")
    await shop.db.fetch("DELETE FROM concerts WHERE concert_id = $1", concert.concert_id)
    with pytest.raises(IdempotencyKeyReused):
        await shop.catalog.create_concert(shop.organizer, CONCERT, key="one")
    assert await _count(shop, "concerts") == await _count(shop, "schedules") == 0


async def test_the_key_is_a_header_that_may_be_absent(shop: Shop, http: Client) -> None:
    body = {"title": "A", "artist": "B", "venue": "C"}

    async def send(**headers: str) -> Result:
        headers["Authorization"] = "Bearer organizer"
        return await http.post("/v1/admin/concerts", json=body, headers=headers)

    keyed = {"Idempotency-Key": "one"}
    answers = [await send(**keyed), await send(**keyed), await send()]
    assert [one.status_code for one in answers] == [201] * 3
    first, again, other = (one.json["concert_id"] for one in answers)
    assert first == again != other
    refused = await send(**{"Idempotency-Key": "no key"})
    assert (refused.status_code, refused.json["code"]) == (400, "idempotency_key_invalid")
