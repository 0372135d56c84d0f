"""What organizers set, what buyers are shown of it, and how codes are kept."""

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import msgspec
import pytest

from boxoffice.errors import OutcomeUnknown, ScheduleNotFound, TooMany
from boxoffice.offers import rules
from boxoffice.offers import store as offer_store
from boxoffice.offers.errors import (
    CodeBatchNotFound,
    CodeInvalid,
    CodesShown,
    TermsRefused,
)
from boxoffice.offers.rules import PriceType, Reduction, SalesChannel, SeatPair, Terms
from boxoffice.offers.service import OfferEditor, Offers, SeatNote
from boxoffice.offers.store import CodeTerms, OfferStore
from boxoffice.offers.throttle import CodeThrottle
from boxoffice.platform.conditional import PreconditionFailed
from boxoffice.platform.postgres.database import Database
from boxoffice.platform.valkey import Valkey
from boxoffice.settings import Settings
from tests.support.hall import Hall, open_hall
from tests.support.offers import FREE, YOUTH, OfferDesk

HOUR = timedelta(hours=1)
DISCOUNT = CodeTerms(name="Ten", reduction=Reduction(10), uses_max=1)


def _stranger() -> OfferEditor:
    return OfferEditor(uuid4(), [uuid4()])


async def _decides(hall: Hall) -> bool:
    query = "SELECT has_offers FROM schedules WHERE schedule_id = $1"
    [row] = await hall.db.fetch(query, hall.schedule_id)
    return bool(row["has_offers"])


async def test_the_database_computes_the_prices_of_the_rules(db: Database) -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    cases = [
        (
            chance.randrange(10 ** chance.randrange(1, 13)),
            chance.randrange(101),
            chance.randrange(10_000),
        )
        for _ in range(2_000)
    ]
    query = """
        SELECT offers_reduced_v1(u.price, u.percent, u.amount) AS price
          FROM unnest($1::bigint[], $2::integer[], $3::bigint[])
               WITH ORDINALITY u (price, percent, amount, at) ORDER BY u.at
    """
    rows = await db.fetch(query, *map(list, zip(*cases, strict=True)))
    assert [row["price"] for row in rows] == [
        Reduction(percent, amount).of(price) for price, percent, amount in cases
    ]


async def test_terms_are_shown_as_they_were_set(desk: OfferDesk, hall: Hall, db: Database) -> None:
    opens_at = datetime(2031, 1, 2, 3, 4, tzinfo=UTC)
    channels = (SalesChannel("fans", "Fans", 5, False), SalesChannel("web", "Web", None, True))
    await desk.terms(FREE, YOUTH, channels=channels, fee_minor=7, public_from=opens_at)
    await desk.pairs(
        ("S002", "S001"), notes=[SeatNote("Pillar", "기둥", section="S", first=2, last=3)]
    )
    await desk.codes(CodeTerms(name="Early", reduction=Reduction(), is_presale=True, uses_max=1))
    off, _ = await desk.codes(
        CodeTerms(name="Never", reduction=Reduction(), is_presale=True, uses_max=1)
    )
    await desk.disable(off)
    elsewhere = OfferDesk(await open_hall(db, price_minor=9), desk.offers)
    await elsewhere.terms(YOUTH, channels=[SalesChannel("x", "X", 1, False)])
    await elsewhere.pairs(("S001", "S002"))
    await elsewhere.codes(CodeTerms(name="Else", reduction=Reduction(), is_presale=True))
    found = await desk.offers.shown(hall.schedule_id)
    assert found.terms == Terms(opens_at, 7, (FREE, YOUTH), channels)
    assert [one.name for one in found.presales] == ["Early"]
    assert found.grades == (("R", 1_000),)
    assert [(one.seat_id, one.partner_id, one.is_accessible, one.note) for one in found.seats] == [
        ("S001", "S002", False, ""),
        ("S002", "S001", True, "Pillar"),
        ("S003", None, False, "Pillar"),
    ]
    assert await desk.offers.paired_seats(hall.schedule_id) == {"S001", "S002"}


async def test_what_is_not_on_offer_is_its_organizers(desk: OfferDesk, hall: Hall) -> None:
    await hall.change_schedule("status = 'DRAFT'")
    with pytest.raises(ScheduleNotFound):
        await desk.offers.shown(hall.schedule_id)
    own = await desk.offers.own([hall.schedule_id], hall.schedule_id)
    assert (own.version, own.has_offers) == (0, False)
    with pytest.raises(ScheduleNotFound):
        await desk.offers.own([uuid4()], hall.schedule_id)


async def test_offers_decide_while_there_are_any(desk: OfferDesk, hall: Hall) -> None:
    assert not await _decides(hall)
    for change in (
        lambda: desk.terms(YOUTH),
        lambda: desk.terms(fee_minor=1),
        lambda: desk.terms(public_from=datetime.now(UTC)),
        lambda: desk.terms(channels=[SalesChannel("x", "X", None, True)]),
        lambda: desk.pairs(("S001", "S002")),
    ):
        await change()
        assert await _decides(hall)
        await desk.terms()
        await desk.pairs()
        assert not await _decides(hall)
    await desk.pairs(notes=[SeatNote("View", "시야", ("S001",))])
    assert not await _decides(hall)
    await desk.codes()
    assert await _decides(hall)


async def test_an_editor_who_has_not_seen_the_last_change_is_refused(
    desk: OfferDesk, hall: Hall
) -> None:
    terms = Terms(None, 5, (), ())
    outcomes = await asyncio.gather(
        *(desk.offers.set_terms(desk.actor, hall.schedule_id, 0, terms) for _ in range(2)),
        return_exceptions=True,
    )
    assert sorted(type(one).__name__ for one in outcomes) == [
        "PreconditionFailed", "ScheduleOffers",
    ]  # fmt: skip
    # What is said about seats belongs to the same version.
    pairs = [SeatPair("S001", "S002")]
    with pytest.raises(PreconditionFailed):
        await desk.offers.set_seats(desk.actor, hall.schedule_id, 0, pairs, [])
    after = await desk.offers.set_seats(desk.actor, hall.schedule_id, 1, pairs, [])
    assert after.version == 2
    with pytest.raises(PreconditionFailed):
        await desk.offers.set_terms(desk.actor, hall.schedule_id, 1, terms)
    elsewhere = OfferDesk(await open_hall(hall.db), desk.offers)
    assert (await elsewhere.terms()).version == 1
    await desk.pairs()
    assert (await elsewhere.terms()).version == 2
    with pytest.raises(ScheduleNotFound):
        await desk.offers.set_terms(_stranger(), hall.schedule_id, 1, terms)


async def test_a_quota_counts_what_its_channel_has_sold(desk: OfferDesk, hall: Hall) -> None:
    web = SalesChannel("web", "Web", None, True)
    await desk.terms(channels=[web])
    one, two = hall.people[:2]
    await desk.held(one, "S001", "S002")
    released = await desk.held(two, "S003")
    await hall.release(two, released)
    with pytest.raises(TermsRefused, match="2 seats"):
        await desk.terms(channels=[SalesChannel("web", "Web", 1, True)])
    with pytest.raises(TermsRefused, match="No seat"):
        await desk.terms(PriceType("a", "A", "A", "", "", Reduction(), ("Z",)))
    await desk.terms(channels=[SalesChannel("web", "Web", 3, True)])
    assert (await desk.hold(two, "S003", "S004")).name == "quota_exhausted"
    assert (await desk.hold(two, "S003")).name == "held"


async def test_pairs_name_seats_of_the_schedule(desk: OfferDesk, hall: Hall) -> None:
    with pytest.raises(TermsRefused, match="'nowhere'"):
        await desk.pairs(("S001", "nowhere"))
    pairs = [SeatPair("S001", "S002")]
    with pytest.raises(ScheduleNotFound):
        await desk.offers.set_seats(_stranger(), hall.schedule_id, 0, pairs, [])


async def test_codes_are_kept_as_digests_and_shown_once(desk: OfferDesk, hall: Hall) -> None:
    key = str(uuid4())
    make = desk.offers.make_codes
    made = await make(desk.actor, hall.schedule_id, key, DISCOUNT, 3, "")
    assert len({*made.codes}) == 3
    assert all(len(rules.normalized(code)) == rules.CODE_LENGTH for code in made.codes)
    with pytest.raises(CodesShown):
        await make(desk.actor, hall.schedule_id, key, DISCOUNT, 3, "")
    text = str(await hall.db.fetch("SELECT * FROM offer_codes, code_batches"))
    assert not any(code in text or rules.normalized(code) in text for code in made.codes)
    await desk.held(hall.people[0], "S001", code=made.codes[0])
    await desk.codes(DISCOUNT, count=2)
    batch, codes = await desk.offers.codes([hall.schedule_id], hall.schedule_id, made.batch_id)
    assert (batch.codes, batch.uses, batch.terms) == (3, 1, DISCOUNT)
    assert sorted((one.suffix, one.taken) for one in codes) == sorted(
        (rules.suffix(code), int(code == made.codes[0])) for code in made.codes
    )
    with pytest.raises(CodeBatchNotFound):
        await desk.offers.codes([uuid4()], hall.schedule_id, made.batch_id)


async def test_a_shared_code_is_of_one_batch(desk: OfferDesk, hall: Hall, db: Database) -> None:
    await desk.codes(DISCOUNT, code="SUMMER")
    with pytest.raises(TermsRefused):
        await desk.codes(DISCOUNT, code="sum-mer")
    with pytest.raises(TermsRefused):
        await desk.codes(DISCOUNT, code="a!")
    await OfferDesk(await open_hall(db), desk.offers).codes(DISCOUNT, code="SUMMER")
    assert len(await desk.offers.batches([hall.schedule_id], hall.schedule_id)) == 1
    with pytest.raises(ScheduleNotFound):
        await desk.offers.make_codes(_stranger(), hall.schedule_id, str(uuid4()), DISCOUNT, 1, "")


async def test_one_code_or_a_whole_batch_is_disabled(desk: OfferDesk, hall: Hall) -> None:
    batch_id, [one, two] = await desk.codes(DISCOUNT, count=2)
    other, [three] = await desk.codes(DISCOUNT)
    await desk.disable(batch_id, one)
    with pytest.raises(CodeBatchNotFound):
        await desk.disable(batch_id, three)
    assert [await _gives(desk, code) for code in (one, two, three)] == [False, True, True]
    assert (await desk.hold(hall.people[0], "S001", code=one)).name == "code_invalid"
    await desk.disable(batch_id)
    assert [await _gives(desk, code) for code in (two, three)] == [False, True]
    with pytest.raises(CodeBatchNotFound):
        await desk.disable(uuid4())
    with pytest.raises(ScheduleNotFound):
        await desk.offers.disable(_stranger(), hall.schedule_id, other, "")


async def _gives(desk: OfferDesk, code: str) -> bool:
    try:
        found = await desk.offers.grant(uuid4(), str(uuid4()), desk.hall.schedule_id, code)
    except CodeInvalid:
        return False
    return found.reduction == DISCOUNT.reduction


async def test_a_code_that_has_ended_gives_nothing(desk: OfferDesk, db: Database) -> None:
    ended = CodeTerms(name="Ended", reduction=Reduction(10), valid_until=datetime.now(UTC) - HOUR)
    await desk.codes(ended, code="ENDED")
    await desk.codes(DISCOUNT, code="LASTING")
    assert [await _gives(desk, code) for code in ("ENDED", "LASTING")] == [False, True]
    elsewhere = OfferDesk(await open_hall(db), desk.offers)
    assert not await _gives(elsewhere, "LASTING")


def _attempts(
    hall: Hall, settings: Settings, valkey: Valkey
) -> Callable[[UUID, str, str], Awaitable[str]]:
    """Return what attempts codes at a process of its own: a person, a code and an address."""
    offers = Offers(OfferStore(hall.db), CodeThrottle(settings.offers, valkey), 1.0, 10)

    async def attempt(user_id: UUID, typed: str, address: str) -> str:
        try:
            await offers.grant(user_id, address, hall.schedule_id, typed)
        except (CodeInvalid, TooMany) as refusal:
            return refusal.code
        return "given"

    return attempt


@pytest.mark.parametrize("valkey_is_away", [False, True])
async def test_wrong_codes_are_limited_per_account_and_address(
    desk: OfferDesk, hall: Hall, valkey: Valkey, settings: Settings, valkey_is_away: bool
) -> None:
    limits = settings.replace(code_failures_per_account_max=3, code_failures_per_address_max=5)
    away = Valkey(settings.replace(valkey_url="redis://127.0.0.1:1").valkey)
    attempt = _attempts(hall, limits, away if valkey_is_away else valkey)
    _, [code] = await desk.codes(DISCOUNT)
    one, two, three = uuid4(), uuid4(), uuid4()
    here, there = str(uuid4()), str(uuid4())
    assert [await attempt(one, code, here) for _ in range(9)] == ["given"] * 9
    # Concurrent guesses do not pass the limit together.
    guesses = await asyncio.gather(*(attempt(one, "WRONG", here) for _ in range(6)))
    assert Counter(guesses) == {"code_invalid": 3, "too_many_requests": 3}
    assert await attempt(one, code, here) == "too_many_requests"
    assert await attempt(one, code, there) == "too_many_requests"
    assert [await attempt(two, "WRONG", here) for _ in range(2)] == ["code_invalid"] * 2
    assert await attempt(two, code, here) == "too_many_requests"
    assert await attempt(three, code, here) == "too_many_requests"
    assert await attempt(three, code, there) == "given"
    await away.close()


async def test_wrong_codes_at_another_process_count_too(
    desk: OfferDesk, hall: Hall, valkey: Valkey, settings: Settings
) -> None:
    limits = settings.replace(code_failures_per_account_max=3)
    first, second = (_attempts(hall, limits, valkey) for _ in range(2))
    _, [code] = await desk.codes(DISCOUNT)
    one, here = uuid4(), str(uuid4())
    assert [await first(one, "WRONG", here) for _ in range(3)] == ["code_invalid"] * 3
    assert await second(one, "WRONG", here) == "too_many_requests"
    assert await second(one, code, here) == "too_many_requests"


async def test_codes_keep_their_channel(desk: OfferDesk, db: Database) -> None:
    """Without it they would count against the default one, whatever its quota."""
    elsewhere = OfferDesk(await open_hall(db), desk.offers)
    await elsewhere.terms(channels=[SalesChannel("fans", "Fans", 1, False)])
    terms = CodeTerms(name="fans", reduction=Reduction(), uses_max=1, channel="fans")
    for channels in ([], [SalesChannel("web", "Web", None, True)]):
        await desk.terms(channels=channels)
        with pytest.raises(TermsRefused):
            await desk.codes(terms)
    await desk.terms(channels=[SalesChannel("fans", "Fans", 1, False)])
    batch_id, _ = await desk.codes(terms)
    over = datetime.now(UTC) - HOUR
    await desk.codes(msgspec.structs.replace(terms, valid_until=over))
    with pytest.raises(TermsRefused):
        await desk.terms()
    await elsewhere.terms()
    await desk.disable(batch_id)
    await desk.terms()


async def test_the_last_note_about_a_seat_is_shown(desk: OfferDesk) -> None:
    """Of seats by id, by section, by row and by number, as each note alone would name them."""
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    ids = desk.hall.seat_ids
    numbers: list[int | None] = [None, *range(len(ids) + 2)]
    notes: list[SeatNote] = []
    wanted: dict[str, str] = {}
    for at in range(30):
        if at % 3 == 0:
            few = chance.sample(ids, 2)
            notes.append(SeatNote(f"{at}", "k", seat_ids=[*few, "elsewhere"]))
            wanted |= dict.fromkeys(few, f"{at}")
            continue
        section, row = chance.choice(["S", "S", "T"]), chance.choice([None, "1", "2"])
        first, last = chance.choice(numbers), chance.choice(numbers)
        notes.append(SeatNote(f"{at}", "k", section=section, row=row, first=first, last=last))
        wanted |= {
            seat_id: f"{at}"
            for number, seat_id in enumerate(ids, 1)
            if (section, row or "1") == ("S", "1")
            and (first is None or first <= number)
            and (last is None or number <= last)
        }
    await desk.pairs(notes=notes)
    shown = await desk.offers.own([desk.hall.schedule_id], desk.hall.schedule_id)
    assert {one.seat_id: one.note for one in shown.seats} == wanted


async def test_a_lost_answer_is_said_to_be_lost(desk: OfferDesk, db: Database) -> None:
    async def begun() -> None:
        async with OfferStore(db).transaction() as connection:
            pid = await connection.fetchval("SELECT pg_backend_pid()")
            await db.fetch("SELECT pg_terminate_backend($1, 5000)", pid)
            await offer_store.begin_terms(connection, desk.hall.schedule_id)

    with pytest.raises(OutcomeUnknown):
        await begun()
