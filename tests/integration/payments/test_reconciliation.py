"""The comparison with a provider's statement on PostgreSQL: runs, findings, and who ends them."""

import csv
import io
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from boxoffice.errors import (
    FindingNotFound,
    FindingResolved,
    StatementNotFound,
)
from boxoffice.payments.providers.port import (
    Movement,
    ProviderUnavailable,
    StatementLine,
    StatementPage,
)
from boxoffice.payments.reconciliation.errors import StatementQueued
from boxoffice.payments.reconciliation.rules import DueRun, StatementWindow, day_window
from boxoffice.payments.reconciliation.service import Reconciliation, zone_of
from boxoffice.payments.reconciliation.store import (
    FindingFilter,
    KeptFinding,
    RunKey,
    StatementStore,
)
from boxoffice.payments.refunds.store import RefundStore
from boxoffice.platform.ids import ScopedId, new_id
from boxoffice.platform.postgres.database import Database
from tests.support.hall import Hall
from tests.support.refunds import returned, sold

NOON = datetime(2026, 3, 10, 3, 30, tzinfo=UTC)  # half past noon in Seoul
HOUR = timedelta(hours=1)
WINDOW = StatementWindow(NOON - timedelta(minutes=30), NOON + timedelta(minutes=30))
DAY = NOON.date()
_BOOK = """
    WITH transfer AS (
        INSERT INTO transfers (user_id, transfer_id, kind, amount_minor, currency, provider, created_at)
        VALUES ($1, $2, 'capture', $4, 'KRW', $5, now())
    ), entries AS (
        INSERT INTO ledger_entries (user_id, transfer_id, leg, account, amount_minor, currency)
        VALUES ($1, $2, 1, 'cash', -$4::bigint, 'KRW'), ($1, $2, 2, 'suspense', $4, 'KRW')
    )
    INSERT INTO provider_transactions (provider, transaction_key, user_id, transfer_id, amount_minor,
        happened_at, booked_at, kind, currency)
    VALUES ($5, $3, $1, $2, $4, $6, now(), 'capture', 'KRW')
"""
_INTENT = """
    INSERT INTO payment_intents (user_id, intent_id, amount_minor, created_at, changed_at,
        session_ends_at, purpose, provider, currency, idempotency_key, fingerprint, payment_key)
    VALUES ($1, $2, 1000, now(), now(), now(), 'top_up', $3, 'KRW', $2::uuid::text, '', $4)
"""


class FakeStatement:
    """A provider whose statement has pages."""

    def __init__(self) -> None:
        self.lines: list[StatementLine] = []
        self.page_size = 100
        self.asked: list[str | None] = []
        self.fails_at: str | None = "never"

    async def statement(
        self, since: datetime, until: datetime, cursor: str | None = None
    ) -> StatementPage:
        """Return a page of the lines between two times."""
        self.asked.append(cursor)
        if self.fails_at == cursor:
            self.fails_at = "never"
            raise ProviderUnavailable("away")
        wanted = [one for one in self.lines if since <= one.movement.happened_at < until]
        start = int(cursor or 0)
        end = start + self.page_size
        following = str(end) if end < len(wanted) else None
        return StatementPage(tuple(wanted[start:end]), following)


class Office:
    """The comparison for a provider of the test's own."""

    def __init__(self, hall: Hall) -> None:
        self.hall = hall
        self.name = f"fake_{uuid4().hex[:8].translate(str.maketrans('0123456789', 'ghijklmnop'))}"
        self.provider = FakeStatement()
        self.store = StatementStore(hall.db)
        self.service = Reconciliation(
            self.store,
            {self.name: self.provider},  # type: ignore[dict-item]
            HOUR,
            HOUR,
        )

    async def intent(self) -> ScopedId:
        """Return an order of ours."""
        intent = ScopedId(self.hall.people[0], new_id())
        await self.hall.db.fetch(_INTENT, *intent, self.name, f"pk-{intent.own_id}")
        return intent

    async def book(self, key: str, amount_minor: int = 1_000, at: datetime = NOON) -> None:
        """Book a capture."""
        person = self.hall.people[0]
        await self.hall.db.fetch(_BOOK, person, new_id(), key, amount_minor, self.name, at)

    def line(self, key: str, order_id: str | None = None, **fields: Any) -> StatementLine:
        """Add a line to the statement, of an order of ours where one is given."""
        payment_key = fields.pop("payment_key", f"pk-{key}")
        fee_minor = fields.pop("fee_minor", None)
        wanted = {"kind": "capture", "amount_minor": 1_000, "currency": "KRW", "happened_at": NOON}
        movement = Movement(key, **{**wanted, **fields})
        one = StatementLine(movement, order_id, payment_key, fee_minor)
        self.provider.lines.append(one)
        return one

    async def compare(self) -> list[KeptFinding]:
        """Compare the hour around noon; return the open findings."""
        await self.service.compare(self.name, "hour", WINDOW)
        return await self.open()

    async def again(self) -> list[KeptFinding]:
        """Compare the hour once more."""
        await self.store.ask(RunKey(self.name, "hour", WINDOW.since), WINDOW.until)
        return await self.compare()

    async def open(self) -> list[KeptFinding]:
        """Return the open findings."""
        wanted = FindingFilter(only_open=True, provider=self.name)
        return await self.service.findings(None, wanted, 100)

    async def work(self) -> set[UUID]:
        """Return the intents that the cashier is to look up."""
        rows = await self.hall.db.fetch(
            "SELECT w.subject_id FROM cashier_work w"
            " JOIN payment_intents i ON i.intent_id = w.subject_id"
            " WHERE w.kind = 'look_up' AND i.provider = $1",
            self.name,
        )
        return {row["subject_id"] for row in rows}


@pytest.fixture
def office(hall: Hall) -> Office:
    """The comparison of one hall."""
    return Office(hall)


def kinds(found: Sequence[KeptFinding]) -> list[str]:
    return sorted(f"{one.kind}:{one.transaction_key[-2:]}" for one in found)


async def test_equal_books_have_no_findings(office: Office) -> None:
    intent = await office.intent()
    await office.book("t1")
    office.line("t1", str(intent), fee_minor=30)
    assert await office.compare() == []
    [run] = await office.service.runs(office.name, None, None, 10)
    assert (run.lines, run.finished_at is not None) == (1, True)
    [total] = run.totals
    assert (total.there_minor, total.here_minor) == (1_000, 1_000)


async def test_each_difference_is_kept(office: Office) -> None:
    intent = await office.intent()
    await office.book("a1")
    await office.book("t2")
    await office.book("c1")
    office.line("a1", str(intent), amount_minor=999)
    office.line("c1", str(intent), currency="JPY")
    office.line("m1", str(intent))
    office.line("u1", "elsewhere")
    office.line("f1", str(intent), kind="refund")
    assert kinds(await office.compare()) == [
        "amount:a1",
        "currency:c1",
        "foreign_cancel:f1",
        "missing_here:m1",
        "missing_there:t2",
        "unknown_order:u1",
    ]


async def test_an_order_is_known_by_the_providers_key_of_the_payment(office: Office) -> None:
    intent = await office.intent()
    office.line("k1", None, payment_key=f"pk-{intent.own_id}")
    other = Office(office.hall)
    stranger = await other.intent()
    office.line("k2", None, payment_key=f"pk-{stranger.own_id}")
    office.line("k3", str(ScopedId(intent.schedule_id, new_id())))
    found = await office.compare()
    assert kinds(found) == ["missing_here:k1", "unknown_order:k2", "unknown_order:k3"]


async def test_what_is_missing_is_looked_up_and_heals(office: Office) -> None:
    here, there, untouched = [await office.intent() for _ in range(3)]
    office.line("m1", str(here))
    assert kinds(await office.compare()) == ["missing_here:m1"]
    assert await office.work() == {here.own_id}
    await office.book("m1")
    assert await office.again() == []
    [over] = await office.service.findings(None, FindingFilter(provider=office.name), 10)
    assert (over.resolved_at is not None, over.resolved_by) == (True, None)
    assert untouched.own_id not in await office.work()
    assert there.own_id not in await office.work()


async def test_what_is_booked_after_the_last_run_heals_without_another(office: Office) -> None:
    other = Office(office.hall)
    for key in ("booked", "differs", "elsewhere", "never"):
        office.line(key, str(await office.intent()))
    office.line("dollars", str(await office.intent()), currency="USD")
    await office.compare()
    await office.book("booked")
    await office.book("dollars")
    await office.book("differs", 999)
    await other.book("elsewhere")
    await office.store.heal_booked()
    left = [one.transaction_key for one in await office.open()]
    assert sorted(left) == ["differs", "dollars", "elsewhere", "never"]


async def test_what_is_missing_there_is_looked_up(office: Office) -> None:
    intent = await office.intent()
    await office.book("t1")
    assert kinds(await office.compare()) == ["missing_there:t1"]
    assert await office.work() == {intent.own_id}
    office.line("t1", str(intent))
    assert await office.again() == []


async def test_a_refund_whose_answer_was_lost_is_no_foreign_one(office: Office, hall: Hall) -> None:
    payment = await sold(hall, hall.people[0], "S001", provider=office.name)
    refund = await returned(hall, hall.people[0], payment, 1_000)
    key = f"pk-{payment.reservation_id}"
    office.line("r1", None, kind="refund", payment_key=key)
    assert kinds(await office.compare()) == ["foreign_cancel:r1"]
    await RefundStore(hall.db).begin(refund, new_id(), 1.0)
    assert kinds(await office.again()) == ["missing_here:r1"]
    await RefundStore(hall.db).settle(refund, "DONE", key="r1", happened_at=NOON)
    assert await office.again() == []


async def test_another_providers_books_are_no_matter(office: Office) -> None:
    other = Office(office.hall)
    await other.book("t1")
    other.line("o1", "elsewhere")
    assert kinds(await other.compare()) == ["missing_there:t1", "unknown_order:o1"]
    await other.store.ask(RunKey(other.name, "hour", WINDOW.since), WINDOW.until)
    assert await office.compare() == []
    assert len(await other.open()) == 2
    assert len(await other.store.unfinished(other.name)) == 1


async def test_a_run_goes_on_from_its_last_page(office: Office) -> None:
    intent = await office.intent()
    for at in range(5):
        office.line(f"p{at}", str(intent))
        await office.book(f"p{at}")
    office.provider.page_size = 2
    office.provider.fails_at = "4"
    with pytest.raises(ProviderUnavailable):
        await office.compare()
    [run] = await office.service.runs(office.name, None, None, 10)
    assert (run.finished_at, run.lines) == (None, 4)
    assert await Office.compare(office) == []
    assert office.provider.asked == [None, "2", "4", "4"]
    [run] = await office.service.runs(office.name, None, None, 10)
    assert (run.finished_at is not None, run.lines) == (True, 5)


async def test_a_finished_run_is_not_begun_anew(office: Office) -> None:
    await office.compare()
    office.line("u1", "elsewhere")
    assert await office.compare() == []
    assert kinds(await office.again()) == ["unknown_order:u1"]


async def test_repeated_and_overlapping_lines_count_once(office: Office) -> None:
    intent = await office.intent()
    await office.book("d1")
    for _ in range(3):
        office.line("d1", str(intent))
    office.provider.page_size = 2
    assert await office.compare() == []
    later = StatementWindow(WINDOW.until, WINDOW.until + HOUR)
    await office.service.compare(office.name, "hour", later)
    assert await office.open() == []


async def test_a_line_that_the_provider_corrects_is_compared_anew(office: Office) -> None:
    intent = await office.intent()
    await office.book("d1")
    office.line("d1", str(intent), amount_minor=999)
    assert kinds(await office.compare()) == ["amount:d1"]
    office.provider.lines.clear()
    office.line("d1", str(intent))
    assert await office.again() == []


async def test_a_line_that_is_gone_is_missing_there(office: Office) -> None:
    """As after a deposit that fell back: the provider no longer shows what it had shown."""
    await office.book("fell back")
    office.line("fell back", str(await office.intent()))
    assert await office.compare() == []
    office.provider.lines.clear()
    [finding] = await office.again()
    assert (finding.kind, finding.here_minor) == ("missing_there", 1_000)


async def test_other_windows_keep_their_findings(office: Office) -> None:
    office.line("u1", "elsewhere")
    office.line("u2", "elsewhere", happened_at=NOON + HOUR)
    await office.compare()
    later = StatementWindow(WINDOW.until, WINDOW.until + HOUR)
    await office.service.compare(office.name, "hour", later)
    assert kinds(await office.open()) == ["unknown_order:u1", "unknown_order:u2"]
    assert kinds(await office.again()) == ["unknown_order:u1", "unknown_order:u2"]


async def test_an_operator_resolves_a_finding_for_good(office: Office, hall: Hall) -> None:
    operator = hall.schedule_id
    office.line("u1", "elsewhere")
    office.line("u2", "elsewhere")
    first, second = await office.compare()
    resolved = await office.service.resolve(operator, first.finding_id, "Another shop's")
    assert (resolved.resolved_by, resolved.note) == (operator, "Another shop's")
    with pytest.raises(FindingResolved):
        await office.service.resolve(operator, first.finding_id, "Again")
    with pytest.raises(FindingNotFound):
        await office.service.resolve(operator, new_id(), "Unknown")
    assert [one.finding_id for one in await office.again()] == [second.finding_id]
    rows = await hall.db.fetch(
        "SELECT details->>'note' AS note FROM logbook WHERE action = 'finding.resolved'"
        " AND details->>'finding_id' = $1",
        str(first.finding_id),
    )
    assert [row["note"] for row in rows] == ["Another shop's"]


async def test_a_day_is_shown_with_its_findings(office: Office) -> None:
    with pytest.raises(StatementNotFound):
        await office.service.day(office.name, DAY)
    asked = await office.service.ask(office.name, DAY)
    assert asked.finished_at is None
    assert await office.service.day(office.name, DAY) == (asked, [])
    with pytest.raises(StatementQueued):
        await office.service.day_as_csv(office.name, DAY)
    intent = await office.intent()
    office.line("u1", "=1+1", fee_minor=7)
    office.line("u2", "elsewhere", happened_at=NOON + timedelta(days=1))
    await office.book("b1")
    await office.book("b2")
    office.line("b2", str(intent))
    for day in (DAY, DAY + timedelta(days=1)):
        await office.service.compare(office.name, "day", day_window(day, zone_of(office.name)))
    run, findings = await office.service.day(office.name, DAY)
    assert run.kind == "day"
    assert kinds(findings) == ["missing_there:b1", "unknown_order:u1"]
    rows = list(csv.DictReader(io.StringIO(await office.service.day_as_csv(office.name, DAY))))
    shown = {row["transaction_key"]: row for row in rows}
    assert set(shown) == {"u1", "b1", "b2"}
    assert (shown["u1"]["order_id"], shown["u1"]["fee"]) == ("'=1+1", "7")
    assert (shown["u1"]["there"], shown["u1"]["here"]) == ("1000", "")
    assert (shown["b2"]["there"], shown["b2"]["here"], shown["b2"]["finding"]) == (
        "1000",
        "1000",
        "",
    )
    assert (shown["b1"]["there"], shown["b1"]["here"]) == ("", "1000")


async def test_only_what_can_be_compared_is_asked_for(office: Office) -> None:
    with pytest.raises(StatementNotFound):
        await office.service.ask("nowhere", DAY)
    with pytest.raises(StatementNotFound):
        await office.service.ask(office.name, datetime.now(UTC).date() + timedelta(days=2))


async def test_every_window_that_is_due_is_compared_once(office: Office, db: Database) -> None:
    await office.service.ask(office.name, DAY)
    compared = await office.service.run_due()
    assert compared == 48 + 7 + 1
    assert await office.service.run_due() <= 1  # an hour may have ended meanwhile
    assert await office.store.unfinished(office.name) == []
    other = Office(office.hall)
    await other.service.ask(other.name, DAY)
    assert await other.store.unfinished(other.name) == [
        DueRun("day", day_window(DAY, zone_of(other.name)))
    ]


async def test_a_provider_that_is_away_is_asked_again(office: Office) -> None:
    office.provider.fails_at = None
    assert await office.service.run_due() == 0
    assert await office.service.run_due() == 48 + 7


async def test_pages_of_runs_and_findings(office: Office) -> None:
    for at in range(3):
        office.line(f"u{at}", "elsewhere")
    found = await office.compare()
    wanted = FindingFilter(provider=office.name)
    first = await office.service.findings(None, wanted, 2)
    assert first == found[:2]
    assert await office.service.findings(first[-1].finding_id, wanted, 2) == found[2:]
    for back in (1, 2):
        window = StatementWindow(WINDOW.since - back * HOUR, WINDOW.until - back * HOUR)
        await office.service.compare(office.name, "hour", window)
    runs = await office.service.runs(office.name, None, None, 2)
    assert [one.since for one in runs] == [WINDOW.since, WINDOW.since - HOUR]
    last = runs[-1]
    rest = await office.service.runs(office.name, None, (last.since, last.provider, last.kind), 2)
    assert [one.since for one in rest] == [WINDOW.since - 2 * HOUR]


async def test_runs_count_their_findings(office: Office) -> None:
    office.line("u1", "elsewhere")
    office.line("u2", "elsewhere")
    [first, _] = await office.compare()
    office.line("later", "elsewhere", happened_at=WINDOW.until + HOUR)
    following = StatementWindow(WINDOW.since + 2 * HOUR, WINDOW.until + 2 * HOUR)
    await office.service.compare(office.name, "hour", following)
    await office.service.compare(office.name, "day", day_window(DAY, zone_of(office.name)))
    await office.service.resolve(office.hall.people[0], first.finding_id, "Another shop's")
    hours = await office.service.runs(office.name, "hour", None, 10)
    assert [(one.findings, one.open_findings) for one in hours] == [(1, 1), (2, 1)]
    [day] = await office.service.runs(office.name, "day", None, 10)
    assert (day.kind, day.findings, day.open_findings) == ("day", 3, 2)
    shown, _ = await office.service.day(office.name, DAY)
    assert (shown.findings, shown.open_findings) == (3, 2)
    office.line("tomorrow", "elsewhere", happened_at=NOON + timedelta(days=1))
    tomorrow = day_window(DAY + timedelta(days=1), zone_of(office.name))
    await office.service.compare(office.name, "day", tomorrow)
    assert (await office.service.day(office.name, DAY))[0] == shown


async def test_a_place_is_that_of_one_run(db: Database) -> None:
    statements = StatementStore(db)
    mine, other = RunKey("toss", "hour", NOON), RunKey("stripe", "hour", NOON)
    for key in (mine, other):
        await statements.start(key, NOON + HOUR)
    await statements.save(mine, [], "page-2")
    [kept, beside] = [await statements.start(key, NOON + HOUR) for key in (mine, other)]
    assert kept is not None
    assert beside is not None
    assert (kept[0], beside[0]) == ("page-2", None)


async def test_a_run_is_that_of_its_day(db: Database) -> None:
    statements = StatementStore(db)
    early, late = (RunKey("toss", "day", NOON + days * HOUR * 24) for days in (700, 701))
    for key in (early, late):
        await statements.start(key, key.since + HOUR)
    for key in (early, late):
        run = await statements.run(key)
        assert run is not None
        assert run.since == key.since
    assert await statements.run(RunKey("toss", "day", late.since + HOUR)) is None
