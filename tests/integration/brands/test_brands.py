"""Brands: who changes them, what is refused, and what buyers see."""

import asyncio
from uuid import uuid4

import msgspec
import pytest

from boxoffice.brands.service import Brands
from boxoffice.brands.store import BrandStore
from boxoffice.brands.views import BrandEdit
from boxoffice.errors import ConcertNotFound, Forbidden, NotFound, OrganizationNotFound
from boxoffice.platform.conditional import PreconditionFailed
from boxoffice.platform.postgres.database import Database
from boxoffice.posters.files import PictureFiles
from boxoffice.posters.service import Posters
from boxoffice.posters.store import PosterStore
from boxoffice.settings import Settings
from tests.support.hall import Hall, open_hall
from tests.support.members import member
from tests.unit.posters.pictures import picture

LOGO = picture(400, 200, "PNG")


@pytest.fixture
async def mine(db: Database) -> Hall:
    """A hall; its concert, organizer and organization have its id."""
    return await open_hall(db)


@pytest.fixture
async def other(db: Database) -> Hall:
    """A hall of another organization."""
    return await open_hall(db)


@pytest.fixture
def pictures(db: Database, settings: Settings) -> PictureFiles:
    """The files of posters and logos."""
    return PictureFiles(settings.posters, PosterStore(db), None)


@pytest.fixture
def brands(db: Database, settings: Settings, pictures: PictureFiles) -> Brands:
    """The use cases."""
    return Brands(BrandStore(db), pictures, settings.catalog)


async def test_an_organization_without_a_brand_has_its_name(brands: Brands, mine: Hall) -> None:
    shown = await brands.shown(mine.schedule_id)
    assert (shown.name, shown.logo, shown.accent, shown.has_terms) == (
        "Organizer",
        None,
        None,
        False,
    )
    own = await brands.own([mine.schedule_id], mine.schedule_id)
    assert own.version == 0
    with pytest.raises(OrganizationNotFound):
        await brands.shown(uuid4())
    assert await brands.of_concert(uuid4()) is None


async def test_a_change_is_shown_with_its_own_concerts_only(
    brands: Brands, db: Database, mine: Hall, other: Hall
) -> None:
    own, theirs = mine.schedule_id, other.schedule_id
    there = BrandEdit(name_ko="다른 곳", accent="#123456")
    await brands.edit(member(theirs), theirs, there, 0)
    first = await brands.edit(member(own), own, BrandEdit(accent="#ffe100", terms="# *One*"), 0)
    assert first.version == 1
    after = await brands.edit(member(own), own, BrandEdit(name_en="Spring", accent=None), 1)
    assert (after.version, after.name_en, after.accent) == (2, "Spring", None)
    same = await brands.edit(member(own), own, BrandEdit(name_en="Spring"), 2)
    assert same.version == 2
    shown, beside = await brands.of_concert(own), await brands.of_concert(theirs)
    assert shown is not None
    assert beside is not None
    assert (shown.organization_id, shown.name_en, shown.name_ko) == (own, "Spring", None)
    assert shown.has_terms
    assert beside.accent is not None
    assert (beside.name_ko, beside.accent.colour) == ("다른 곳", "#123456")
    full = await brands.shown(own)
    [heading] = full.rich["terms"]
    assert (heading.tag, full.terms_en) == ("h3", None)
    rows = await db.fetch(
        "SELECT action, details FROM logbook WHERE organizer_id = $1 ORDER BY entry_id", own
    )
    assert [row["action"] for row in rows] == ["brand.changed", "brand.changed"]
    assert '"accent": ["#ffe100", null]' in rows[1]["details"]


async def test_a_brand_is_its_owners(brands: Brands, db: Database, mine: Hall, other: Hall) -> None:
    own, stranger = mine.schedule_id, member(other.schedule_id)
    for refused in (
        brands.own([other.schedule_id], own),
        brands.edit(stranger, own, BrandEdit(terms="x"), 0),
        brands.put_logo(stranger, own, LOGO, 0),
        brands.delete_logo(stranger, own, 0),
    ):
        with pytest.raises(OrganizationNotFound):
            await refused
    # The request was allowed when it came, and the owner is none any more.
    await db.fetch("UPDATE organization_members SET role = 'manager' WHERE user_id = $1", own)
    with pytest.raises(Forbidden):
        await brands.edit(member(own), own, BrandEdit(terms="x"), 0)


async def test_of_two_editors_one_reads_again(brands: Brands, mine: Hall) -> None:
    own = mine.schedule_id
    edits = (brands.edit(member(own), own, BrandEdit(terms=f"{at}"), 0) for at in range(2))
    results = await asyncio.gather(*edits, return_exceptions=True)
    assert sorted(type(one).__name__ for one in results) == ["OwnBrand", "PreconditionFailed"]
    for refused in (
        brands.put_logo(member(own), own, LOGO, 0),
        brands.delete_logo(member(own), own, 0),
    ):
        with pytest.raises(PreconditionFailed):
            await refused


async def test_sites_may_show_the_widget_of_their_concerts_only(
    brands: Brands, mine: Hall, other: Hall
) -> None:
    own, sites = mine.schedule_id, ["https://venue.example", "http://localhost:8080"]
    after = await brands.edit(member(own), own, BrandEdit(widget_origins=sites), 0)
    assert after.widget_origins == sites
    assert await brands.widget_origins(str(own)) == sites
    assert await brands.widget_origins(str(other.schedule_id)) == []
    for unknown in (str(uuid4()), "x"):
        with pytest.raises(ConcertNotFound):
            await brands.widget_origins(unknown)


@pytest.mark.parametrize(
    "site",
    [
        "https://venue.example; script-src *", "https://a.example https://b.example", "*",
        "https://*.example", "http://venue.example", "https://venue.example/path", "'self'",
        "https://venue.example\n", "https://Venue.example", "data:",
    ],
)  # fmt: skip
def test_what_is_no_site_is_refused(site: str) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"widget_origins": [site]}, BrandEdit)


async def test_a_logo_is_served_as_long_as_a_brand_names_it(
    brands: Brands, pictures: PictureFiles, db: Database, settings: Settings, mine: Hall
) -> None:
    own = mine.schedule_id
    first = await brands.put_logo(member(own), own, LOGO, 0)
    assert first.logo is not None
    assert (first.logo.width, first.logo.height, first.version) == (400, 200, 1)
    image_hash, name = first.logo.png_url.split("/")[-2:]
    assert (await pictures.file(image_hash, name)).startswith(b"\x89PNG")
    # A poster is uploaded a day later, which forgets files that nothing names.
    age = "UPDATE poster_files SET stored_at = stored_at - interval '25 hours'"
    await db.fetch(age)
    await Posters(PosterStore(db), pictures).put(member(own), own, picture())
    fresh = PictureFiles(settings.posters, PosterStore(db), None)
    assert await fresh.file(image_hash, name)
    await brands.delete_logo(member(own), own, 1)
    assert (await brands.shown(own)).logo is None
    await db.fetch(age)
    await Posters(PosterStore(db), pictures).put(member(own), own, picture(400, 500))
    with pytest.raises(NotFound):
        await PictureFiles(settings.posters, PosterStore(db), None).file(image_hash, name)
    rows = await db.fetch("SELECT action FROM logbook WHERE action LIKE 'brand%' ORDER BY entry_id")
    assert [row["action"] for row in rows] == ["brand.logo_uploaded", "brand.logo_removed"]
