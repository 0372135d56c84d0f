"""Opening an intent: one for a hold, extended once, under one key."""

from datetime import timedelta
from uuid import uuid4

import pytest

from boxoffice.errors import (
    AlreadyPaid,
    AmountInvalid,
    HoldExpired,
    IdempotencyKeyReused,
    IntentFinal,
    NotHeld,
    PaymentInProgress,
    PaymentMethodUnknown,
    PaymentProviderUnavailable,
    ReservationNotFound,
)
from boxoffice.payments.intents.rules import order_id
from boxoffice.payments.intents.store import IntentStore, OpenCommand
from boxoffice.payments.providers.port import (
    DeclineReason,
    ProviderDeclined,
    ProviderError,
    ProviderMisconfigured,
    ProviderUnavailable,
    ProviderUnknown,
)
from boxoffice.platform.ids import ScopedId
from tests.support.checkout import BOUNDS, Checkout, reservation_of
from tests.support.fake_provider import FakeProvider
from tests.support.hall import Hall, open_hall
from tests.support.invariants import broken


async def test_the_first_intent_of_a_hold_extends_it_and_no_later_one_does(hall: Hall) -> None:
    checkout = Checkout(hall)
    short = await open_hall(hall.db, hold_ttl_s=10)
    checkout = Checkout(short)
    buyer = short.people[0]
    neighbour = await checkout.opened(buyer, "S009")
    reservation = await short.held(buyer, "S001", "S002")
    before = (await short.seat("S001"))["expires_at"]
    first = await checkout.open(buyer, reservation)
    extended = (await short.seat("S001"))["expires_at"]
    assert extended > before + timedelta(seconds=280)
    assert (await short.seat("S002"))["expires_at"] == extended == first.hold_ends_at
    assert not await broken(short.db, short.schedule_id)
    await checkout.intents.cancel(buyer, first.intent_id)
    await short.db.fetch(
        "UPDATE reservations SET expires_at = expires_at - interval '100 s'"
        " WHERE reservation_id = $1",
        reservation,
    )
    await short.db.fetch(
        "UPDATE seats SET expires_at = expires_at - interval '100 s' WHERE reservation_id = $1",
        reservation,
    )
    again = await checkout.open(buyer, reservation)
    assert again.hold_ends_at == extended - timedelta(seconds=100)
    assert (await short.seat("S001"))["expires_at"] == again.hold_ends_at
    assert (await checkout.current(neighbour)).status == "OPEN"
    await checkout.close()


async def test_a_longer_hold_is_not_shortened(hall: Hall) -> None:
    long = await open_hall(hall.db, hold_ttl_s=3_600)
    checkout = Checkout(long)
    reservation = await long.held(long.people[0], "S001")
    before = await long.seat("S001")
    intent = await checkout.open(long.people[0], reservation)
    after = await long.seat("S001")
    assert (after["expires_at"], after["version"]) == (before["expires_at"], before["version"])
    assert intent.hold_ends_at == before["expires_at"]
    await checkout.close()


async def test_a_return_delay_keeps_its_length(hall: Hall) -> None:
    await hall.change_schedule("seats_return_delay_max_s = 60")
    checkout = Checkout(hall)
    reservation = await hall.held(hall.people[0], "S001")
    hold = "SELECT expires_at FROM reservations WHERE reservation_id = $1"
    [before] = await hall.db.fetch(hold, reservation)
    delay = (await hall.seat("S001"))["expires_at"] - before["expires_at"]
    intent = await checkout.open(hall.people[0], reservation)
    assert intent.hold_ends_at is not None
    assert (await hall.seat("S001"))["expires_at"] - intent.hold_ends_at == delay
    await checkout.close()


async def test_one_key_is_one_intent(checkout: Checkout, hall: Hall) -> None:
    buyer, other = hall.people[:2]
    reservation = await hall.held(buyer, "S001")
    first = await checkout.open(buyer, reservation, "k")
    assert await checkout.open(buyer, reservation, "k") == first
    with pytest.raises(IdempotencyKeyReused):
        await checkout.open(buyer, await hall.held(buyer, "S002"), "k")
    another = await checkout.open(other, await hall.held(other, "S003"), "k")
    assert another.intent_id != first.intent_id
    later = await checkout.open(buyer, await hall.held(buyer, "S004"), "l")
    assert later.intent_id != first.intent_id


async def test_a_lost_answer_is_found_by_its_key(checkout: Checkout, hall: Hall) -> None:
    buyer, other = hall.people[:2]
    reservation = await hall.held(buyer, "S001")
    command = OpenCommand(buyer, "k", b"f", "toss", 60.0, reservation)
    [made] = await checkout.store.open(hall.schedule_id, [command])
    assert made.name == "opened"
    [found] = await checkout.store.find_opened([command])
    assert found is not None
    assert (found.name, found.intent_id) == ("replayed", command.intent_id)
    others = [
        OpenCommand(buyer, "k", b"g", "toss", 60.0, reservation),
        OpenCommand(other, "k", b"f", "toss", 60.0, reservation),
        OpenCommand(buyer, "l", b"f", "toss", 60.0, reservation),
    ]
    reused, *nothing = await checkout.store.find_opened(others)
    assert reused is not None
    assert (reused.name, nothing) == ("key_reused", [None, None])


async def test_a_hold_is_being_paid_once_at_a_time(checkout: Checkout, hall: Hall) -> None:
    buyer = hall.people[0]
    intent = await checkout.opened(buyer, "S001")
    reservation = reservation_of(intent)
    with pytest.raises(PaymentInProgress) as refusal:
        await checkout.open(buyer, reservation)
    assert refusal.value.extra["intent_id"] == order_id(buyer, intent.intent_id)
    await hall.top_up(buyer, 1_000)
    assert (await hall.pay(buyer, reservation)).name == "payment_in_progress"
    assert (await hall.release(buyer, reservation)).name == "payment_in_progress"
    await checkout.intents.cancel(buyer, intent.intent_id)
    await checkout.intents.cancel(buyer, intent.intent_id)
    assert await checkout.work(intent) == ["abandon"]
    with pytest.raises(IntentFinal):
        await checkout.confirm(intent)
    assert (await checkout.open(buyer, reservation)).status == "OPEN"


async def test_what_was_given_up_can_be_released(checkout: Checkout, hall: Hall) -> None:
    buyer = hall.people[0]
    intent = await checkout.opened(buyer, "S001")
    await checkout.intents.cancel(buyer, intent.intent_id)
    assert (await hall.release(buyer, reservation_of(intent))).name == "released"
    assert not await broken(hall.db, hall.schedule_id)


async def test_a_lapsed_hold_that_was_being_paid_is_not_held(
    checkout: Checkout, hall: Hall
) -> None:
    intent = await checkout.opened(hall.people[0], "S001")
    await hall.lapse(reservation_of(intent))
    outcome = await hall.release(hall.people[0], reservation_of(intent))
    assert outcome.name == "not_held"


async def test_two_requests_of_one_batch_make_one_intent(checkout: Checkout, hall: Hall) -> None:
    buyer, other = hall.people[:2]
    mine, foreign = await hall.held(buyer, "S001"), await hall.held(other, "S002")
    commands = [
        OpenCommand(buyer, "a", b"f", "toss", 60.0, mine),
        OpenCommand(buyer, "b", b"f", "toss", 60.0, mine),
        OpenCommand(buyer, "c", b"f", "toss", 60.0, foreign),
        OpenCommand(other, "d", b"f", "toss", 60.0, foreign),
    ]
    outcomes = await checkout.store.open(hall.schedule_id, commands)
    assert [one.name for one in outcomes] == [
        "opened",
        "payment_in_progress",
        "reservation_not_found",
        "opened",
    ]
    assert [one.intent_id for one in outcomes[::3]] == [
        commands[0].intent_id,
        commands[3].intent_id,
    ]
    [row] = await hall.db.fetch(
        "SELECT provider, session_ends_at - created_at AS session FROM payment_intents"
        " WHERE intent_id = $1",
        commands[0].intent_id,
    )
    assert tuple(row) == ("toss", timedelta(seconds=60))


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        ("paid", AlreadyPaid),
        ("released", NotHeld),
        ("lapsed", HoldExpired),
        ("swept", HoldExpired),
        ("taken over", HoldExpired),
        ("another's", ReservationNotFound),
        ("unknown", ReservationNotFound),
        ("free of charge", AmountInvalid),
        ("too small", AmountInvalid),
    ],
)
async def test_what_is_not_ones_own_hold_is_refused(
    hall: Hall, state: str, expected: type[Exception]
) -> None:
    free = await open_hall(hall.db, price_minor=0 if state == "free of charge" else 1_000)
    provider = FakeProvider()
    provider.amount_min = 2_000 if state == "too small" else 0
    checkout = Checkout(free, provider)
    buyer, other = free.people[:2]
    reservation = await free.held(buyer, "S001")
    if state == "paid":
        await free.top_up(buyer, 1_000)
        await free.pay(buyer, reservation)
    elif state == "released":
        await free.release(buyer, reservation)
    elif state in {"lapsed", "swept", "taken over"}:
        await free.lapse(reservation)
    if state == "swept":
        await free.expire()
    elif state == "taken over":
        await free.held(other, "S001")
        await free.db.fetch(
            "UPDATE reservations SET expires_at = expires_at + interval '2 days'"
            " WHERE reservation_id = $1",
            reservation,
        )
    person = other if state == "another's" else buyer
    with pytest.raises(expected):
        await checkout.open(person, uuid4() if state == "unknown" else reservation)
    [count] = await free.db.fetch(
        "SELECT count(*) AS n FROM payment_intents WHERE user_id = ANY ($1)", free.people
    )
    assert count["n"] == 0
    await checkout.close()


async def test_an_unknown_method_or_schedule_is_refused(checkout: Checkout, hall: Hall) -> None:
    buyer = hall.people[0]
    reservation = ScopedId(hall.schedule_id, await hall.held(buyer, "S001"))
    with pytest.raises(PaymentMethodUnknown):
        await checkout.intents.open(buyer, reservation, "k", "shells")
    with pytest.raises(ReservationNotFound):
        await checkout.intents.open(buyer, ScopedId(uuid4(), uuid4()), "k", "toss")


async def test_the_methods_are_the_wallet_and_the_providers(checkout: Checkout, hall: Hall) -> None:
    checkout.provider.is_available = False
    shown = [(one.name, one.is_available, one.is_test) for one in checkout.intents.methods()]
    assert shown == [("wallet", True, False), ("toss", False, True)]


async def test_what_the_browser_needs_is_kept_and_made_once(hall: Hall) -> None:
    checkout = Checkout(hall, FakeProvider(makes_payments=True))
    buyer = hall.people[0]
    reservation = await hall.held(buyer, "S001")
    command = OpenCommand(buyer, "k", b"f", "toss", 60.0, reservation)
    await checkout.store.open(hall.schedule_id, [command])
    intent = await checkout.confirmations.current(buyer, command.intent_id)
    other = await checkout.opened(hall.people[1], "S002")
    assert intent.client is None, "the process died before it asked the provider"
    await checkout.store.keep_client(intent, {"a": "1"}, "p1")
    await checkout.store.keep_client(intent, {"a": "2"}, "p2")
    kept = await checkout.current(intent)
    assert (kept.client, kept.payment_key) == ({"a": "1"}, "p1")
    assert other.client is not None
    assert other.client["payment_key"] == (await checkout.current(other)).payment_key
    await checkout.close()


@pytest.mark.parametrize("error", [ProviderUnavailable, ProviderUnknown, ProviderMisconfigured])
async def test_an_intent_that_the_provider_could_not_prepare_ends(
    hall: Hall, error: type[ProviderError]
) -> None:
    checkout = Checkout(hall, FakeProvider(makes_payments=True))
    buyer = hall.people[0]
    reservation = await hall.held(buyer, "S001")
    checkout.provider.open_fails = error()
    for _ in range(2):
        with pytest.raises(PaymentProviderUnavailable):
            await checkout.open(buyer, reservation, "k")
    assert checkout.provider.opened_count == 1, "a repetition repeats the answer"
    calls = """
        SELECT operation, idempotency_key, outcome
          FROM provider_calls JOIN provider_answers USING (user_id, call_id) WHERE user_id = $1
    """
    [call] = await hall.db.fetch(calls, buyer)
    outcomes = {ProviderUnavailable: "unavailable", ProviderMisconfigured: "misconfigured"}
    assert (call["operation"], call["outcome"]) == ("open", outcomes.get(error, "unknown"))
    assert call["idempotency_key"].endswith("-open")
    checkout.provider.open_fails = None
    again = await checkout.open(buyer, reservation, "l")
    assert again.status == "OPEN"
    await checkout.intents.cancel(buyer, again.intent_id)
    await hall.top_up(buyer, 100_000)
    assert (await hall.pay(buyer, reservation)).name == "paid", "the wallet takes the hold"
    assert not await broken(hall.db, hall.schedule_id)
    await checkout.close()


async def test_an_intent_that_the_provider_declines_ends(hall: Hall) -> None:
    checkout = Checkout(hall, FakeProvider(makes_payments=True))
    buyer = hall.people[0]
    reservation = await hall.held(buyer, "S001")
    checkout.provider.open_fails = ProviderDeclined(DeclineReason.AMOUNT_REFUSED)
    with pytest.raises(AmountInvalid):
        await checkout.open(buyer, reservation)
    assert (await hall.release(buyer, reservation)).name == "released"
    await checkout.close()


async def test_a_failed_preparation_leaves_what_another_request_prepared(hall: Hall) -> None:
    checkout = Checkout(hall, FakeProvider(makes_payments=True))
    buyer = hall.people[0]
    reservation = await hall.held(buyer, "S001")
    command = OpenCommand(buyer, "k", b"f", "toss", 60.0, reservation)
    await checkout.store.open(hall.schedule_id, [command])
    intent = await checkout.confirmations.current(buyer, command.intent_id)
    await checkout.store.keep_client(intent, {"a": "1"}, "p1")
    await checkout.intents._give_up(intent)
    assert (await checkout.current(intent)).status == "OPEN"
    await checkout.close()


async def test_an_intent_whose_hold_is_over_is_shown_as_expired(
    checkout: Checkout, hall: Hall
) -> None:
    intent = await checkout.opened(hall.people[0], "S001")
    await hall.db.fetch(
        "UPDATE payment_intents SET hold_ends_at = clock_timestamp() WHERE intent_id = $1",
        intent.intent_id,
    )
    assert (await checkout.current(intent)).status == "EXPIRED"
    assert (await checkout.row(intent))["status"] == "OPEN"


async def test_of_reservation_is_ones_own(checkout: Checkout, hall: Hall) -> None:
    buyer, other = hall.people[:2]
    intent = await checkout.opened(buyer, "S001")
    store: IntentStore = checkout.store
    held = hall.schedule_id, reservation_of(intent)
    assert await store.of_reservation(*held, buyer) == intent.intent_id
    assert await store.of_reservation(*held, other) is None
    asked = [OpenCommand(who, "k", b"f", "toss", 60.0, held[1]) for who in (buyer, other)]
    mine, others = await store.payable(hall.schedule_id, asked)
    assert mine is not None
    assert others is None
    await hall.lapse(reservation_of(intent))
    assert BOUNDS.attempts_max == 5
