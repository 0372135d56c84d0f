"""Sales and settlement reports: their figures add up to the ledger, and each row is what was sold."""

import random
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from boxoffice.errors import ConcertNotFound, Invalid, Overloaded, ScheduleNotFound
from boxoffice.offers.rules import Reduction, SalesChannel
from boxoffice.offers.store import CodeTerms
from boxoffice.payments.refunds.policy import RefundPolicy, RefundStep
from boxoffice.platform.postgres.database import Database
from boxoffice.reports.rules import (
    ITEMS,
    Figures,
    Period,
    PeriodSettlement,
    grouped,
    period_of,
    totals,
)
from boxoffice.reports.service import Reports, ReportScope
from boxoffice.reports.store import ReportStore
from boxoffice.settings import ReportSettings
from tests.support.hall import Hall
from tests.support.invariants import broken
from tests.support.members import member
from tests.support.offers import FREE, YOUTH, OfferDesk
from tests.support.refunds import set_policy

from .history import History, booked, stretch

ZONE = ZoneInfo("Asia/Seoul")
SEED = random.SystemRandom().randrange(1 << 32)
WHOLE = Period(date(2020, 1, 1), date(2039, 12, 31))
OWN_ACCOUNTS = ("income", "fees", "disputes", "till", "terminal")
TENTH = RefundPolicy("own", (RefundStep(0, percent=10),))


def reports(db: Database, **changed: int) -> Reports:
    settings = ReportSettings(report_days_max=3_660, **changed)
    return Reports(ReportStore(db, ZONE.key), settings, ZONE.key, lambda: 1_790_000_000.0)


async def sales(hall: Hall, period: Period = WHOLE) -> list[Figures]:
    found = await reports(hall.db).sales(
        member(hall.schedule_id), ReportScope(schedule_id=hall.schedule_id), period
    )
    return [one.figures for one in found]


async def settlement(hall: Hall, period: Period = WHOLE) -> PeriodSettlement:
    found = await reports(hall.db).settlement(member(hall.schedule_id), ReportScope(), period)
    return sum((one for _, one in found), PeriodSettlement())


def total(figures: list[Figures]) -> Figures:
    return sum(figures, Figures())


async def test_the_figures_of_a_random_history_add_up_to_the_ledger(
    db: Database, hall: Hall, beside: Hall, desk: OfferDesk
) -> None:
    chance, since = random.Random(SEED), datetime.now(UTC)
    print("seed", SEED)
    for one in (hall, beside):
        await set_policy(one, TENTH)
    await desk.terms(YOUTH, FREE, fee_minor=70)
    histories = [History(hall, chance, desk), History(beside, chance)]
    for _ in range(4):
        for history in histories:
            await history.goes_on(12)
    for one in (hall, beside):
        # The checks know no lost disputes, and two lapsed holds of a seat were moved into one minute.
        known = {"income_differs_from_payments", "seat_was_promised_twice"}
        assert set(await broken(db, one.schedule_id)) <= known
    # Some seconds become some twelve days.
    await stretch(db, since, 12 * 86_400 / (datetime.now(UTC) - since).total_seconds())
    for one in (hall, beside):
        await _compare_with_ledger(one)


async def _compare_with_ledger(hall: Hall) -> None:
    actor = member(hall.schedule_id)
    entries = await booked(hall, *OWN_ACCOUNTS)
    found = await reports(hall.db).sales(actor, ReportScope(), WHOLE)
    by_day = {group.key: figures.net for group, figures in grouped(found, "day").items()}
    net: dict[str, int] = {}
    for (day, account), minor in entries.items():
        if account in ("income", "fees"):
            net[day] = net.get(day, 0) + minor
    assert {day: one for day, one in by_day.items() if one} == {d: n for d, n in net.items() if n}
    for by in ("concert", "schedule", "grade", "channel", "price_type"):
        assert total(list(grouped(found, by).values())) == totals(found)["KRW"]
    [tickets] = await hall.db.fetch(
        "SELECT count(*) FILTER (WHERE payment_id IS NOT NULL) AS sold,"
        " count(*) FILTER (WHERE payment_id IS NULL) AS given"
        " FROM tickets WHERE schedule_id = $1 AND status = 'VALID'",
        hall.schedule_id,
    )
    everything = total([one.figures for one in found])
    assert everything.seats_sold - everything.seats_returned == tickets["sold"]
    assert everything.complimentary - everything.complimentary_returned == tickets["given"]
    days = sorted({day for day, _ in entries})
    closing = 0
    for at in range(0, len(days), 2):
        period = Period(date.fromisoformat(days[at]), date.fromisoformat(days[-1]))
        owed = await settlement(hall, period)
        before = sum(minor for (day, _), minor in entries.items() if day < days[at])
        assert owed.opening == before
        assert owed.closing == sum(entries.values())
        part = await settlement(hall, Period(period.since, _day_before(days, at + 2)))
        assert (part.opening, part.closing) == (before, part.opening + sum(part.amounts))
        assert part.opening == closing
        closing = part.closing
        within = total(await sales(hall, Period(period.since, _day_before(days, at + 2))))
        amounts = dict(zip(ITEMS, part.amounts, strict=True))
        assert amounts["booking_fees"] == within.booking_fees
        assert amounts["sales"] == within.gross - within.discounts
        assert amounts["cancellation_fees"] == within.cancellation_fees
        assert amounts["refunds"] == -within.refunds - within.cancellation_fees
        assert part.disputes_lost == within.disputes_lost


def _day_before(days: list[str], at: int) -> date:
    if at >= len(days):
        return date.fromisoformat(days[-1])
    return date.fromisoformat(days[at]) - timedelta(days=1)


async def test_each_row_is_what_was_sold(hall: Hall, beside: Hall, desk: OfferDesk) -> None:
    chance = random.Random(1)
    history, other = History(hall, chance), History(beside, chance)
    buyer = hall.people[0]
    other.payments.append((buyer, await other.sold("S001", "S002")))
    await set_policy(hall, TENTH)
    payment = await history.sold("S001", "S002")
    await history.reprice_to(["S003"], 3_000, "V")
    await history.sold("S003")
    await history.returned(payment, payment.ticket_ids[0])
    # The seat is sold again, at another price and in another grade.
    await history.reprice_to(["S001"], 5_000, "V")
    await history.reprice_to(["S001"], 4_000, "S")
    await history.sold("S001")
    channel = SalesChannel("fans", "Fans", None, is_default=False)
    await desk.terms(YOUTH, FREE, channels=[channel], fee_minor=50)
    terms = CodeTerms(name="ten", reduction=Reduction(10, 0), uses_max=1, channel="fans")
    _, [code] = await desk.codes(terms)
    held = (await desk.hold(buyer, "S010", "S011", types=("free", "youth"), code=code)).held
    assert held is not None
    await hall.pay(buyer, held.reservation_id)
    await history.at_the_door("S012", "S013")
    history.issues = [await history.at_the_door("S015")]
    await history.void()
    await history.given("S014")

    found = await reports(hall.db).sales(member(hall.schedule_id), ReportScope(), WHOLE)
    assert totals(found)["KRW"].seats_sold == 9
    by_type = grouped(found, "price_type")
    assert {group.key: one.gross for group, one in by_type.items()} == {
        "": 12_000, "youth": 670, "free": 0,
    }  # fmt: skip
    by_way = grouped(found, "channel")
    assert {group.key: (one.seats_sold, one.gross) for group, one in by_way.items()} == {
        "online": (4, 9_000), "online/fans": (2, 670), "box_office": (3, 3_000),
        "complimentary": (0, 0),
    }  # fmt: skip
    fans = next(one for group, one in by_way.items() if group.key == "online/fans")
    assert (fans.discounts, fans.booking_fees, fans.net) == (67, 50, 653)
    door = next(one for group, one in by_way.items() if group.key == "box_office")
    assert (door.seats_returned, door.refunds, door.net) == (1, 1_000, 2_000)
    by_grade = {group.key: one for group, one in grouped(found, "grade").items()}
    assert {key: one.gross for key, one in by_grade.items()} == {
        "R": 5_670, "S": 4_000, "V": 3_000,
    }  # fmt: skip
    assert by_grade["R"] == Figures(
        seats_sold=7, gross=5_670, discounts=67, booking_fees=50, seats_returned=2, refunds=1_900,
        cancellation_fees=100, complimentary=1,
    )  # fmt: skip


async def test_a_lost_dispute_costs_its_payment_and_returns_no_seat(hall: Hall) -> None:
    history = History(hall, random.Random(1))
    mine, other = await history.outside("S001"), await history.outside("S002", "S003")
    await history.court(mine, "OPEN", 400)
    await history.court(other, "LOST", 601)
    await history.court(other, "LOST", 400, "2")
    figures = total(await sales(hall))
    assert (figures.disputes_lost, figures.seats_returned, figures.net) == (1_001, 0, 1_999)
    for before, after in ((-9, -2), (2, 9)):
        today = datetime.now(ZONE).date()
        period = Period(today + timedelta(days=before), today + timedelta(days=after))
        assert await sales(hall, period) == []
    owed = await settlement(hall)
    amounts = dict(zip(ITEMS, owed.amounts, strict=True))
    assert (amounts["disputes_withdrawn"], owed.disputes_lost) == (-1_401, 1_001)
    assert owed.closing == 1_599


async def test_a_report_is_of_ones_own_organizations_and_of_what_was_asked_for(
    hall: Hall, beside: Hall
) -> None:
    await History(hall, random.Random(1)).sold("S001")
    await History(beside, random.Random(1)).sold("S001", "S002")
    service, me = reports(hall.db), member(hall.schedule_id)
    here, there = hall.schedule_id, beside.schedule_id
    both = member(here, here, there)
    for scope, seats in (
        (ReportScope(), 3), (ReportScope(organization_id=here), 1), (ReportScope(concert_id=there), 2),
        (ReportScope(schedule_id=here), 1),
    ):  # fmt: skip
        found = await service.sales(both, scope, WHOLE)
        assert sum(one.figures.seats_sold for one in found) == seats
    with pytest.raises(ScheduleNotFound):
        await service.sales(me, ReportScope(schedule_id=there), WHOLE)
    with pytest.raises(ConcertNotFound):
        await service.settlement(me, ReportScope(concert_id=there), WHOLE)
    with pytest.raises(Invalid, match="1 performances"):
        await reports(hall.db, report_performances_max=1).sales(both, ReportScope(), WHOLE)
    busy = reports(hall.db, reports_concurrent_max=1)
    async with busy.place():
        with pytest.raises(Overloaded):
            await busy.sales(me, ReportScope(), WHOLE)
    assert await busy.sales(me, ReportScope(), WHOLE)


async def test_a_report_is_of_one_moment(hall: Hall) -> None:
    store, history = ReportStore(hall.db, ZONE.key), History(hall, random.Random(1))
    [performance] = await store.performances([hall.schedule_id], None, None, 9)
    async with store.snapshot() as snapshot:
        before = await snapshot.movements(performance, WHOLE)
        await history.sold("S001")
        assert await snapshot.movements(performance, WHOLE) == before == []


async def test_days_are_those_of_the_venue(hall: Hall, beside: Hall) -> None:
    await History(hall, random.Random(1)).sold("S001")
    moment = datetime(2026, 3, 8, 4, 30, tzinfo=UTC)
    await hall.db.fetch(
        "UPDATE payments SET created_at = $2 WHERE schedule_id = $1", hall.schedule_id, moment
    )
    await History(hall, random.Random(1)).given("S002")
    await hall.db.fetch(
        "UPDATE ticket_issues SET issued_at = $2 WHERE schedule_id = $1", hall.schedule_id, moment
    )
    venue = """
        WITH v AS (INSERT INTO venues (venue_id, organization_id, name, country, time_zone)
                   VALUES (gen_random_uuid(), $1, 'Hall', 'US', $2) RETURNING venue_id)
        UPDATE schedules SET venue_id = v.venue_id FROM v WHERE schedule_id = $1
    """
    first, second = date(2026, 3, 7), date(2026, 3, 8)
    await hall.db.fetch(venue, beside.schedule_id, "Pacific/Pago_Pago")
    for zone_day, others_day in ((second, first), (first, second)):
        found = await reports(hall.db).sales(
            member(hall.schedule_id), ReportScope(), Period(zone_day, zone_day)
        )
        assert [one.day for one in found] == [zone_day, zone_day]
        assert await sales(hall, Period(others_day, others_day)) == []
        if zone_day == second:
            await hall.db.fetch(venue, hall.schedule_id, "America/New_York")


def test_a_period_is_whole_days_of_a_zone() -> None:
    zone = ZoneInfo("America/New_York")
    since, until = Period(date(2026, 3, 8), date(2026, 3, 8)).bounds(zone)
    # Clocks go forward on this day.
    assert until - since == timedelta(hours=23)
    today = date(2026, 11, 30)
    assert period_of(None, None, today, 90) == (date(2026, 11, 1), today)
    assert period_of(date(2026, 12, 24), None, today, 90) == (
        date(2026, 12, 24),
        date(2026, 12, 24),
    )
    with pytest.raises(Invalid):
        period_of(date(2026, 2, 1), date(2026, 1, 1), today, 90)
    with pytest.raises(Invalid):
        period_of(date(2026, 1, 1), date(2026, 4, 1), today, 90)
    assert period_of(date(2026, 1, 1), date(2026, 3, 31), today, 90).since == date(2026, 1, 1)
