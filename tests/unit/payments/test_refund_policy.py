"""The cancellation fee: the steps of the presets to the second, and what holds for every policy."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from boxoffice.payments.refunds import policy
from boxoffice.payments.refunds.policy import (
    PRESETS,
    GracePeriod,
    PolicyInvalid,
    Quote,
    RefundableTicket,
    RefundPolicy,
    RefundStep,
)

SEOUL = ZoneInfo("Asia/Seoul")
ZONES = [
    ZoneInfo(name)
    for name in ("Asia/Seoul", "UTC", "Europe/Berlin", "America/New_York", "Africa/Cairo")
]
DAY = date(2026, 12, 24)
STARTS_AT = datetime.combine(DAY, time(19, 30), SEOUL)
LONG_AGO = STARTS_AT - timedelta(days=100)
SECOND = timedelta(seconds=1)
STANDARD = PRESETS["kr_standard"]
MARKET = PRESETS["kr_market"]


def days_before(days: int, at: time = time()) -> datetime:
    """The time of day so many calendar days before the performance, in Seoul."""
    return datetime.combine(DAY - timedelta(days=days), at, SEOUL)


def fee(
    of: RefundPolicy, now: datetime, booked_at: datetime = LONG_AGO, price: int = 100_000
) -> int | None:
    found = policy.quote(of, [RefundableTicket("t", price)], booked_at, STARTS_AT, now, SEOUL)
    return None if found is None else found.fee_minor


@pytest.mark.parametrize(
    ("last_day", "percent", "next_percent"),
    [(10, 0, 10), (7, 10, 20), (3, 20, 30), (1, 30, 90)],
)
def test_the_standard_changes_at_midnight_in_seoul(
    last_day: int, percent: int, next_percent: int
) -> None:
    midnight = days_before(last_day - 1)
    assert fee(STANDARD, midnight - SECOND) == percent * 1000
    assert fee(STANDARD, midnight) == next_percent * 1000


def test_the_standard_ends_when_the_performance_begins() -> None:
    assert fee(STANDARD, STARTS_AT - SECOND) == 90_000
    assert fee(STANDARD, STARTS_AT) is None


def test_a_day_of_the_standard_is_one_of_the_venue_and_not_of_utc() -> None:
    now = datetime(2026, 12, 13, 15, 0, tzinfo=UTC)  # midnight of the 14th in Seoul
    assert fee(STANDARD, now - SECOND) == 0
    assert fee(STANDARD, now) == 0
    assert fee(STANDARD, now + timedelta(days=1)) == 10_000


def test_the_standard_waives_the_fee_for_24_hours() -> None:
    booked_at = days_before(4, time(21, 15))
    assert fee(STANDARD, booked_at, booked_at) == 0
    assert fee(STANDARD, booked_at + timedelta(hours=24) - SECOND, booked_at) == 0
    assert fee(STANDARD, booked_at + timedelta(hours=24), booked_at) == 20_000


def test_the_24_hours_of_the_standard_end_three_days_before() -> None:
    booked_at = days_before(3, time(21))
    assert fee(STANDARD, days_before(2) - SECOND, booked_at) == 0
    assert fee(STANDARD, days_before(2), booked_at) == 30_000


def test_the_market_takes_a_flat_fee_after_seven_days() -> None:
    booked_at = days_before(40, time(12))
    assert fee(MARKET, days_before(32) - SECOND, booked_at) == 0
    assert fee(MARKET, days_before(32), booked_at) == 4000


def test_the_flat_fee_of_the_market_is_at_most_a_tenth() -> None:
    assert fee(MARKET, days_before(20), price=39_999) == 3999
    assert fee(MARKET, days_before(20), price=40_000) == 4000
    assert fee(MARKET, days_before(20), price=9) == 0


def test_the_seven_days_of_the_law_end_ten_days_before() -> None:
    booked_at = days_before(11, time(12))
    assert fee(MARKET, days_before(9) - SECOND, booked_at) == 0
    assert fee(MARKET, days_before(9), booked_at) == 10_000


@pytest.mark.parametrize(
    ("days", "percent"), [(9, 10), (7, 10), (6, 20), (3, 20), (2, 30), (1, 30)]
)
def test_the_steps_of_the_market(days: int, percent: int) -> None:
    assert fee(MARKET, days_before(days, time(9))) == percent * 1000


def test_the_market_takes_nothing_back_on_the_day() -> None:
    assert fee(MARKET, days_before(0) - SECOND) == 30_000
    assert fee(MARKET, days_before(0)) is None


def test_none_takes_nothing_back() -> None:
    assert fee(PRESETS["none"], LONG_AGO) is None


def test_a_leap_day_counts() -> None:
    starts_at = datetime(2028, 3, 10, 19, tzinfo=SEOUL)
    ticket = [RefundableTicket("t", 1000)]

    def fee_on(day: date) -> int:
        now = datetime.combine(day, time(12), SEOUL)
        found = policy.quote(STANDARD, ticket, LONG_AGO, starts_at, now, SEOUL)
        assert found is not None
        return found.fee_minor

    assert fee_on(date(2028, 2, 29)) == 0
    assert fee_on(date(2028, 3, 1)) == 100


@pytest.mark.parametrize(
    ("zone", "day", "hours"),
    [
        ("America/New_York", date(2026, 3, 8), 23),
        ("America/New_York", date(2026, 11, 1), 25),
        ("America/Sao_Paulo", date(2018, 11, 4), 23),  # the clocks skip midnight
        ("America/Havana", date(2024, 11, 3), 25),  # midnight comes twice
    ],
)
def test_a_calendar_day_may_have_23_or_25_hours(zone: str, day: date, hours: int) -> None:
    begin, end = (policy.start_of_day(one, ZoneInfo(zone)) for one in (day, day + timedelta(1)))
    assert end - begin == timedelta(hours=hours)
    for moment in (begin, end - SECOND):
        assert policy.days_between(moment, end, ZoneInfo(zone)) == 1
    assert policy.days_between(begin - SECOND, end, ZoneInfo(zone)) == 2


def test_the_booking_fee_is_apart_from_the_price() -> None:
    booked_at = days_before(20, time(12))
    ticket = [RefundableTicket("t", 50_000, booking_fee_minor=2000)]

    def refund(now: datetime) -> Quote:
        found = policy.quote(MARKET, ticket, booked_at, STARTS_AT, now, SEOUL)
        assert found is not None
        return found

    assert refund(days_before(19) - SECOND).refund_minor == 52_000
    assert refund(days_before(19)).refund_minor == 50_000
    assert refund(days_before(9)).refund_minor == 45_000


def test_the_organizer_pays_everything_back_and_a_tenth() -> None:
    tickets = [RefundableTicket("a", 33_333, 1000), RefundableTicket("b", 9)]
    found = policy.organizers_fault(tickets, STARTS_AT)
    assert found.refund_minor == 34_342
    assert found.fee_minor == 0
    assert found.compensation_minor == 3333


@pytest.mark.parametrize(
    "steps",
    [
        (RefundStep(3), RefundStep(3, percent=10)),
        (RefundStep(3), RefundStep(4, percent=10)),
        (RefundStep(3, percent=20), RefundStep(1, percent=10)),
        (RefundStep(3, flat_minor=500), RefundStep(1, percent=10)),
        (RefundStep(3, percent=101),),
        (RefundStep(3, cap_percent=-1),),
        (RefundStep(3, flat_minor=-1),),
        (RefundStep(3, cap_minor=-1),),
        (RefundStep(-1),),
        (RefundStep(4000),),
        tuple(RefundStep(100 - at) for at in range(21)),
    ],
)
def test_a_policy_that_makes_no_sense_is_refused(steps: tuple[RefundStep, ...]) -> None:
    with pytest.raises(PolicyInvalid):
        policy.check_policy(RefundPolicy("own", steps), "KRW")


def test_a_flat_fee_is_of_one_currency() -> None:
    policy.check_policy(MARKET, "KRW")
    with pytest.raises(PolicyInvalid):
        policy.check_policy(MARKET, "JPY")


@pytest.mark.parametrize("preset", PRESETS.values(), ids=lambda preset: preset.name)
def test_the_presets_are_valid_and_keep_their_form_as_json(preset: RefundPolicy) -> None:
    policy.check_policy(preset, "KRW")
    assert msgspec.json.decode(msgspec.json.encode(preset), type=RefundPolicy) == preset


prices = st.integers(0, 10**9)
percents = st.integers(0, 100)
steps = st.builds(
    RefundStep,
    days_before=st.integers(0, 30),
    percent=percents,
    flat_minor=st.integers(0, 10_000),
    cap_percent=percents,
    cap_minor=st.none() | st.integers(0, 10**6),
)


def is_valid(one: RefundPolicy) -> bool:
    try:
        policy.check_policy(one, "KRW")
    except PolicyInvalid:
        return False
    return True


grace = st.builds(
    GracePeriod,
    days_before=st.integers(0, 12),
    hours=st.integers(1, 200),
    days=st.none() | st.integers(0, 10),
)
own_policies = st.builds(
    RefundPolicy,
    name=st.just("own"),
    steps=st.lists(steps, max_size=4, unique_by=lambda step: step.days_before).map(
        lambda found: tuple(sorted(found, key=lambda s: (s.percent, s.flat_minor, s.cap_percent)))
    ),
    grace=st.lists(grace, max_size=2).map(tuple),
    booking_fee_days=st.none() | st.integers(0, 10),
).map(
    lambda one: RefundPolicy(
        one.name,
        tuple(
            RefundStep(days, step.percent, step.flat_minor, step.cap_percent, step.cap_minor)
            for days, step in zip(
                sorted((step.days_before for step in one.steps), reverse=True),
                one.steps,
                strict=True,
            )
        ),
        one.grace,
        one.booking_fee_days,
    )
)
policies = st.sampled_from(list(PRESETS.values())) | own_policies.filter(is_valid)
tickets_paid = st.lists(
    st.builds(
        RefundableTicket,
        ticket_id=st.uuids().map(str),
        price_minor=prices,
        booking_fee_minor=st.integers(0, 5000),
    ),
    min_size=1,
    max_size=6,
)
moments = st.integers(0, 3 * 365 * 86400).map(
    lambda passed_s: datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=passed_s)
)
spans = st.timedeltas(timedelta(0), timedelta(days=45))


@given(policies, tickets_paid, moments, spans, spans, st.sampled_from(ZONES))
def test_a_refund_is_within_what_was_paid(
    of: RefundPolicy,
    tickets: list[RefundableTicket],
    booked_at: datetime,
    until_start: timedelta,
    waited: timedelta,
    zone: ZoneInfo,
) -> None:
    found = policy.quote(of, tickets, booked_at, booked_at + until_start, booked_at + waited, zone)
    if found is None:
        return
    for ticket, line in zip(tickets, found.lines, strict=True):
        assert line.refund_minor >= 0
        assert line.fee_minor >= 0
        paid = ticket.price_minor + ticket.booking_fee_minor
        assert line.refund_minor + line.fee_minor == paid
        assert line.fee_minor <= paid


@given(policies, prices, moments, spans, spans, spans, st.sampled_from(ZONES))
def test_a_later_return_costs_no_less(
    of: RefundPolicy,
    price: int,
    booked_at: datetime,
    until_start: timedelta,
    waited: timedelta,
    longer: timedelta,
    zone: ZoneInfo,
) -> None:
    ticket, starts_at = [RefundableTicket("t", price, 2000)], booked_at + until_start
    early = policy.quote(of, ticket, booked_at, starts_at, booked_at + waited, zone)
    late = policy.quote(of, ticket, booked_at, starts_at, booked_at + waited + longer, zone)
    assert late is None or early is not None
    if early is not None and late is not None:
        assert early.fee_minor <= late.fee_minor


@given(policies, tickets_paid, moments, spans, st.data(), st.sampled_from(ZONES))
def test_partial_refunds_sum_up_to_no_more_than_was_paid(
    of: RefundPolicy,
    tickets: list[RefundableTicket],
    booked_at: datetime,
    until_start: timedelta,
    data: st.DataObject,
    zone: ZoneInfo,
) -> None:
    """Each ticket is returned alone, in any order, at a time of its own."""
    starts_at = booked_at + until_start
    returned = 0
    for ticket in data.draw(st.permutations(tickets)):
        now = booked_at + data.draw(spans)
        found = policy.quote(of, [ticket], booked_at, starts_at, now, zone)
        if found is not None:
            returned += found.refund_minor
    assert returned <= sum(ticket.price_minor + ticket.booking_fee_minor for ticket in tickets)


@given(policies, prices, moments, spans, spans, st.floats(0, 1), st.sampled_from(ZONES))
def test_a_quote_holds_until_its_end(
    of: RefundPolicy,
    price: int,
    booked_at: datetime,
    until_start: timedelta,
    waited: timedelta,
    share: float,
    zone: ZoneInfo,
) -> None:
    ticket, starts_at = [RefundableTicket("t", price, 2000)], booked_at + until_start
    now = booked_at + waited
    found = policy.quote(of, ticket, booked_at, starts_at, now, zone)
    if found is None:
        return
    assert found.valid_until > now
    later = min(now + (found.valid_until - now) * share, found.valid_until - SECOND / 1000)
    if later >= now:
        assert policy.quote(of, ticket, booked_at, starts_at, later, zone) == found
