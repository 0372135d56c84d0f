"""One process looks a concert up for all, and none shows what it could not have read itself."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from functools import partial
from typing import Any
from uuid import UUID, uuid4

import msgspec
import pytest

from boxoffice.catalog.lookups import CatalogLookups
from boxoffice.catalog.shared import lookups as shared_lookups
from boxoffice.catalog.shared.lookups import SharedLookups
from boxoffice.catalog.store import CatalogStore
from boxoffice.catalog.views import ScheduleOnOffer
from boxoffice.errors import ConcertNotFound
from boxoffice.platform.concurrency.background import Background
from boxoffice.platform.valkey import Valkey
from boxoffice.platform.valkey.reading_turns import PublishedReading, ReadingTurn
from boxoffice.settings import Settings
from tests.support.waiting import until

from .support import Shop

_KEY = "a look-up"
_MINUTE_MS = 60_000


class CountingCatalogStore(CatalogStore):
    """The store, and how often it was asked for the schedules of a concert."""

    schedules_read = 0

    async def schedules(
        self, concert_id: UUID, schedule_id: UUID | None = None, *, for_buyers: bool = False
    ) -> list[ScheduleOnOffer]:
        self.schedules_read += 1
        return await super().schedules(concert_id, schedule_id, for_buyers=for_buyers)


class Reader:
    """The look-ups of one process."""

    def __init__(self, shop: Shop, valkey: Valkey) -> None:
        self.background = Background()
        self.store = CountingCatalogStore(shop.db)
        self.shared = SharedLookups(valkey, lambda: True, self.background.start, uuid4().hex)
        self.lookups = CatalogLookups(shop.settings, self.store, shared=self.shared)
        lasting = shop.settings.replace(catalog_cache_ms=60_000)
        self.lasting = CatalogLookups(lasting, self.store, shared=self.shared)

    async def publish(self, turn: object, body: bytes) -> None:
        assert isinstance(turn, ReadingTurn)
        self.shared.publish(_KEY, turn, body)
        await self.background.finish()

    def after(self, max_age_s: float) -> float:
        return asyncio.get_running_loop().time() - max_age_s

    async def share(self, key: str, found: object) -> None:
        """Publish a look-up in this process's turn."""
        turn = await self.shared.next(key, self.after(0.0), 0.1)
        assert isinstance(turn, ReadingTurn)
        assert turn.token
        self.shared.publish(key, turn, msgspec.json.encode(found))
        await self.background.finish()

    async def next(
        self, max_age_s: float = 5.0, wait_s: float = 0.05
    ) -> PublishedReading | ReadingTurn:
        return await self.shared.next(_KEY, self.after(max_age_s), wait_s)


@pytest.fixture
async def readers(
    shop: Shop, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[list[Reader]]:
    """Eight processes of one release, with a deadline that a busy machine does not miss."""
    monkeypatch.setattr(shared_lookups, "_FIRST_WAIT_S", 10.0)
    patient = settings.replace(valkey_timeout_ms=10_000)
    clients = [Valkey(patient.valkey) for _ in range(8)]
    readers = [Reader(shop, client) for client in clients]
    for one in readers:
        one.shared._release = readers[0].shared._release
    yield readers
    for one, client in zip(readers, clients, strict=True):
        await one.background.finish()
        await client.close()


def _turn_of(one: Reader) -> str:
    return one.shared._keys(_KEY)[1]


async def test_eight_processes_look_up_as_often_as_one(readers: list[Reader], shop: Shop) -> None:
    concert_id = (await shop.on_sale(3)).concert_id
    shown: list[set[int]] = [set() for _ in readers]

    async def look(one: Reader, seen: set[int]) -> bool:
        seen.add(id(found := await one.lookups.schedules(concert_id)))
        kept.append(found)
        return len(seen) >= 4

    kept: list[Any] = []
    everyone = zip(readers, shown, strict=True)
    await asyncio.gather(*(until(partial(look, one, seen), 30.0) for one, seen in everyone))
    loads = sum(map(len, shown))
    # The first look-ups of all coincide, and each process makes its own.
    assert (
        sum(one.store.schedules_read for one in readers) - len(readers)
        <= (loads - len(readers)) / 2
    )


async def test_what_another_process_has_read_is_shown_in_the_same_bytes(
    readers: list[Reader], shop: Shop
) -> None:
    sold = await shop.on_sale(3)
    one, other = (reader.lasting for reader in readers[:2])
    for name, key in {
        "concert": sold.concert_id,
        "schedules": sold.concert_id,
        "schedule": sold.schedule_id,
    }.items():
        mine = await getattr(one, name)(key)
        await readers[0].share(f"{name}:{key}", mine.found)
        read = readers[1].store.schedules_read
        theirs = await getattr(other, name)(key)
        assert readers[1].store.schedules_read == read
        assert theirs.age_s != 0.0, "another's"
        assert theirs.found == mine.found
        assert msgspec.json.encode(theirs.found) == msgspec.json.encode(mine.found)


async def test_a_change_here_is_shown_here_at_once(readers: list[Reader], shop: Shop) -> None:
    sold = await shop.on_sale(3)
    one = readers[0]
    before = await one.lasting.schedule(sold.schedule_id)
    await one.share(f"schedule:{sold.schedule_id}", before.found)
    one.lasting.invalidate(sold.concert_id)
    assert (await one.lasting.schedule(sold.schedule_id)).age_s == 0.0, "read after the change"


async def test_after_a_change_here_no_older_parts_of_others_are_shown(
    readers: list[Reader], shop: Shop
) -> None:
    """Another process looks the concert up after the change, with prices that it knew before."""
    sold, (one, other) = await shop.on_sale(3), readers[:2]
    concert, page = sold.concert_id, (20, None)
    found = (await one.lasting.concert(concert)).found
    one.lasting.invalidate(concert)
    await other.share(f"concert:{concert}", found)
    await other.share(f"page:{page}", [])
    assert (await one.lasting.concert(concert)).age_s == 0.0
    assert (await one.lasting.concerts(*page)).age_s == 0.0
    assert (await readers[2].lasting.concert(concert)).age_s > 0.0, "nothing changed there"


async def test_a_page_after_a_place_that_may_be_made_up_is_not_shared(
    readers: list[Reader],
) -> None:
    one, other = readers[:2]
    page = (20, (datetime.now(UTC), uuid4()))
    await other.share(f"page:{page}", [])
    assert (await one.lasting.concerts(*page)).age_s == 0.0


async def test_a_request_waits_for_no_other_process(readers: list[Reader], shop: Shop) -> None:
    """Another one has the turn, and what is in memory is too old."""
    sold, (one, other) = await shop.on_sale(3), readers[:2]
    ttl_s = shop.settings.catalog.catalog_cache_ms / 1000
    await one.lookups.schedules(sold.concert_id)
    await asyncio.sleep(ttl_s)
    key = f"schedules:{sold.concert_id}"
    asked: list[str] = []
    await other.shared.next(key, other.after(0.0), 0.1)
    one.shared.next = lambda *args: asked.append("waits")  # type: ignore[method-assign,assignment]  # seen if called
    await one.lookups.schedules(sold.concert_id)
    assert asked == []


async def test_a_damaged_lookup_is_read_again(readers: list[Reader], shop: Shop) -> None:
    sold, one = await shop.on_sale(3), readers[0]
    key = f"concert:{sold.concert_id}"
    turn = await one.shared.next(key, one.after(0.0), 0.1)
    assert isinstance(turn, ReadingTurn)
    one.shared.publish(key, turn, b'{"concert_id": 7}')
    await one.background.finish()
    assert (await one.lookups.concert(sold.concert_id)).found.concert_id == sold.concert_id


async def test_a_made_up_concert_costs_no_key(readers: list[Reader], valkey: Valkey) -> None:
    made_up = uuid4()
    with pytest.raises(ConcertNotFound):
        await readers[0].lookups.concert(made_up)
    assert await valkey.command("EXISTS", readers[0].shared._keys(f"concert:{made_up}")[1]) == 0


async def test_one_turn_at_a_time_and_none_for_a_paused_reader(readers: list[Reader]) -> None:
    paused, other = readers[:2]
    turn = await paused.next()
    assert isinstance(turn, ReadingTurn)
    assert turn.token
    assert await other.next() == ReadingTurn(), "it waits for the other, and then reads for itself"
    later = await other.next(wait_s=5.0)
    assert isinstance(later, ReadingTurn)
    assert later.token, "a turn ends"
    await paused.publish(turn, b"old")
    assert await paused.next() == ReadingTurn()
    await other.publish(later, b"new")
    await other.publish(later, b"twice")
    found = await paused.next()
    assert isinstance(found, PublishedReading)
    assert found.parts == [b"new"]


@pytest.mark.parametrize("is_set_back", [False, True])
async def test_the_age_counts_from_the_begin_of_the_turn(
    readers: list[Reader], valkey: Valkey, is_set_back: bool
) -> None:
    one, other = readers[:2]
    turn = await one.next()
    if not is_set_back:
        await valkey.command("PEXPIRE", _turn_of(one), _MINUTE_MS - 2_000)
    await one.publish(turn, b"old")
    if is_set_back:
        await valkey.command("PEXPIRE", one.shared._keys(_KEY)[0], 2 * _MINUTE_MS)
        assert isinstance(await other.shared.first(_KEY, other.after(30.0)), ReadingTurn)
    again = await other.next(max_age_s=1.5)
    assert isinstance(again, ReadingTurn)
    assert again.token, "a turn is taken at once"
    await valkey.command("PEXPIRE", _turn_of(one), 2 * _MINUTE_MS)
    taken = await one.next(max_age_s=0.0)
    assert isinstance(taken, ReadingTurn)
    assert taken.token, "a turn from the future ends"
