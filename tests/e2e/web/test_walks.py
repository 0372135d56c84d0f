"""Two ways from end to end: an organizer to the settlement, a buyer from a shared link to a ticket."""

import asyncio
import functools
import os
import re
import secrets
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path

import pytest
from playwright.async_api import FilePayload, Page, expect

from boxoffice.notifications.mail.transports import kept_mails
from boxoffice.settings import Settings
from tests.conftest import Servers
from tests.e2e.api.client import PASSWORD, Sale, sign_up
from tests.e2e.api.client import expect as answered
from tests.e2e.api.conftest import (
    Running,
    check_books,
    make_organizer,
    on_sale,
    running,
)
from tests.integration.notifications.messengers import messenger, until
from tests.support.database import copied_database
from tests.support.shop import Role
from tests.support.simulators import Simulators
from tests.unit.posters.pictures import picture

from .conftest import Visit
from .console.test_reports import saved
from .test_account import link_in
from .test_checkout import act, choose, press_pay, see_tickets
from .visitor import Visitor

pytestmark = pytest.mark.asyncio(loop_scope="session")

PRICE = 110_000
DAY = f"{datetime.now(UTC) + timedelta(days=30):%Y-%m-%d}"
SEATS = "section,row,number,grade,price\n" + "".join(
    f"A,1,{number},VIP,{PRICE}\n" for number in range(1, 7)
)
HOME = {"viewport": {"width": 1280, "height": 900}, "timezone_id": "Asia/Seoul"}
PHONE = {
    "viewport": {"width": 360, "height": 740},
    "locale": "ko-KR",
    "timezone_id": "America/New_York",
}
# Seven in the evening in Seoul, and the same moment in New York, in Korean. No line ends before a zone.
IN_SEOUL, IN_NEW_YORK = "오후 7:00\u00a0KST", re.compile("오전 [56]:00\u00a0E[SD]T")


@dataclass(frozen=True)
class House:
    """A shop at the simulated providers, with cashier and relay; its mails are kept in a folder."""

    shop: Running
    simulators: Simulators
    settings: Settings

    @property
    def mailbox(self) -> Path:
        """Where the mails are."""
        return Path(self.settings.notifications.mailbox_dir)

    @property
    def messenger(self) -> AbstractAsyncContextManager[None]:
        """The role that sends the mails, while the block runs."""
        return messenger(self.settings)


@pytest.fixture(scope="module")
def house(
    servers: Servers,
    template: str,
    simulator_processes: Simulators,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[House]:
    """One shop for both ways; its books must balance at the end."""
    folder = tmp_path_factory.mktemp("walks")
    values = simulator_processes.values
    asyncio.run(simulator_processes.reset())
    with (
        copied_database(servers.database_url, template) as database_url,
        running(database_url, servers.valkey_url, folder / "serve.log", **values) as shop,
    ):
        settings = Settings.of(
            database_url=database_url,
            valkey_url=servers.valkey_url,
            mailbox_dir=str(folder),
            public_url=shop.api.url,
            messenger_interval_ms=20,
            relay_stream="test:walks",
        )
        roles = [
            Role("cashier", settings, **values, cashier_interval_ms=50),
            Role("relay", settings, relay_interval_ms=20),
        ]
        try:
            yield House(shop, simulator_processes, settings)
        finally:
            assert [role.stop() for role in roles] == [0, 0]
        shop.stop()
        check_books(database_url)


async def look(page: Page, name: str) -> None:
    """Keep a picture where the environment names a folder; nothing is wider than the page."""
    if folder := os.environ.get("BOXOFFICE_TEST_SCREENSHOTS"):
        await page.screenshot(path=Path(folder) / f"walk-{name}.png", full_page=True)
    wide = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    assert await page.evaluate(wide) <= 0, name


async def agree(visitor: Visitor, name: str) -> None:
    """Press a button, and the one of that name in the dialog that comes."""
    await visitor.button(name).click()
    await visitor.page.get_by_role("dialog").get_by_role("button", name=name).click()


async def test_an_organizer_from_sign_up_to_settlement(visit: Visit, house: House) -> None:
    url, mark = house.shop.api.url, secrets.token_hex(3)
    email = f"organizer-{mark}@example.test"
    visitor = await visit(url, **HOME)
    async with house.messenger:
        await _sign_up_and_verify(visitor, house, email)
        await _apply(visitor, f"Spring Hall {mark}")
        operator = await asyncio.to_thread(make_organizer, house.shop, "operator")
        await _approve(await visit(url, person=operator, **HOME), f"Spring Hall {mark}")
        sale = await _put_on_sale(visitor)
        buyer = await visit(
            url, person=sign_up(house.shop.api), providers=[house.simulators.toss.url]
        )
        number = await _buy_two(buyer, sale)
        await _refund_one(visitor, house, number)
        await _read_the_reports(visitor, house)
        await _invite(visitor, house, visit, sale)


async def _sign_up_and_verify(visitor: Visitor, house: House, email: str) -> None:
    page = visitor.page
    await visitor.open("/login")
    await visitor.link("New here? Sign up").click()
    await page.get_by_label("Name").fill("Jisoo")
    await page.get_by_label("E-mail").fill(email)
    await page.get_by_label("Password").fill(PASSWORD)
    await look(page, "1-01-sign-up")
    await visitor.button("Sign up").click()
    await expect(visitor.link("My page")).to_be_visible()
    await visitor.open(await link_in(str(house.mailbox), email, "/account/confirm"))
    await visitor.page.locator("main button[type=submit]").click()
    await expect(page.locator(".notice.good")).to_contain_text(email)
    await look(page, "1-02-verified")


async def _apply(visitor: Visitor, name: str) -> None:
    page = visitor.page
    await visitor.link("My page").click()
    await visitor.link("Sell tickets").click()
    await page.get_by_label("Name of the organization").fill(name)
    await page.get_by_label("Contact").fill("+82 2 123 4567")
    await look(page, "1-03-apply")
    await visitor.button("Apply").click()
    await expect(page.get_by_text("Waiting", exact=True)).to_be_visible()
    await look(page, "1-04-applied")


async def _approve(operator: Visitor, name: str) -> None:
    await operator.open("/organizer")
    await operator.link("Applications", exact=False).click()
    card = operator.page.locator("article", has_text=name)
    await card.get_by_role("button", name="Approve").click()
    await look(operator.page, "1-05-approve")
    await operator.page.get_by_role("dialog").get_by_role("button", name="Approve").click()
    await expect(card).to_have_count(0)


async def _put_on_sale(visitor: Visitor) -> Sale:
    page = visitor.page
    await visitor.open("/organizer")
    await look(page, "1-06-home")
    await _create_a_venue(page)
    await visitor.open("/organizer")
    await visitor.link("New concert").click()
    await page.get_by_label("Title").fill("Songs of Spring")
    await page.get_by_label("Artist").fill("The Encores")
    await page.get_by_label("Venue").fill("Lily Hall")
    await look(page, "1-08-new-concert")
    await visitor.button("Create the draft").click()
    await expect(visitor.title("Songs of Spring")).to_be_visible()
    concert_id = page.url.rpartition("/")[2]
    await page.locator("summary", has_text="Poster").click()
    poster = FilePayload(name="a.jpg", mimeType="image/jpeg", buffer=picture())
    await page.get_by_label("Choose a picture").set_input_files(files=[poster])
    await expect(page.get_by_text("The poster is set.")).to_be_visible()
    await page.get_by_label("Starts at").fill(f"{DAY}T19:00")
    await page.get_by_label("Sale opens at").fill("2024-05-01T12:00")
    chosen = page.get_by_label("Venue", exact=True).locator("option:checked")
    await expect(chosen).to_have_text("Lily Hall (Asia/Seoul)")
    await look(page, "1-09-concert")
    await visitor.button("Add the schedule").click()
    await expect(page.get_by_text("The schedule has 0 seats.")).to_be_visible()
    seats = FilePayload(name="hall.csv", mimeType="text/csv", buffer=SEATS.encode())
    await page.get_by_label("CSV file").set_input_files(files=[seats])
    await expect(visitor.button("Add 6 seats")).to_be_visible()
    await look(page, "1-10-seats")
    await visitor.button("Add 6 seats").click()
    await page.locator(".notice").get_by_role("link").click()
    await agree(visitor, "Publish")
    await expect(page.get_by_text("Published", exact=True)).to_be_visible()
    await expect(page.locator(".notice")).to_contain_text("not on sale yet")
    await look(page, "1-11-published")
    await page.locator(".own-concert").click()
    await expect(page.locator("h1 + p")).to_contain_text("7:00 PM KST")
    await agree(visitor, "Open the sale")
    await expect(page.get_by_text("On sale", exact=True)).to_be_visible()
    await look(page, "1-12-on-sale")
    return Sale(concert_id, page.url.rpartition("/")[2])


async def _create_a_venue(page: Page) -> None:
    await page.get_by_role("navigation").get_by_role("link", name="Venues").click()
    await page.get_by_label("Name", exact=True).fill("Lily Hall")
    await page.get_by_label("City").fill("Seoul")
    await page.get_by_label("Address", exact=True).fill("1 Olympic-ro")
    await expect(page.get_by_label("Time zone")).to_have_value("Asia/Seoul")
    await look(page, "1-07-venue")
    await page.get_by_role("button", name="Add a venue").click()
    await expect(page.get_by_role("heading", name="Lily Hall", level=1)).to_be_visible()


async def _buy_two(buyer: Visitor, sale: Sale) -> str:
    await buyer.open_seats(sale, "A-1-1", "A-1-2")
    await buyer.button("Hold 2 seats").click()
    await buyer.page.wait_for_url(re.compile("/reservations/"))
    await choose(buyer, "Toss")
    await press_pay(buyer.page)
    await act(buyer.page, "pay")
    await see_tickets(buyer.page, 2)
    number = buyer.page.locator(".reservation-head .order-number strong")
    return await number.inner_text()


async def _refund_one(visitor: Visitor, house: House, number: str) -> None:
    page = visitor.page
    await visitor.open("/organizer")
    await page.get_by_role("searchbox").fill(number.lower())
    await page.keyboard.press("Enter")
    await expect(page.locator("main .found")).to_have_text("1 order")
    await look(page, "1-13-found")
    await page.locator("a.row-link").click()
    await expect(visitor.link("Payment and refund")).to_be_visible()
    await look(page, "1-13-order")
    await visitor.link("Payment and refund").click()
    await expect(page.locator("tbody tr")).to_have_count(1)
    await page.get_by_role("link", name=re.compile("^Open")).click()
    await page.locator(".refund summary").click()
    await page.locator(".tickets-to-return").get_by_role("checkbox").first.check()
    await visitor.button("Refund 1 ticket").click()
    await look(page, "1-14-refund")
    await page.get_by_role("dialog").get_by_role("button", name="Refund 1 ticket").click()
    await expect(page.locator("main h1 .chip")).to_have_text("Partly refunded")
    await until(functools.partial(_is_returned, house))
    await look(page, "1-15-refunded")


async def _is_returned(house: House) -> bool:
    return await _movements(house, "refund") == PRICE


async def _movements(house: House, kind: str) -> int:
    movements = await house.simulators.toss.movements()
    return sum(int(one["amount_minor"]) for one in movements if one["kind"] == kind)


async def _read_the_reports(visitor: Visitor, house: House) -> None:
    page = visitor.page
    paid, back = [await _movements(house, kind) for kind in ("capture", "refund")]
    assert (paid, back) == (2 * PRICE, PRICE)
    await visitor.open("/organizer")
    await page.get_by_role("navigation").get_by_role("link", name="Reports").click()
    total = page.get_by_role("row", name=re.compile("^Total"))
    await expect(total.locator("strong").last).to_have_text(f"₩{paid - back:,}")
    await look(page, "1-16-sales")
    lines = (await saved(page, "CSV")).decode("utf-8-sig").splitlines()
    assert lines[0].startswith("day,concert,")
    assert "Songs of Spring" in lines[1]
    await visitor.link("Settlement").click()
    owed = page.locator("dl.definitions div")
    for name, amount in {"Sales": paid, "Refunds": -back, "Owed now": paid - back}.items():
        sign = "-" if amount < 0 else ""
        await expect(owed.filter(has_text=name)).to_contain_text(f"{sign}₩{abs(amount):,}")
    await look(page, "1-17-settlement")


async def _invite(visitor: Visitor, house: House, visit: Visit, sale: Sale) -> None:
    page, api = visitor.page, house.shop.api
    colleague = sign_up(api, "Minho")
    await visitor.open("/organizer")
    await page.get_by_role("navigation").get_by_role("link", name="Team").click()
    await page.get_by_label("E-mail address").fill(colleague.email)
    await page.get_by_label("Role", exact=True).select_option("box_office")
    await visitor.button("Invite").click()
    await expect(page.get_by_role("cell", name=colleague.email)).to_be_visible()
    await look(page, "1-18-team")
    guest = await visit(api.url, person=colleague, expected=["403", "404"], **HOME)
    link = await link_in(str(house.mailbox), colleague.email, "/organizer/invitation")
    await guest.open(link)
    await guest.button("Accept the invitation").click()
    parts = guest.page.get_by_role("navigation", name="Parts of the console")
    await expect(parts.get_by_role("link", name="Payments")).to_be_visible()
    await expect(parts.get_by_role("link", name="Reports")).to_have_count(0)
    await look(guest.page, "1-19-colleague")
    await guest.open(f"/organizer/schedules/{sale.schedule_id}")
    await expect(guest.page.locator("tbody tr")).to_have_count(1)
    await expect(guest.link("Attendees")).to_have_count(1)
    await expect(guest.link("Report")).to_have_count(0)
    await expect(guest.button("Close the sale")).to_have_count(0)
    await look(guest.page, "1-20-colleague-orders")
    await guest.open("/organizer/reports?report=settlement")
    await expect(guest.title("No access to this page")).to_be_visible()
    await look(guest.page, "1-21-colleague-refused")


async def test_a_buyer_from_a_shared_link_to_a_ticket(visit: Visit, house: House) -> None:
    url = house.shop.api.url
    starts = {"starts_at": {"local": f"{DAY}T19:00"}}
    sale = await asyncio.to_thread(_on_sale_at_seven, house.shop, starts)
    shared = answered(house.shop.api.get(f"/concerts/{sale.concert_id}"), 200).raw.decode()
    assert '<meta property="og:title" content="봄의 노래 · The Encores">' in shared
    assert f'"startDate":"{DAY}T19:00:00+09:00"' in shared
    visitor = await visit(url, expected=["401"], providers=[house.simulators.toss.url], **PHONE)
    page, email = visitor.page, f"{secrets.token_hex(8)}@example.test"
    async with house.messenger:
        await visitor.open(f"/concerts/{sale.concert_id}")
        await _says_seven(page, "2-01-concert")
        await page.get_by_role("link", name=re.compile("좌석 선택")).click()
        await _says_seven(page, "2-02-seats")
        await _ask_for_one(visitor)
        await page.get_by_role("dialog").get_by_role("link", name=re.compile("회원가입")).click()
        await page.get_by_label("이름").fill("김민수")
        await page.get_by_label("이메일").fill(email)
        await page.get_by_label("비밀번호").fill(PASSWORD)
        await look(page, "2-03-sign-up")
        await visitor.button("회원가입").click()
        # What was asked for goes on with the new account.
        await page.wait_for_url(re.compile("/reservations/"))
        await _says_seven(page, "2-04-hold")
        await page.get_by_role("radio", name=re.compile("토스")).check()
        await page.get_by_role("button", name=re.compile("계속하기")).click()
        await page.wait_for_url(re.compile("/checkout/"))
        pay = page.locator(".checkout").get_by_role("button", name=re.compile("결제하기"))
        await expect(pay).not_to_have_attribute("aria-disabled", "true")
        await _says_seven(page, "2-05-checkout")
        await pay.click()
        await expect(page.locator("button[value=pay]")).to_be_visible()
        await look(page, "2-06-window")
        await act(page, "pay")
        await see_tickets(page)
        await _says_seven(page, "2-07-ticket")
        number = await page.locator(".ticket .order-number strong").inner_text()
        assert re.fullmatch(r"[0-9A-Z]{4}-[0-9A-Z]{4}-[0-9A-Z]", number), number
        await visitor.open("/me")
        await expect(page.locator("main")).to_contain_text(number)
        await _says_seven(page, "2-08-me")
        mail = await _mail_of(house, email, number)
    [entry] = [part for part in mail.iter_attachments() if part.get_filename() == "performance.ics"]
    calendar = entry.get_payload(decode=True)
    assert isinstance(calendar, bytes)
    assert f"DTSTART;TZID=Asia/Seoul:{DAY.replace('-', '')}T190000" in calendar.decode()


async def _ask_for_one(visitor: Visitor) -> None:
    await visitor.page.get_by_label("매수").select_option("1")
    await visitor.button("추천 좌석 예약하기").click()


def _on_sale_at_seven(shop: Running, starts: dict[str, dict[str, str]]) -> Sale:
    return on_sale(make_organizer(shop), 20, **starts)


async def _says_seven(page: Page, name: str) -> None:
    """The page says when the performance is: at its venue, and in the reader's own time second."""
    await expect(page.locator("main")).to_contain_text(IN_SEOUL)
    text = await page.locator("main").inner_text()
    own = IN_NEW_YORK.search(text)
    assert own is not None, text
    assert text.index(IN_SEOUL) < own.start(), text
    await look(page, name)


async def _mail_of(house: House, email: str, number: str) -> EmailMessage:
    """Wait for the mail with the tickets of an order."""
    found: list[EmailMessage] = []

    async def is_kept() -> bool:
        for path in kept_mails(house.mailbox):
            mail = message_from_bytes(path.read_bytes(), policy=policy.default)
            body = mail.get_body(("plain",))
            if email in mail["To"] and body is not None and number in body.get_content():
                found.append(mail)
        return bool(found)

    await until(is_kept)
    return found[0]
