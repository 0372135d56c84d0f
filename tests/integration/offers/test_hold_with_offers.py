"""What offers decide about a hold: prices, codes, presales, quotas, and seats sold together."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from boxoffice.offers.rules import Reduction, SalesChannel, SeatPrice
from boxoffice.offers.store import CodeTerms
from boxoffice.payments.refunds.service import RefundRequest
from boxoffice.platform.ids import ScopedId
from boxoffice.platform.postgres.database import Database
from boxoffice.reservations.store import ReservationStore
from tests.support.hall import Hall, open_hall
from tests.support.invariants import broken
from tests.support.offers import FREE, YOUTH, OfferDesk
from tests.support.refunds import refunds

HOUR = timedelta(hours=1)


def _channel(code: str, quota: int | None, *, is_default: bool = False) -> SalesChannel:
    return SalesChannel(code, code, quota, is_default)


async def _uses(hall: Hall) -> list[int]:
    query = "SELECT taken FROM offer_codes WHERE schedule_id = $1 ORDER BY code_hash"
    return [row["taken"] for row in await hall.db.fetch(query, hall.schedule_id)]


async def _seats_taken(hall: Hall) -> dict[str, int]:
    query = "SELECT code, taken FROM sales_channels WHERE schedule_id = $1"
    return {row["code"]: row["taken"] for row in await hall.db.fetch(query, hall.schedule_id)}


async def test_a_seat_costs_its_type_less_the_discount_and_the_fee(
    hall: Hall, desk: OfferDesk
) -> None:
    await desk.terms(YOUTH, FREE, fee_minor=50)
    terms = CodeTerms(name="ten off", reduction=Reduction(10, 5))
    _, [code] = await desk.codes(terms, code="TENOFF")
    outcome = await desk.hold(
        hall.people[0], "S002", "S001", "S003", types=("youth", "", "free"), code="ten-off "
    )
    held = outcome.held
    assert (outcome.name, code) == ("held", "TENOFF")
    assert held is not None
    assert held.lines == (
        SeatPrice("youth", 670, 72, 50),
        SeatPrice("", 1_000, 105, 50),
        SeatPrice("free", 0, 0, 0),
    )
    assert held.amount_minor == sum(line.paid_minor for line in held.lines) == 1_593
    found = await ReservationStore(hall.db).get(
        hall.schedule_id, held.reservation_id, hall.people[0]
    )
    assert found is not None
    assert (found.lines, found.amount_minor) == (held.lines, held.amount_minor)
    paid = await hall.pay(hall.people[0], held.reservation_id)
    assert paid.payment is not None
    assert paid.payment.amount_minor == 1_593
    assert not await broken(hall.db, hall.schedule_id)


async def test_without_offers_the_plain_function_decides(hall: Hall, desk: OfferDesk) -> None:
    plain = await hall.hold(hall.people[0], "S001")
    assert plain.held is not None
    assert plain.held.lines == ()
    await desk.terms(fee_minor=7)
    # Another process that has never seen the offers.
    outcome = await hall.hold(hall.people[1], "S002")
    assert outcome.held is not None
    assert (outcome.held.amount_minor, outcome.held.lines) == (
        1_007,
        (SeatPrice("", 1_000, 0, 7),),
    )
    await desk.terms()
    again = await hall.hold(hall.people[1], "S003")
    assert again.held is not None
    assert (again.held.amount_minor, again.held.lines) == (1_000, ())


async def test_a_type_that_does_not_exist_or_is_for_another_grade_is_refused(
    hall: Hall, desk: OfferDesk, db: Database, settings: object
) -> None:
    await desk.terms(YOUTH, FREE)
    await hall.db.fetch(
        "UPDATE seats SET grade = 'S' WHERE schedule_id = $1 AND seat_id = 'S002'",
        hall.schedule_id,
    )
    outcome = await desk.hold(
        hall.people[0], "S001", "S002", "S003", types=("free", "free", "child")
    )
    assert (outcome.name, outcome.seat_ids) == ("price_type_unknown", ("S002", "S003"))
    elsewhere = await open_hall(db)
    assert (
        await OfferDesk(elsewhere, desk.offers).hold(elsewhere.people[0], "S001", types=("youth",))
    ).name == "price_type_unknown"


async def test_a_repetition_has_its_first_outcome_also_when_the_code_is_used_up(
    hall: Hall, desk: OfferDesk
) -> None:
    await desk.terms(YOUTH)
    batch_id, [code] = await desk.codes()
    first = await desk.hold(hall.people[0], "S001", types=("youth",), code=code, key="k")
    await desk.terms(fee_minor=900)
    await desk.disable(batch_id)
    again = await desk.hold(hall.people[0], "S001", types=("youth",), code=code, key="k")
    assert (first.name, again.name) == ("held", "replayed")
    assert again.held == first.held
    assert (await desk.hold(hall.people[1], "S002", code=code)).name == "code_invalid"


@pytest.mark.parametrize("end", ["release", "lapse", "expire", "refund"])
async def test_a_use_returns_with_the_end_of_its_hold(
    hall: Hall, desk: OfferDesk, end: str
) -> None:
    await desk.terms(channels=[_channel("fans", 2)])
    terms = CodeTerms(name="fans", reduction=Reduction(), uses_max=1, channel="fans")
    _, [code, other] = await desk.codes(terms, count=2)
    one, two = hall.people[:2]
    reservation_id = await desk.held(one, "S001", "S002", code=code)
    assert (await desk.hold(two, "S003", code=code)).name == "code_used_up"
    assert (await desk.hold(two, "S003", code=other)).name == "quota_exhausted"
    if end == "release":
        await hall.release(one, reservation_id)
    elif end == "refund":
        await _refund(hall, one, reservation_id)
    else:
        await hall.lapse(reservation_id)
        if end == "expire":
            await hall.expire()
    assert (await desk.hold(two, "S003", code=code)).name == "held"
    assert (await desk.hold(two, "S004", code=other)).name == "held"
    assert (await desk.hold(two, "S005", code=other)).name == "code_used_up"
    assert sorted(await _uses(hall)) == [1, 1]
    assert await _seats_taken(hall) == {"fans": 2}
    assert not await broken(hall.db, hall.schedule_id)


async def _refund(hall: Hall, person: UUID, reservation_id: UUID) -> None:
    paid = (await hall.pay(person, reservation_id)).payment
    assert paid is not None
    payment = ScopedId(hall.schedule_id, paid.payment_id)
    for ticket in paid.ticket_ids:
        quoted = await refunds(hall).quote(person, payment, [ticket])
        assert quoted.quote is not None
        request = RefundRequest(payment, [ticket], quoted.quote.refund_minor, "wallet", str(ticket))
        await refunds(hall).refund(person, request)


async def test_a_refund_gives_back_what_was_paid_for_the_ticket(
    hall: Hall, desk: OfferDesk
) -> None:
    await desk.terms(YOUTH, fee_minor=50)
    _, [code] = await desk.codes(CodeTerms(name="d", reduction=Reduction(10)))
    one = hall.people[0]
    outcome = await desk.hold(one, "S001", "S002", types=("youth", ""), code=code)
    assert outcome.held is not None
    await _refund(hall, one, outcome.held.reservation_id)
    assert await hall.balance(one) == 20_000
    query = "SELECT amount_minor, fee_minor FROM refunds WHERE schedule_id = $1 ORDER BY refund_id"
    found = [tuple(row) for row in await hall.db.fetch(query, hall.schedule_id)]
    assert found == [(670 - 67 + 50, 0), (1_000 - 100 + 50, 0)]


async def test_a_paid_use_stays(hall: Hall, desk: OfferDesk) -> None:
    await desk.terms(channels=[_channel("web", 3, is_default=True)])
    _, [code] = await desk.codes()
    reservation_id = await desk.held(hall.people[0], "S001", "S002", code=code)
    await hall.pay(hall.people[0], reservation_id)
    for _ in range(2):
        assert (await desk.hold(hall.people[1], "S003", "S004")).name == "quota_exhausted"
        assert (await desk.hold(hall.people[1], "S003", code=code)).name == "code_used_up"
    assert (await desk.hold(hall.people[1], "S003")).name == "held"


async def test_a_batch_never_passes_a_limit_together(hall: Hall, desk: OfferDesk) -> None:
    await desk.terms(channels=[_channel("web", 3, is_default=True), _channel("fans", 1)])
    terms = CodeTerms(name="fans", reduction=Reduction(), uses_max=1, channel="fans")
    _, [code] = await desk.codes(terms)
    a, b, c, d = hall.people
    commands = [
        desk.command(a, "S001", "S002"),
        desk.command(b, "S002"),
        desk.command(c, "S003", "S004"),
        desk.command(d, "S005", code=code),
        desk.command(a, "S006", code=code),
    ]
    names = [one.name for one in await hall.hold_batch(*commands)]
    assert names == ["held", "seat_taken", "offers_busy", "held", "offers_busy"]
    names = [one.name for one in await hall.hold_batch(commands[2], commands[4])]
    assert names == ["quota_exhausted", "code_used_up"]
    assert await _seats_taken(hall) == {"web": 2, "fans": 1}


@pytest.mark.parametrize(
    ("terms", "name"),
    [
        ({"seats_max": 1}, "code_limit"),
        ({"valid_from": datetime.now(UTC) + HOUR}, "presale_only"),
        ({"valid_until": datetime.now(UTC) - HOUR}, "code_invalid"),
        ({"valid_from": datetime.now(UTC) - HOUR, "valid_until": datetime.now(UTC) + HOUR}, "held"),
    ],
)
async def test_a_code_has_limits_and_a_window(
    hall: Hall, desk: OfferDesk, terms: dict[str, object], name: str
) -> None:
    _, [code] = await desk.codes(CodeTerms(name="c", reduction=Reduction(), **terms))  # type: ignore[arg-type]
    assert (await desk.hold(hall.people[0], "S001", "S002", code=code)).name == name


async def test_a_shared_code_has_a_limit_per_person(hall: Hall, desk: OfferDesk) -> None:
    terms = CodeTerms(name="shared", reduction=Reduction(), is_shared=True, person_uses_max=1)
    await desk.codes(terms, code="FRIENDS")
    one, two = hall.people[:2]
    both = [desk.command(one, seat, code="friends") for seat in ("S001", "S002")]
    assert [o.name for o in await hall.hold_batch(*both)] == ["held", "offers_busy"]
    assert (await hall.hold_batch(both[1]))[0].name == "code_limit"
    reservation_id = await desk.held(two, "S003", code="FRIENDS")
    await hall.release(two, reservation_id)
    assert (await desk.hold(two, "S003", code="FRIENDS")).name == "held"


async def test_several_codes_of_a_batch_share_the_limit_per_person(
    hall: Hall, desk: OfferDesk
) -> None:
    terms = CodeTerms(name="fans", reduction=Reduction(), uses_max=1, person_uses_max=1)
    _, [first, second, third] = await desk.codes(terms, count=3)
    one, two = hall.people[:2]
    commands = [
        desk.command(one, "S001", code=first),
        desk.command(one, "S002", code=second),
        desk.command(two, "S003", code=third),
    ]
    names = [outcome.name for outcome in await hall.hold_batch(*commands)]
    assert names == ["held", "offers_busy", "held"]
    assert (await hall.hold_batch(commands[1]))[0].name == "code_limit"


async def test_a_presale_is_for_its_codes(hall: Hall, desk: OfferDesk) -> None:
    await desk.terms(public_from=datetime.now(UTC) + HOUR)
    _, [presale] = await desk.codes(
        CodeTerms(name="fans", reduction=Reduction(), is_presale=True), code="FANS"
    )
    _, [discount] = await desk.codes(CodeTerms(name="d", reduction=Reduction(10)), code="TEN")
    one = hall.people[0]
    assert (await desk.hold(one, "S001")).name == "presale_only"
    assert (await desk.hold(one, "S001", code=discount)).name == "presale_only"
    assert (await desk.hold(one, "S001", code="WRONG")).name == "code_invalid"
    assert (await desk.hold(one, "S001", code=presale)).name == "held"
    await desk.terms(public_from=datetime.now(UTC) - HOUR)
    assert (await desk.hold(one, "S002")).name == "held"


async def test_an_accessible_seat_and_its_companion_are_sold_together(
    hall: Hall, desk: OfferDesk
) -> None:
    await desk.pairs(("S001", "S002"))
    one, two = hall.people[:2]
    alone = await desk.hold(one, "S001", "S003")
    assert (alone.name, alone.seat_ids) == ("companion_required", ("S001",))
    assert (await desk.hold(one, "S002")).name == "companion_required"
    reservation_id = await desk.held(one, "S003", "S002", "S001")
    await hall.pay(one, reservation_id)
    # One of both comes back: without its partner, which is sold, it can be sold alone.
    await hall.db.fetch(
        "UPDATE seats SET state = 'AVAILABLE', reservation_id = NULL, user_id = NULL"
        " WHERE schedule_id = $1 AND seat_id = 'S001'",
        hall.schedule_id,
    )
    assert (await desk.hold(two, "S001")).name == "held"


async def test_what_offers_refuse_leaves_the_neighbours_of_a_batch_alone(
    hall: Hall, desk: OfferDesk
) -> None:
    await desk.terms(YOUTH)
    a, b, c, d = hall.people
    outcomes = await hall.hold_batch(
        desk.command(a, "S001", "S002", types=("youth", "child")),
        desk.command(b, "S002", "S003", types=("youth", "")),
        desk.command(c, "S003", "S004"),
        desk.command(d, "S001", code="NOSUCHCODE"),
    )
    assert [(one.name, one.seat_ids) for one in outcomes] == [
        ("price_type_unknown", ("S002",)),
        ("held", ()),
        ("seat_taken", ("S003",)),
        ("code_invalid", ()),
    ]
    held = outcomes[1].held
    assert held is not None
    assert [line.price_minor for line in held.lines] == [670, 1_000]
    assert outcomes[1].seat_versions == (2, 2)


async def test_a_code_of_another_schedule_is_unknown(
    hall: Hall, desk: OfferDesk, db: Database, settings: object
) -> None:
    _, [code] = await desk.codes()
    elsewhere = await open_hall(db)
    other = OfferDesk(elsewhere, desk.offers)
    assert (await other.hold(elsewhere.people[0], "S001", code=code)).name == "code_invalid"
