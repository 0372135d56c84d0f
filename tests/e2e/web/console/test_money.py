"""Money in the console: payments, refunds, disputes, statements, jobs; and the webhooks about it."""

import asyncio
import re
import time
from base64 import b64decode
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from playwright.async_api import expect

from boxoffice.notifications.webhooks.rules import TOPIC_NAMES
from boxoffice.settings import Settings
from tests.conftest import Servers
from tests.e2e.api.client import Person, Sale
from tests.e2e.api.client import expect as answered
from tests.e2e.api.conftest import (
    Running,
    draft,
    hold,
    make_organizer,
    on_sale,
    rich,
    running,
)
from tests.e2e.api.money_to_ask_about import Bought, Parties
from tests.e2e.web.conftest import Visit
from tests.e2e.web.visitor import Visitor
from tests.integration.notifications.receivers import Receiver, status
from tests.support.database import copied_database
from tests.support.shop import Role
from tests.support.simulators import Simulators

pytestmark = pytest.mark.asyncio(loop_scope="session")

PHONE = {"width": 360, "height": 740}
PRICE = 110_000
PATIENCE_S = 20.0
# The calendar of the provider's statement.
CALENDAR = ZoneInfo("Asia/Seoul")
REFUSED = {"fault": "decline", "operation": "refund", "code": "REFUND_REJECTED", "times": 0}


@dataclass(frozen=True)
class Office:
    """A shop at simulated providers, with a cashier, and what has happened to its money."""

    parties: Parties
    sale: Sale
    kept: Bought
    in_wallet: str
    refused_refund: str
    disputed: Bought
    day: str

    @property
    def url(self) -> str:
        """The address of the shop."""
        return self.parties.shop.api.url

    @property
    def organizer(self) -> Person:
        """Who sold the tickets."""
        return self.parties.organizer

    @property
    def operator(self) -> Person:
        """Who runs the shop."""
        return self.parties.operator


@pytest.fixture(scope="module")
def office(
    servers: Servers,
    template: str,
    simulator_processes: Simulators,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Office]:
    """One shop with a cashier and a messenger for all tests of this file."""
    asyncio.run(simulator_processes.reset())
    log = tmp_path_factory.mktemp("office") / "serve.log"
    values = simulator_processes.values
    with (
        copied_database(servers.database_url, template) as database_url,
        running(
            database_url, servers.valkey_url, log, webhook_loopback_allowed="true", **values
        ) as shop,
    ):
        settings = Settings.of(database_url=database_url, valkey_url=servers.valkey_url)
        work = {"cashier_interval_ms": 50, "cashier_reconcile_interval_s": 1}
        cashier = Role("cashier", settings, **values, **work)
        messenger = Role("messenger", settings, webhook_loopback_allowed=True)
        try:
            yield opened(shop, simulator_processes)
        finally:
            assert [role.stop() for role in (cashier, messenger)] == [0, 0]


def opened(shop: Running, simulators: Simulators) -> Office:
    """Sell tickets through a provider, and let what can go wrong go wrong."""
    parties = Parties(
        shop, simulators, rich(shop.api), make_organizer(shop), make_organizer(shop, "operator")
    )
    sale = on_sale(parties.organizer, 20, ticket_limit=20)
    kept, refused, foreign, disputed = (
        parties.bought(sale, f"A-1-{number}") for number in (1, 2, 3, 4)
    )
    held = hold(parties.buyer, sale, "A-1-6", "A-1-7").json["reservation_id"]
    order = {"reservation_id": held, "method": "wallet"}
    in_wallet = answered(parties.buyer.api.keyed("/v1/payments", order), 201).json["payment_id"]
    asyncio.run(simulators.toss.set_faults(REFUSED))
    asyncio.run(simulators.toss.do("foreign_refund", payment_key=foreign.payment_key, amount=1_000))
    path = f"/v1/admin/payments/{refused.payment_id}/refunds"
    refund = answered(parties.organizer.api.keyed(path, {"expected_refund": PRICE}), 201).json
    day = datetime.now(CALENDAR).date().isoformat()
    answered(parties.operator.api.post(f"/v1/admin/statements/toss/days/{day}"), 202)
    until(lambda: refusals(parties))
    asyncio.run(simulators.toss.set_faults())
    until(lambda: statement(parties, day)["run"]["state"] == "FINISHED")
    return Office(parties, sale, kept, in_wallet, refund["refund_id"], disputed, day)


def refusals(parties: Parties) -> list[dict[str, Any]]:
    """The refunds that the provider refused."""
    items: list[dict[str, Any]] = answered(parties.operator.api.get("/v1/admin/refunds"), 200).json[
        "items"
    ]
    return items


def statement(parties: Parties, day: str) -> dict[str, Any]:
    """A day of the provider's statement against the books."""
    found: dict[str, Any] = answered(
        parties.operator.api.get(f"/v1/admin/statements/toss/days/{day}"), 200
    ).json
    return found


def until(holds: Callable[[], object]) -> None:
    """Wait for the cashier."""
    ends_at = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < ends_at, "the cashier has not done its part"
        time.sleep(0.05)


async def enter(visit: Visit, office: Office, person: Person, path: str, **options: Any) -> Visitor:
    """Open a page of the console."""
    visitor = await visit(office.url, person=person, **options)
    await visitor.open(path)
    return visitor


async def agree(visitor: Visitor, name: str) -> None:
    """Press the button of a dialog."""
    await visitor.page.get_by_role("dialog").get_by_role("button", name=name, exact=True).click()


async def test_an_organizer_finds_a_payment_by_its_order(visit: Visit, office: Office) -> None:
    one = answered(
        office.organizer.api.get(f"/v1/admin/payments/{office.kept.payment_id}"), 200
    ).json
    visitor = await enter(visit, office, office.organizer, "/organizer")
    page = visitor.page
    await page.get_by_role("navigation").get_by_role("link", name="Payments").click()
    rows = page.locator("tbody tr")
    await expect(rows).to_have_count(5)
    await page.get_by_label("Order id at the provider").fill(one["order_id"])
    await visitor.button("Search").click()
    await expect(rows).to_have_count(1)
    await expect(rows).to_contain_text("A-1-1")
    await visitor.page.get_by_role("link", name=re.compile("^Open")).click()
    await expect(page.get_by_text(one["order_id"])).to_be_visible()


async def test_a_payment_at_a_provider_is_refunded(visit: Visit, office: Office) -> None:
    bought = office.parties.bought  # the seat of this test
    payment = await asyncio.to_thread(bought, office.sale, "A-1-5")
    visitor = await enter(
        visit, office, office.organizer, f"/organizer/payments/{payment.payment_id}"
    )
    page = visitor.page
    await page.locator(".refund summary").click()
    await page.locator(".tickets-to-return").get_by_role("checkbox").check()
    await visitor.button("Refund 1 ticket").click()
    await agree(visitor, "Refund 1 ticket")
    await expect(page.locator("main h1 .chip")).to_have_text("Refunded")
    await asyncio.to_thread(until, lambda: paid_back(office, payment.payment_id))
    await page.reload()
    await expect(page.get_by_text("Paid: Toss Payments")).to_be_visible()
    movements = await office.parties.simulators.toss.movements()
    assert PRICE in [one["amount_minor"] for one in movements if one["kind"] == "refund"]


def paid_back(office: Office, payment_id: str) -> bool:
    """Whether the money of a payment has arrived."""
    one = answered(office.organizer.api.get(f"/v1/admin/payments/{payment_id}"), 200).json
    return [refund["status"] for refund in one["refunds"]] == ["DONE"]


async def test_one_ticket_is_refunded_with_its_fee_waived(visit: Visit, office: Office) -> None:
    path = f"/organizer/payments/{office.in_wallet}"
    visitor = await enter(visit, office, office.organizer, path, locale="ko-KR", viewport=PHONE)
    page = visitor.page
    await page.locator(".refund summary").click()
    await page.locator(".tickets-to-return").get_by_role("checkbox").first.check()
    await expect(page.locator(".refund .lines")).to_contain_text("₩110,000")
    await expect(page.get_by_role("checkbox", name=re.compile("수수료 면제"))).to_be_checked()
    assert await visitor.overflow_px() == 0
    await visitor.button("1장 환불하기").click()
    await agree(visitor, "1장 환불하기")
    await expect(page.locator("main h1 .chip")).to_have_text("부분 환불")
    await expect(page.get_by_text("주최자 환불")).to_be_visible()
    assert await visitor.overflow_px() == 0


async def test_an_operator_resolves_a_refused_refund(visit: Visit, office: Office) -> None:
    visitor = await enter(visit, office, office.operator, "/organizer/refunds")
    page = visitor.page
    await expect(page.get_by_text("REFUND_REJECTED")).to_be_visible()
    await page.locator("summary", has_text="Pay as wallet credit").click()
    await page.get_by_label("Note").first.fill("By phone")
    await visitor.button("Pay as wallet credit").click()
    await expect(page.get_by_text("No refunds.")).to_be_visible()
    refund = answered(office.parties.buyer.api.get(f"/v1/refunds/{office.refused_refund}"), 200)
    assert (refund.json["status"], refund.json["to"]) == ("DONE", "wallet")


async def test_a_dispute_is_entered_and_ended(visit: Visit, office: Office) -> None:
    visitor = await enter(visit, office, office.operator, "/organizer/disputes")
    page = visitor.page
    await expect(page.get_by_text("No disputes.")).to_be_visible()
    await page.locator("summary", has_text="Enter a dispute").click()
    await page.get_by_label("Payment", exact=True).fill(office.disputed.payment_id)
    await page.get_by_label("Amount").fill(str(PRICE))
    await page.get_by_label("Reason").fill("The card was stolen")
    await page.get_by_label("When the money moved").fill("2026-05-01T10:00")
    await visitor.button("Enter a dispute").click()
    await expect(page.locator("tbody tr")).to_contain_text("₩110,000 withdrawn")
    await page.locator("summary", has_text="Lost").click()
    await page.locator("tbody").get_by_label("When the money moved").last.fill("2026-05-02T10:00")
    await page.locator("tbody").get_by_role("button", name="Lost").click()
    await expect(page.locator("tbody tr")).to_contain_text("The money is lost")
    await expect(page.locator("tbody tr")).to_contain_text("Valid tickets without payment: 1")
    await page.get_by_role("navigation", name="State").get_by_role("link", name="Open").click()
    await expect(page.get_by_text("No disputes.")).to_be_visible()


async def test_a_finding_is_resolved_and_the_day_has_a_report(visit: Visit, office: Office) -> None:
    visitor = await enter(visit, office, office.operator, "/organizer/statements")
    page = visitor.page
    finding = page.locator("tbody tr", has_text="Refund at the provider")
    await expect(finding).to_contain_text("Find out who refunded it")
    await finding.locator("summary").click()
    await finding.get_by_label("Note").fill("The desk did it by mistake")
    await finding.get_by_role("button", name="Resolve with a note").click()
    await expect(page.get_by_text("No open findings")).to_be_visible()
    await page.locator(f"a[href='/organizer/statements/toss/{office.day}']").click()
    await expect(page.get_by_text("The desk did it by mistake")).to_be_visible()
    await expect(page.get_by_role("cell", name="Payment", exact=True)).to_be_visible()
    async with page.expect_download() as saving:
        await visitor.button("Download CSV").click()
    saved = await saving.value
    assert saved.suggested_filename == f"toss-{office.day}.csv"
    assert "foreign_cancel" in (await saved.path()).read_text()


async def test_a_day_that_waits_shows_its_result_by_itself(visit: Visit, office: Office) -> None:
    visitor = await enter(visit, office, office.operator, "/organizer/statements")
    page = visitor.page
    await page.get_by_role("textbox", name="Day").fill("2026-03-01")
    await visitor.button("Compare a day").click()
    await expect(page.get_by_text("No money moved on this day.")).to_be_visible()
    await expect(page.get_by_text("the books agree to the last unit")).to_be_visible()


async def test_a_whole_schedule_is_refunded_to_its_end(visit: Visit, office: Office) -> None:
    sale = on_sale(office.organizer, 2)
    await asyncio.to_thread(office.parties.bought, sale, "A-1-1")
    answered(office.organizer.api.post(f"/v1/admin/schedules/{sale.schedule_id}/close"), 200)
    path = f"/organizer/schedules/{sale.schedule_id}/refunds"
    visitor = await enter(visit, office, office.organizer, path)
    page = visitor.page
    await visitor.button("Refund all tickets").click()
    await agree(visitor, "Refund all tickets")
    await expect(page.get_by_text("Finished: 1 payment, 0 refused.")).to_be_visible()
    await page.reload()
    await expect(page.get_by_text("Finished: 1 payment, 0 refused.")).to_be_visible()
    await expect(page.get_by_text("performance cancelled")).to_be_visible()


async def test_a_policy_of_ones_own_is_shown_before_it_is_saved(
    visit: Visit, office: Office
) -> None:
    sale = draft(office.organizer, 2)
    path = f"/organizer/schedules/{sale.schedule_id}/refunds"
    visitor = await enter(visit, office, office.organizer, path, expected=["422"])
    page = visitor.page
    await page.locator(".own-policy > summary").click()
    fees = page.get_by_label("Fee, % of the price")
    while await fees.count() > 2:
        await visitor.button("Remove the line of", exact=False).last.click()
    await page.get_by_label("Until days before").first.fill("14")
    await fees.first.fill("30")
    await page.get_by_label("Until days before").last.fill("1")
    await fees.last.fill("5")
    preview = page.locator(".own-policy .policy")
    await expect(preview).to_contain_text("30 % of the price")
    await visitor.button("Use this policy of your own").click()
    await expect(page.get_by_text("This policy is not valid")).to_be_visible()
    await fees.last.fill("50")
    await page.get_by_label("At most (KRW)").first.fill("20000")
    await expect(preview).to_contain_text("30 % of the price, at most ₩20,000")
    await visitor.button("Remove the period until", exact=False).first.click()
    await page.get_by_label("For", exact=True).fill("48")
    await page.get_by_label("Unit").select_option("hours")
    await page.get_by_label("Up to days before the performance").fill("5")
    notes = page.locator(".own-policy .policy-notes")
    await expect(notes).to_contain_text("within 48 hours of booking, until 5 days")
    await expect(notes).to_contain_text("returned for 7 days after the day of booking")
    await page.get_by_label("Return the booking fee").uncheck()
    await expect(notes).to_contain_text("A booking fee is not returned.")
    await visitor.button("Use this policy of your own").click()
    await expect(page.locator(".policy").first).to_contain_text("50 % of the price")
    shown = answered(
        office.organizer.api.get(f"/v1/admin/schedules/{sale.schedule_id}/refund-policy"), 200
    ).json
    steps = [(one["days_before"], one["percent"], one["cap"]) for one in shown["steps"]]
    assert steps == [(14, 30, 20_000), (1, 50, None)]
    assert shown["grace"] == [{"days_before": 5, "hours": 48, "days": None}]
    assert shown["booking_fee_days"] is None


async def test_an_endpoint_shows_its_secret_once_and_its_deliveries_are_replayed(
    visit: Visit, office: Office
) -> None:
    visitor = await enter(visit, office, office.organizer, "/organizer/webhooks")
    page = visitor.page
    topics = page.locator("fieldset code")
    assert await topics.all_text_contents() == list(TOPIC_NAMES)
    async with Receiver(status(410, body=b"gone fishing")) as receiver:
        await page.get_by_label("Address").fill(receiver.url)
        await visitor.button("Create an endpoint").click()
        secret = await page.get_by_role("dialog").locator(".secret").text_content()
        await agree(visitor, "I have kept it")
        await visitor.button("Send a test event").click()
        await asyncio.to_thread(until, lambda: receiver.received)
        await page.reload()
        await expect(page.get_by_text("The receiver answered 410 Gone")).to_be_visible()
        assert secret
        assert secret not in await page.content()
        receiver.respond = status(204)
        await visitor.button("Enable").click()
        await agree(visitor, "Enable")
        await expect(page.locator("main h1 .chip")).to_have_text("Active")
        delivery = page.locator("tbody tr", has_text="webhook.test")
        await delivery.get_by_role("button", name="Replay").click()
        await expect(visitor.toast("The event is sent again")).to_be_visible()
        # Within one second both requests are the same to the byte.
        await asyncio.to_thread(until, lambda: len(receiver.received) > 1)
        first, last = receiver.received[0], receiver.received[-1]
        assert first.event_id == last.event_id
        last.verified(shown(secret))
        await page.reload()
        await expect(delivery).to_contain_text("Delivered")
    await visitor.button("Rotate the secret").click()
    await agree(visitor, "Rotate the secret")
    await expect(page.get_by_role("dialog").locator(".secret")).not_to_have_text(secret)
    await agree(visitor, "I have kept it")
    await expect(page.get_by_text("signed with the new and the previous one")).to_be_visible()
    await visitor.button("Delete").click()
    await agree(visitor, "Delete")
    await expect(page.get_by_text("No endpoints yet.")).to_be_visible()


def shown(secret: str) -> bytes:
    """The bytes of a secret as it is shown."""
    return b64decode(secret.removeprefix("whsec_"))
