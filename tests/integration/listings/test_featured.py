"""The featured concert: a public one, at most one, and the list marks it."""

from uuid import uuid4

import pytest

from boxoffice.errors import ConcertNotFound
from boxoffice.listings.featured import Featured
from boxoffice.listings.service import Listings
from boxoffice.listings.store import ListingStore
from boxoffice.platform.postgres.database import Database
from boxoffice.posters.files import PictureFiles
from boxoffice.posters.service import Posters
from boxoffice.posters.store import PosterStore
from boxoffice.settings import Settings
from tests.support.hall import open_hall

_TITLE = "UPDATE concerts SET title = $2 WHERE concert_id = $1"
_HIDE = (
    "UPDATE concerts SET taken_down_at = now(), taken_down_reason = 'R' WHERE concert_id = $1",
    """UPDATE concerts SET taken_down_at = NULL, taken_down_reason = NULL, status = 'DRAFT',
              published_at = NULL WHERE concert_id = $1""",
)


async def test_one_public_concert_is_featured(db: Database, settings: Settings) -> None:
    halls = {name: (await open_hall(db)).schedule_id for name in ("first", "second", "hidden")}
    for name, concert_id in halls.items():
        await db.fetch(_TITLE, concert_id, name)
    operator, featured = halls["first"], Featured(ListingStore(db))
    posters = Posters(PosterStore(db), PictureFiles(settings.posters, PosterStore(db), None))

    async def marked() -> list[str]:
        facts = await Listings(settings.listings, ListingStore(db), posters).facts(
            list(halls.values())
        )
        return [name for name, concert_id in halls.items() if facts[concert_id].is_featured]

    assert (await featured.chosen()).concert_id is None
    assert await marked() == []
    for name in ("first", "second", "second"):
        chosen = await featured.choose(operator, halls[name])
        assert (chosen.concert_id, chosen.title) == (halls[name], name)
        assert await featured.chosen() == chosen
        assert await marked() == [name]
    hidden = halls["hidden"]
    for hide in _HIDE:
        await db.fetch(hide, hidden)
        with pytest.raises(ConcertNotFound):
            await featured.choose(operator, hidden)
    with pytest.raises(ConcertNotFound):
        await featured.choose(operator, uuid4())
    assert await marked() == ["second"]
    await featured.clear(operator)
    await featured.clear(operator)
    assert await marked() == []
    rows = await db.fetch("SELECT action, organizer_id FROM logbook ORDER BY entry_id")
    names = {concert_id: name for name, concert_id in halls.items()}
    assert [(row["action"], names[row["organizer_id"]]) for row in rows] == [
        ("concert.featured", "first"),
        ("concert.unfeatured", "first"),
        ("concert.featured", "second"),
        ("concert.unfeatured", "second"),
    ]
