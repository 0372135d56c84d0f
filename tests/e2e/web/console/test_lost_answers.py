"""What the console does where an answer does not arrive."""

from uuid import uuid4

import pytest
from playwright.async_api import Route, expect

from tests.e2e.api.client import Person
from tests.e2e.api.client import expect as answered
from tests.e2e.api.conftest import draft

from .conftest import Enter
from .test_console import HEADER, agree, choose

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_a_lost_answer_is_looked_up(enter: Enter, organizer: Person) -> None:
    sale = draft(organizer, 0)
    path = f"/organizer/schedules/{sale.schedule_id}/seats"
    visitor = await enter(organizer, path, expected=["ERR_"])

    async def lose(route: Route) -> None:
        await route.fetch()
        await route.abort()

    await visitor.page.route(f"**/schedules/{sale.schedule_id}/seats", lose)
    await choose(visitor, f"{HEADER}\nA,1,1,VIP,9000\n")
    await visitor.button("Add 1 seat").click()
    await expect(visitor.page.get_by_text("The schedule has 1 seat.")).to_be_visible()
    # A publication has no key: the page says that one has to look.
    await visitor.page.route("**/publish", lambda route: route.abort())
    await visitor.open(f"/organizer/concerts/{sale.concert_id}")
    await agree(visitor, "Publish")
    await expect(visitor.page.get_by_text("check before you retry")).to_be_visible()


async def test_a_creation_whose_answer_was_lost_is_repeated_and_makes_one_draft(
    enter: Enter, organizer: Person
) -> None:
    visitor = await enter(organizer, "/organizer/new", expected=["ERR_"])
    title = f"Lost {uuid4().hex[:8]}"
    keys: list[str] = []

    async def lose_the_first(route: Route) -> None:
        keys.append(route.request.headers["idempotency-key"])
        if len(keys) == 1:
            await route.fetch()
            await route.abort()
        else:
            await route.continue_()

    await visitor.page.route("**/v1/admin/concerts", lose_the_first)
    await visitor.page.get_by_label("Title").fill(title)
    for label in ("Artist", "Venue"):
        await visitor.page.get_by_label(label).fill("Found")
    await visitor.button("Create the draft").click()
    await expect(visitor.page.get_by_role("heading", name=title, level=1)).to_be_visible()
    assert len(keys) == 2
    assert len(set(keys)) == 1
    own = answered(organizer.api.get("/v1/admin/concerts?limit=100"), 200).json["items"]
    assert [one["title"] for one in own].count(title) == 1
