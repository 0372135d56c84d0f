"""The oldest browsers that the pages work in, and whose fault an error is."""

import re

import pytest
from playwright.async_api import Route, expect

from tests.e2e.api.client import Person
from tests.e2e.api.conftest import on_sale

from .conftest import Visit
from .visitor import Visitor

pytestmark = pytest.mark.asyncio(loop_scope="session")

# What the floor does not have and a page once used, or might.
_OLDER = """
    delete AbortSignal.any;
    for (const [kind, names] of [
        [Array.prototype, ["toSorted", "toReversed", "toSpliced", "with"]],
        [Set.prototype, ["union", "intersection", "difference", "isSubsetOf"]],
        [Object, ["groupBy"]], [Map, ["groupBy"]], [Promise, ["withResolvers", "try"]],
        [Array, ["fromAsync"]], [URL, ["canParse", "parse"]],
        [String.prototype, ["isWellFormed", "toWellFormed"]],
    ]) for (const name of names) delete kind[name];
    delete window.scheduler;
    delete Document.prototype.startViewTransition;
    const supports = CSS.supports;
    const has = /:has\\(/;
    for (const name of ["matches", "closest", "querySelector", "querySelectorAll"]) {
        const whole = Element.prototype[name];
        Element.prototype[name] = function (text) {
            if (has.test(text)) throw new SyntaxError(text);
            return whole.call(this, text);
        };
    }
"""


async def test_a_browser_at_the_floor_gets_from_the_list_to_a_ticket(
    visit: Visit, seller: Person, buyer: Person
) -> None:
    sale = on_sale(seller, 20)
    visitor = await visit(person=buyer)
    await visitor.page.add_init_script(_OLDER)
    await visitor.open()
    assert await visitor.page.evaluate("AbortSignal.any === undefined")
    await visitor.open_seats(sale, "A-1-1")
    await visitor.button("Hold 1 seat").click()
    await visitor.page.wait_for_url(re.compile("/reservations/"))
    await visitor.page.get_by_role("button", name=re.compile("^Pay ")).click()
    await expect(visitor.page.locator("svg.qr")).to_have_count(1)
    await visitor.open("/me")
    await expect(visitor.page.locator(".rows").first).to_contain_text("paid")


async def test_a_call_ends_with_its_page_and_with_its_time(visit: Visit, seller: Person) -> None:
    """What `AbortSignal.any` did: either end of a request ends it."""
    visitor = await visit(expected=["ERR_"])
    await visitor.open()
    entry = await visitor.page.locator("script[data-entry]").get_attribute("data-entry")
    assert entry is not None

    async def never(_route: Route) -> None:
        return None

    await visitor.page.route("**/v1/clock", never)
    told = await visitor.page.evaluate(
        """async (path) => {
            const { get } = await import(path);
            const ask = (more) => get("/v1/clock", { tries: 1, ...more }).catch((error) => error);
            const late = await ask({ timeoutMs: 100 });
            const leaving = new AbortController();
            setTimeout(() => leaving.abort(new DOMException("left", "AbortError")), 50);
            const left = await ask({ signal: leaving.signal });
            const before = await ask({ signal: leaving.signal });
            return [late.code, left.name, before.name];
        }""",
        entry.replace("main.js", "lib/api.js"),
    )
    assert told == ["no_answer", "AbortError", "AbortError"]


OURS = "Something went wrong on our side"
NETWORKS = "Check your connection"


def reports(visitor: Visitor) -> list[str]:
    """What the page wrote into the console as an error."""
    found: list[str] = []
    visitor.page.on(
        "console", lambda line: found.append(line.text) if line.type == "error" else None
    )
    return found


async def test_an_answer_that_we_cannot_read_is_our_fault_and_reported(visit: Visit) -> None:
    visitor = await visit(expected=["TypeError"])
    reported = reports(visitor)

    async def answer(route: Route) -> None:
        await route.fulfill(json={"items": [None], "next_cursor": None})

    await visitor.page.route(re.compile(r"/v1/concerts\?"), answer)
    await visitor.page.goto("/")
    await expect(visitor.page.get_by_text(OURS)).to_be_visible()
    await expect(visitor.page.get_by_text(NETWORKS)).to_be_hidden()
    assert any("TypeError" in line for line in reported)


async def test_a_network_that_fails_is_not_called_our_fault(visit: Visit) -> None:
    visitor = await visit(expected=["ERR_"])
    await visitor.page.route(re.compile(r"/v1/concerts\?"), lambda route: route.abort())
    await visitor.page.goto("/")
    await expect(visitor.page.get_by_text(NETWORKS)).to_be_visible()
    await expect(visitor.page.get_by_text(OURS)).to_be_hidden()


async def test_a_request_that_cannot_be_made_is_our_fault(visit: Visit) -> None:
    """`fetch` rejects with the same `TypeError` for a bad header and for a network that is gone."""
    visitor = await visit()
    await visitor.open()
    entry = await visitor.page.locator("script[data-entry]").get_attribute("data-entry")
    assert entry is not None
    told = await visitor.page.evaluate(
        """async (path) => {
            const { get, Problem } = await import(path);
            const bad = { headers: { "not a name": "" } };
            const error = await get("/v1/clock", bad).catch((one) => one);
            return [error instanceof Problem, error.name];
        }""",
        entry.replace("main.js", "lib/api.js"),
    )
    assert told == [False, "TypeError"]


@pytest.mark.parametrize(
    ("added", "is_old", "said", "korean"),
    [
        ("\nnull.broken;", False, OURS, "서비스에 문제가 생겼습니다"),
        ("\n@;", False, OURS, "서비스에 문제가 생겼습니다"),
        ("\n@;", True, "This browser is too old", "너무 오래된 브라우저입니다"),
    ],
    ids=["fault", "syntax", "old-browser"],
)
async def test_scripts_that_fail_are_not_the_shops_silence(
    visit: Visit, added: str, is_old: bool, said: str, korean: str
) -> None:
    visitor = await visit(expected=["TypeError", "SyntaxError"])
    if is_old:
        await visitor.page.add_init_script("CSS.supports = () => false")

    async def add(route: Route) -> None:
        answer = await route.fetch()
        await route.fulfill(response=answer, body=await answer.text() + added)

    await visitor.page.route("**/js/main.js", add)
    await visitor.page.goto("/")
    await expect(visitor.page.get_by_text(said)).to_be_visible()
    await expect(visitor.page.get_by_text(korean)).to_be_visible()
    await expect(visitor.page.get_by_text("The server does not answer")).to_be_hidden()


async def test_an_uncaught_error_is_shown(visit: Visit) -> None:
    visitor = await visit(expected=["TypeError"])
    await visitor.open()
    await visitor.page.evaluate("setTimeout(() => Promise.reject(new TypeError('ours')))")
    await expect(visitor.toast(OURS)).to_be_visible()
    visitor.errors.clear()


async def test_a_console_whose_stats_cannot_be_read_says_whose_fault_it_is(
    visit: Visit, seller: Person
) -> None:
    sale = on_sale(seller, 10)
    visitor = await visit(person=seller, expected=["TypeError", "ERR_"])
    stats = re.compile(r"/stats\?")

    async def answer(route: Route) -> None:
        await route.fulfill(json={"at": "2026-01-01T00:00:00Z"})

    await visitor.page.route(stats, answer)
    await visitor.open(f"/organizer/schedules/{sale.schedule_id}")
    await expect(visitor.page.get_by_text(OURS)).to_be_visible()
    await expect(visitor.page.get_by_text("No update since")).to_be_hidden()
    await visitor.page.unroute(stats)
    await expect(visitor.page.locator(".tiles")).to_be_visible()
    await visitor.page.route(stats, lambda route: route.abort())
    await expect(visitor.page.get_by_text("No update since")).to_be_visible()


async def test_a_console_that_cannot_be_loaded_is_the_networks_fault(
    visit: Visit, seller: Person
) -> None:
    visitor = await visit(person=seller, expected=["ERR_", "dynamically imported"])
    await visitor.page.route("**/js/console/main.js", lambda route: route.abort())
    await visitor.page.goto("/organizer")
    await expect(visitor.page.get_by_text(NETWORKS)).to_be_visible()
    await expect(visitor.page.get_by_text(OURS)).to_be_hidden()
