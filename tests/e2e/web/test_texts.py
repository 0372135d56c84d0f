"""Both languages say the same, and every text that a page asks for exists."""

import re
import unicodedata
from pathlib import Path

import pytest
from playwright.async_api import expect

from boxoffice.platform.currencies import DECIMALS
from boxoffice.web import assets
from tests.e2e.api.client import Person
from tests.e2e.api.conftest import on_sale

from .conftest import Visit

pytestmark = pytest.mark.asyncio(loop_scope="session")

JS = Path(assets.__file__).parent / "static" / "js"
_SLOT = re.compile(r"\{\w+\}")
_TEXTS = """async (entry) => (await import(entry)).allTexts()"""


async def test_every_text_is_there_in_both_languages(visit: Visit) -> None:
    visitor = await visit()
    await visitor.open("/organizer")
    own = await visitor.page.locator("script[data-entry]").get_attribute("data-entry")
    assert own is not None
    texts = await visitor.page.evaluate(_TEXTS, own.replace("main.js", "lib/i18n.js"))
    assert texts["ko"].keys() == texts["en"].keys()
    assert len(texts["ko"]) > 50
    for key, text in texts["en"].items():
        korean = texts["ko"][key]
        assert _slots(text) == _slots(korean), key
    used = set(re.findall(r"""\bt\("([\w.]+)\"""", _code()))
    assert used <= texts["en"].keys()


def _slots(text: str | list[str]) -> set[str]:
    return set(_SLOT.findall(text if isinstance(text, str) else text[1]))


def _code() -> str:
    return "".join(path.read_text(encoding="utf-8") for path in JS.rglob("*.js"))


@pytest.mark.parametrize(
    ("locale", "title"), [("ko-KR", "공연"), ("en-GB", "Concerts"), ("fr", "Concerts")]
)
async def test_the_browsers_language_is_taken(visit: Visit, locale: str, title: str) -> None:
    visitor = await visit(locale=locale)
    await visitor.open()
    await expect(visitor.heading(title)).to_be_visible()


async def test_the_language_can_be_switched_and_stays(visit: Visit) -> None:
    visitor = await visit(locale="en-US")
    await visitor.open()
    await visitor.button("한국어").click()
    await expect(visitor.heading("공연")).to_be_visible()
    await expect(visitor.page.locator("html")).to_have_attribute("lang", "ko")
    await visitor.page.reload()
    await expect(visitor.heading("공연")).to_be_visible()


_AMOUNTS = """async ([entry, codes]) => {
  const { decimals, money } = await import(entry);
  return Object.fromEntries(codes.map((code) => [code, [decimals(code), money(123456, code)]]));
}"""


async def test_amounts_have_the_decimals_of_the_server(visit: Visit) -> None:
    """What browsers take for the decimals of HUF, IDR or IQD would be wrong by a hundred or more."""
    visitor = await visit(locale="en-US")
    await visitor.open()
    own = await visitor.page.locator("script[data-entry]").get_attribute("data-entry")
    assert own is not None
    module = own.replace("main.js", "lib/i18n.js")
    shown = await visitor.page.evaluate(_AMOUNTS, [module, sorted(DECIMALS)])
    assert {code: found[0] for code, found in shown.items()} == DECIMALS
    for code, (decimals, text) in shown.items():
        digits = re.sub(r"[^\d.]", "", text.replace(",", "")).strip(".")
        assert digits == f"{123456 / 10**decimals:.{decimals}f}", (code, text)


async def test_a_search_finds_what_looks_like_it(visit: Visit, seller: Person) -> None:
    """A title is typed in another form and width than it is kept in."""
    sale = on_sale(seller, 2, title="각시 Ｂeta 가곡의 밤")
    assert sale.concert_id
    visitor = await visit(locale="en-US")
    await visitor.open()
    for typed in (unicodedata.normalize("NFD", "가곡의"), "ｂＥＴＡ", "각시"):
        await visitor.page.get_by_role("searchbox").fill(typed)
        await expect(visitor.page.locator(".concert h2")).to_have_text(["각시 Ｂeta 가곡의 밤"])
    await visitor.page.get_by_role("searchbox").fill("각하")
    await expect(visitor.page.locator(".concert")).to_have_count(0)
