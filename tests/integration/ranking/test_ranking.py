"""The ranking counts committed sales, survives the loss of Valkey, and shows what buyers see."""

from collections.abc import AsyncIterator
from datetime import timedelta
from uuid import UUID, uuid4

import pytest

from boxoffice.outbox.service import Relay
from boxoffice.platform.postgres.database import Database
from boxoffice.platform.valkey import Valkey
from boxoffice.ranking.board import RankingBoard
from boxoffice.ranking.refresher import RankingRefresher
from boxoffice.ranking.routes import routes
from boxoffice.ranking.rules import window
from boxoffice.ranking.service import Ranking
from boxoffice.ranking.store import RankingStore
from boxoffice.settings import Settings
from tests.support.connection import Client, dependencies
from tests.support.hall import Hall, open_hall

UNREACHABLE = "redis://127.0.0.1:1/0"


class Shop:
    """Halls on sale, the relay's part of the ranking, and a reader without a cache."""

    def __init__(self, db: Database, valkey: Valkey, settings: Settings, name: str) -> None:
        self.db = db
        self.settings = settings
        self.store = RankingStore(db)
        self.board = RankingBoard(valkey, name)
        self.refresher = RankingRefresher(self.store, self.board, 0.01)
        stream = settings.outbox
        self.relay = Relay(db, valkey, stream, on_sold=self.refresher.note)

    async def sell(self, hall: Hall, *seat_ids: str) -> None:
        """Sell these seats to the first person of a hall."""
        buyer = hall.people[0]
        [paid] = await hall.settle(hall.bill(buyer, await hall.held(buyer, *seat_ids)))
        assert paid.name == "paid"

    async def refresh(self) -> None:
        """Relay all events, and refresh the counts."""
        while await self.relay.relay_once():
            pass
        await self.refresher.refresh()

    async def read(self, board: RankingBoard | None = None, limit: int = 20) -> list[UUID]:
        """Return the concerts of the ranking, which have the ids of their halls."""
        settings = self.settings.replace(ranking_concerts_max=limit).ranking
        now_s = await self.store.now_s()
        ranking = Ranking(settings, self.store, board or self.board, lambda: now_s)
        return [one.concert_id for one in await ranking.read()]

    async def recounted(self) -> list[UUID]:
        """Return the ranking as it is while Valkey is away."""
        valkey = Valkey(self.settings.replace(valkey_url=UNREACHABLE).valkey)
        try:
            return await self.read(RankingBoard(valkey, "away"))
        finally:
            await valkey.close()


@pytest.fixture
async def shop(db: Database, valkey: Valkey, settings: Settings) -> AsyncIterator[Shop]:
    """A shop whose keys in Valkey are its own."""
    name = f"test:{uuid4().hex}"
    made = Shop(db, valkey, settings.replace(relay_stream=name), name)
    yield made
    now_s = await made.store.now_s()
    keys = [made.board._marker, *map(made.board._key, window(now_s))]
    await valkey.command("DEL", name, *keys)


async def halls(db: Database, count: int) -> list[Hall]:
    """Open halls of rich people."""
    return [await open_hall(db, balance_minor=900_000) for _ in range(count)]


async def test_the_order_is_that_of_the_tickets_sold(shop: Shop, db: Database) -> None:
    one, two, three = await halls(db, 3)
    await shop.sell(one, "S001")
    await shop.sell(two, "S001", "S002", "S003")
    assert await shop.recounted() == [two.schedule_id, one.schedule_id]
    await shop.refresh()
    assert await shop.board.is_complete()
    assert await shop.read() == [two.schedule_id, one.schedule_id]
    await shop.sell(three, "S001", "S002")
    await shop.sell(one, "S002", "S003", "S004")
    await shop.refresh()
    best = [one.schedule_id, two.schedule_id, three.schedule_id]
    assert await shop.read() == await shop.recounted() == best
    assert await shop.read(limit=2) == best[:2]


async def test_events_that_come_twice_count_once(shop: Shop, db: Database) -> None:
    one, two = await halls(db, 2)
    await shop.refresh()
    await shop.sell(one, "S001")
    await shop.sell(one, "S002")
    await shop.sell(two, "S001", "S002", "S003")
    for _ in range(3):
        shop.refresher.note([one.schedule_id])
        await shop.refresh()
    assert await shop.read() == [two.schedule_id, one.schedule_id]


async def test_a_lost_valkey_is_rebuilt(shop: Shop, db: Database, valkey: Valkey) -> None:
    one, two = await halls(db, 2)
    await shop.sell(one, "S001")
    await shop.sell(two, "S001", "S002")
    await shop.refresh()
    best = [two.schedule_id, one.schedule_id]
    now_s = await shop.store.now_s()
    for lost in ([shop.board._marker], [*map(shop.board._key, window(now_s)), shop.board._marker]):
        await valkey.command("DEL", *lost)
        assert not await shop.board.is_complete()
        assert await shop.read() == best, "read from PostgreSQL meanwhile"
        await shop.refresh()
        assert await shop.board.is_complete()
        assert await shop.read() == best


async def test_a_rebuild_forgets_what_is_no_sale(shop: Shop, db: Database) -> None:
    """Of another database, or of a time before a return: PostgreSQL alone says what was sold."""
    one, two = await halls(db, 2)
    await shop.sell(one, "S001", "S002")
    await shop.sell(two, "S001")
    await shop.refresh()
    await db.fetch("UPDATE tickets SET status = 'VOID' WHERE schedule_id = $1", one.schedule_id)
    await shop.board._valkey.command("DEL", shop.board._marker)
    await shop.refresh()
    assert await shop.read() == await shop.recounted() == [two.schedule_id]


async def test_a_return_is_no_sale(shop: Shop, db: Database) -> None:
    one, two = await halls(db, 2)
    await shop.sell(one, "S001", "S002")
    await shop.sell(two, "S001")
    await shop.refresh()
    await db.fetch("UPDATE tickets SET status = 'VOID' WHERE schedule_id = $1", one.schedule_id)
    shop.refresher.note([one.schedule_id])
    await shop.refresh()
    assert await shop.read() == [two.schedule_id]


async def test_only_recent_sales_count(shop: Shop, db: Database) -> None:
    one, two = await halls(db, 2)
    await shop.sell(one, "S001", "S002")
    await shop.sell(two, "S001")
    moved = "UPDATE payments SET created_at = created_at - $2::interval WHERE schedule_id = $1"
    await db.fetch(moved, one.schedule_id, timedelta(hours=25))
    assert await shop.recounted() == [two.schedule_id]
    await db.fetch(moved, one.schedule_id, timedelta(hours=-15))
    assert await shop.recounted() == [two.schedule_id, one.schedule_id], "it weighs less"


HIDDEN = [
    "UPDATE concerts SET status = 'DRAFT', published_at = NULL WHERE concert_id = $1",
    "UPDATE concerts SET taken_down_at = now(), taken_down_reason = 'x' WHERE concert_id = $1",
    "UPDATE schedules SET starts_at = now() - interval '1 hour' WHERE concert_id = $1",
    "UPDATE schedules SET status = 'CANCELLED', cancelled_at = now() WHERE concert_id = $1",
]


async def test_only_what_buyers_see_is_ranked(shop: Shop, db: Database) -> None:
    shown, *hidden = await halls(db, 1 + len(HIDDEN))
    for hall in (shown, *hidden):
        await shop.sell(hall, "S001", "S002")
    await shop.refresh()
    assert len(await shop.read()) == 5
    for hall, statement in zip(hidden, HIDDEN, strict=True):
        await db.fetch(statement, hall.schedule_id)
    assert await shop.read() == [shown.schedule_id]
    await shop.board._valkey.command("DEL", shop.board._marker)
    await shop.refresh()
    scores = await shop.board.scores(await shop.store.now_s(), 9)
    assert hidden[2].schedule_id not in scores, "a performance that is over is not counted"
    assert hidden[0].schedule_id in scores


async def test_the_ranking_is_answered_with_titles(shop: Shop, db: Database) -> None:
    (one,) = await halls(db, 1)
    await shop.sell(one, "S001")
    now_s = await shop.store.now_s()
    ranking = Ranking(shop.settings.ranking, shop.store, shop.board, lambda: now_s)
    served = dependencies()
    http = Client(routes(ranking, served, shop.settings.ranking), served)
    answer = await http.get("/v1/concerts/ranking")
    assert answer.headers["cache-control"] == "public, max-age=2"
    titles = {"title": "Title", "title_en": None, "title_ko": None}
    assert answer.json["items"] == [{"rank": 1, "concert_id": str(one.schedule_id), **titles}]
