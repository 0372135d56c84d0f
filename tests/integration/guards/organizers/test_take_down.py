"""What an operator takes down."""

from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest

from boxoffice.catalog import store as catalog
from boxoffice.catalog.store import CatalogStore
from boxoffice.platform.postgres.database import Database
from boxoffice.seats.store import SeatStore
from tests.integration.guards.organizers.changes import (
    change_row,
    concurrent_transaction,
    make_draft,
    open_sale,
    publish,
    statuses,
)
from tests.support.hall import Hall, open_hall


async def _taken_down(
    hall: Hall, concert_id: UUID, reason: str = "Fraud"
) -> tuple[Any, list[UUID]]:
    async with hall.db.writing() as connection:
        taken = await catalog.take_down(connection, concert_id, reason)
        return taken, await catalog.close_sales(connection, concert_id) if taken else []


async def test_a_concert_that_was_taken_down_is_not_shown(
    db: Database, mine: Hall, other: Hall
) -> None:
    store, here, there = CatalogStore(db), mine.schedule_id, other.schedule_id
    draft = await open_hall(db, seats=1, people=0)
    await make_draft(draft)

    async def shown() -> list[bool]:
        return [
            here in [one.concert_id for one in await store.published_concerts(None, 9)],
            await store.published_concert(here) is not None,
            await store.published_schedule(here) is not None,
            await SeatStore(db).public_schedule(here) == ("KRW", True, 1),
            await SeatStore(db).seat_states(here) is not None,
        ]

    assert await shown() == [True] * 5
    assert await _taken_down(mine, uuid4()) == (None, [])
    assert await _taken_down(mine, here) == ((here, "Title"), [here])
    assert await _taken_down(mine, here, "Again") == (None, [])
    assert await shown() == [False] * 5
    assert await SeatStore(db).public_schedule(here) == ("KRW", False, 1), (
        "for those who have tickets"
    )
    own = await store.own_concert([here], here)
    assert own is not None
    assert (own.taken_down_reason, own.taken_down_at is None) == ("Fraud", False)
    [listed] = await store.own_concerts([here], None, 9)
    assert listed == own == (await store.own_concerts(None, None, 9))[1]
    assert await store.concert_status(here, [here]) == ("PUBLISHED", True)
    assert await statuses(mine) == ("PUBLISHED", "CLOSED")
    assert await statuses(other) == ("PUBLISHED", "OPEN")
    assert not await open_sale(mine, here, here)
    assert (await _taken_down(draft, draft.schedule_id))[1] == [], "a draft is not on sale"
    assert await statuses(draft) == ("DRAFT", "DRAFT")
    assert not await publish(draft, draft.schedule_id, draft.schedule_id)
    untouched = await store.own_concert([there], there)
    assert untouched is not None
    assert untouched.taken_down_at is None

    async with db.writing() as connection:
        assert await catalog.restore(connection, there) is None
        assert await catalog.restore(connection, here) == (here, "Title")
        assert await catalog.restore(connection, here) is None
    assert await shown() == [True] * 5
    assert await statuses(mine) == ("PUBLISHED", "CLOSED")
    assert await store.concert_status(draft.schedule_id, [draft.schedule_id]) == ("DRAFT", True)
    assert await open_sale(mine, here, here)


async def test_a_sale_is_not_opened_beside_a_take_down(
    db: Database, mine: Hall, other: Hall, database_url: str
) -> None:
    """Opening the sale prevents a take-down of this concert until it is done."""
    here = mine.schedule_id
    await change_row(other, "concerts", f"organization_id = '{here}'")
    await change_row(mine, "schedules", "status = 'CLOSED'")
    down = (
        "UPDATE concerts SET taken_down_at = now(), taken_down_reason = 'x' WHERE concert_id = $1"
    )
    async with db.writing() as connection, concurrent_transaction(database_url) as stranger:
        assert await catalog.open_sale(connection, here, [here]) == (here, here)
        await stranger.execute(down, other.schedule_id)
        with pytest.raises(asyncpg.LockNotAvailableError):
            await stranger.execute(down, here)
    assert (await _taken_down(mine, here))[1] == [here]
