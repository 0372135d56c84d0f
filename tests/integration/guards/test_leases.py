"""A lease belongs to one role and one holder, and only the holder releases it."""

from uuid import uuid4

from boxoffice.platform.lease.store import LeaseStore
from boxoffice.platform.postgres.database import Database

_LONG_MS = 60_000


async def test_roles_do_not_stand_in_each_others_way(db: Database) -> None:
    one, other = LeaseStore(db, "one", uuid4()), LeaseStore(db, "other", uuid4())
    assert await one.take(_LONG_MS) == 1
    assert await other.take(_LONG_MS) == 1
    assert await LeaseStore(db, "one", uuid4()).take(_LONG_MS) is None


async def test_a_lease_is_given_back_by_its_holder_under_its_token_for_its_role(
    db: Database,
) -> None:
    holder = uuid4()
    mine, twin = LeaseStore(db, "one", holder), LeaseStore(db, "other", holder)
    rival = LeaseStore(db, "one", uuid4())
    assert (await mine.take(_LONG_MS), await twin.take(_LONG_MS)) == (1, 1)
    await rival.release(1)
    await mine.release(7)
    await twin.release(1)
    assert await rival.take(_LONG_MS) is None, "nobody who may has given it back"
    await mine.release(1)
    assert await rival.take(_LONG_MS) == 2
