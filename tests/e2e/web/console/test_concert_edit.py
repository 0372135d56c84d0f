"""What the console changes of a concert and a performance, and whose venues it offers."""

import asyncpg
import pytest
from playwright.async_api import expect

from tests.e2e.api.client import Person, Sale
from tests.e2e.api.client import expect as answered
from tests.e2e.api.conftest import Running, make_organizer, on_sale
from tests.e2e.web.console.conftest import Enter

pytestmark = pytest.mark.asyncio(loop_scope="session")
_MEMBER = (
    "INSERT INTO organization_members (organization_id, user_id, role) VALUES ($1, $2, 'owner')"
)


@pytest.fixture(scope="module")
def organizer(shop: Running) -> Person:
    """An organizer of these tests alone: one of them joins another organization."""
    return make_organizer(shop)


@pytest.fixture(scope="module")
def beside(shop: Running) -> Person:
    """The owner of another organization, which has a venue."""
    person = make_organizer(shop)
    _venue(person, "Their Hall")
    return person


@pytest.fixture(scope="module")
def played(organizer: Person) -> Sale:
    """A concert on sale; its organization has a venue."""
    _venue(organizer, "Own Hall")
    return on_sale(organizer, 3)


def _venue(person: Person, name: str) -> None:
    body = {
        "organization_id": person.user_id, "name": name, "country": "KR", "time_zone": "Asia/Seoul",
    }  # fmt: skip
    answered(person.api.keyed("/v1/admin/venues", body), 201)


async def test_genre_and_age_rating_are_chosen(
    enter: Enter, organizer: Person, played: Sale
) -> None:
    visitor = await enter(organizer, f"/organizer/concerts/{played.concert_id}/edit")
    page = visitor.page
    await page.get_by_label("Genre").select_option(label="Jazz")
    await page.get_by_label("Age rating").select_option(label="Ages 12 and over")
    await visitor.button("Save").click()
    await expect(visitor.toast("Saved.")).to_be_visible()
    path = f"/v1/admin/concerts/{played.concert_id}"
    found = answered(organizer.api.get(path), 200).json
    assert (found["genre"], found["age_rating"]) == ("jazz", "12")


async def test_a_member_of_two_organizations_chooses_among_venues_of_the_concerts(
    enter: Enter, shop: Running, organizer: Person, beside: Person, played: Sale
) -> None:
    connection = await asyncpg.connect(shop.database_url)
    await connection.execute(_MEMBER, beside.user_id, organizer.user_id)
    await connection.close()
    visitor = await enter(organizer, f"/organizer/schedules/{played.schedule_id}/edit")
    choice = visitor.page.get_by_label("Venue", exact=True)
    await expect(choice.locator("option", has_text="Own Hall")).to_have_count(1)
    await expect(choice.locator("option", has_text="Their Hall")).to_have_count(0)
    await choice.select_option(label="Own Hall (Asia/Seoul)")
    await visitor.page.get_by_label("Reason for another venue").fill("The roof leaks")
    await visitor.button("Save").click()
    await expect(visitor.toast("Saved.")).to_be_visible()
    changes = f"/v1/admin/schedules/{played.schedule_id}/changes"
    [change] = answered(organizer.api.get(changes), 200).json["items"]
    assert (change["venue_after"], change["reason"]) == ("Own Hall", "The roof leaks")
