"""What the cashier does about intents and notices, and what it leaves alone."""

import asyncio
from dataclasses import replace

import pytest

from boxoffice.payments.cashier.store import Work, WorkStore
from boxoffice.payments.intents.rules import order_id
from boxoffice.payments.intents.store import Intent
from boxoffice.payments.providers.port import PaymentStatus
from boxoffice.platform.ids import new_id
from tests.support.fake_provider import Fault
from tests.support.hall import Hall
from tests.support.refunds import returned, sold

from .support import Shop, ShownProvider, open_shop


def order(intent: Intent) -> str:
    """Return the order of an intent."""
    return order_id(intent.user_id, intent.intent_id)


async def unknown(shop: Shop, fault: Fault, at: int = 0) -> Intent:
    """Return an intent whose confirmation got no answer."""
    intent = await shop.checkout.opened(shop.hall.people[at], shop.hall.seat_ids[at])
    shop.provider.faults = [fault]
    found = await shop.checkout.confirm(intent)
    assert found.status == "UNKNOWN"
    return found


async def test_a_capture_without_an_answer_is_settled(shop: Shop) -> None:
    intent = await unknown(shop, Fault.LOST_AFTER)
    await shop.settled()
    assert (await shop.checkout.current(intent)).status == "SUCCEEDED"
    assert [one.kind for one in await shop.work()] == []
    assert len(shop.provider.confirmed) == 1


async def test_a_call_that_did_not_arrive_is_repeated_under_its_key(shop: Shop) -> None:
    intent = await unknown(shop, Fault.LOST_BEFORE)
    await shop.settled()
    assert (await shop.checkout.current(intent)).status == "SUCCEEDED"
    assert len({key for _, key in shop.provider.confirmed}) == 1
    assert shop.provider.captured_minor == 1_000


async def test_without_its_seats_nothing_is_repeated(shop: Shop) -> None:
    """Fault: an authorisation that lapsed. What can't be sold any more is not charged."""
    intent = await unknown(shop, Fault.LOST_BEFORE)
    assert intent.reservation_id is not None
    await shop.hall.lapse(intent.reservation_id)
    await shop.hall.db.fetch(
        "UPDATE payment_intents SET fenced_until = now(), hold_ends_at = now() WHERE intent_id = $1",
        intent.intent_id,
    )
    shop.provider.shown[order(intent)] = PaymentStatus.AUTHORIZED
    await shop.settled()
    assert len(shop.provider.confirmed) == 1
    assert shop.provider.abandoned == [order(intent)]
    assert (await shop.checkout.current(intent)).status == "UNKNOWN"
    shop.provider.shown[order(intent)] = PaymentStatus.EXPIRED
    await shop.settled()
    assert (await shop.checkout.current(intent)).status == "EXPIRED"


async def test_absence_is_proved_by_the_end_of_the_session_only(shop: Shop) -> None:
    intent = await unknown(shop, Fault.LOST_BEFORE)
    shop.provider.faults = [Fault.LOST_BEFORE]
    await shop.settled()
    assert (await shop.checkout.current(intent)).status == "UNKNOWN"
    await shop.hall.db.fetch(
        "UPDATE payment_intents SET session_ends_at = now() WHERE intent_id = $1", intent.intent_id
    )
    await shop.settled()
    assert (await shop.checkout.current(intent)).status == "EXPIRED"
    assert len(shop.provider.confirmed) == 2
    assert intent.reservation_id is not None
    released = await shop.hall.release(shop.hall.people[0], intent.reservation_id)
    assert released.name == "released"


async def test_a_decline_opens_the_intent_again(shop: Shop) -> None:
    intent = await unknown(shop, Fault.LOST_BEFORE)
    shop.provider.shown[order(intent)] = PaymentStatus.DECLINED
    await shop.settled()
    assert (await shop.checkout.current(intent)).status == "OPEN"
    assert [one.kind for one in await shop.work()] == ["expire"]


async def test_money_that_moved_after_the_end_is_found_by_a_statement(shop: Shop) -> None:
    """Fault: both paths completing. A second capture of a sale goes back, however it is found."""
    intent = await shop.checkout.opened(shop.hall.people[0], shop.hall.seat_ids[0])
    assert (await shop.checkout.confirm(intent)).status == "SUCCEEDED"
    first = shop.provider.book[order(intent)]
    again = replace(first.movements[0], key="again")
    shop.provider.book[order(intent)] = replace(first, movements=(*first.movements, again))
    await shop.hall.db.fetch(
        "INSERT INTO cashier_work (kind, subject_id, user_id, due_at) "
        "VALUES ('look_up', $1, $2, now())",
        intent.intent_id,
        intent.user_id,
    )
    await shop.settled()
    await shop.settled()
    assert list(shop.provider.refunded.values()) == [1_000]
    assert await shop.work() == []
    assert await shop.checkout.balances(shop.hall.people[0]) == {"cash": -1_000, "income": 1_000}


async def test_a_look_up_of_a_settled_intent_changes_nothing(shop: Shop) -> None:
    intent = await shop.checkout.opened(shop.hall.people[0], shop.hall.seat_ids[0])
    assert (await shop.checkout.confirm(intent)).status == "SUCCEEDED"
    await shop.hall.db.fetch(
        "INSERT INTO cashier_work (kind, subject_id, user_id, due_at) "
        "VALUES ('look_up', $1, $2, now())",
        intent.intent_id,
        intent.user_id,
    )
    await shop.settled()
    assert await shop.work() == []
    assert (await shop.checkout.current(intent)).status == "SUCCEEDED"
    assert len(shop.provider.confirmed) == 1


async def test_a_fence_is_renewed_while_the_outcome_is_open(shop: Shop) -> None:
    intent = await unknown(shop, Fault.LOST_BEFORE)
    before = await shop.checkout.current(intent)
    shop.provider.is_away = True
    soon = "SET expires_at = now() + interval '30 s' WHERE reservation_id = $1"
    for table in ("seats", "reservations"):
        await shop.hall.db.fetch(f"UPDATE {table} {soon}", intent.reservation_id)
    await shop.settled()
    after = await shop.checkout.current(intent)
    assert before.hold_ends_at is not None
    assert after.hold_ends_at is not None
    assert after.hold_ends_at >= before.hold_ends_at
    assert 30 < await shop.waits_s("renew") <= 60
    assert after.status == "UNKNOWN"


async def test_an_open_intent_expires_and_is_abandoned(shop: Shop) -> None:
    intent = await shop.checkout.opened(shop.hall.people[0], shop.hall.seat_ids[0])
    await shop.settled()
    assert (await shop.checkout.current(intent)).status == "OPEN", "its hold runs"
    assert await shop.waits_s("expire") > 100
    assert intent.reservation_id is not None
    await shop.hall.lapse(intent.reservation_id)
    await shop.settled()
    assert [one.kind for one in await shop.work()] == ["abandon"]
    await shop.settled()
    assert (await shop.checkout.current(intent)).status == "EXPIRED"
    assert shop.provider.abandoned == [order(intent)]
    assert await shop.work() == []


async def test_what_was_captured_after_its_end_goes_back(shop: Shop) -> None:
    """Fault: an orphaned authorisation; and paid, and no order."""
    intent = await shop.checkout.opened(shop.hall.people[0], shop.hall.seat_ids[0])
    await shop.checkout.intents.cancel(intent.user_id, intent.intent_id)
    shop.provider.capture(order(intent), 1_000)
    await shop.settled()
    assert (await shop.checkout.current(intent)).status == "RETURNING"
    await shop.settled()
    assert (await shop.checkout.current(intent)).status == "RETURNED"
    assert list(shop.provider.refunded.values()) == [1_000]
    assert await shop.checkout.balances(shop.hall.people[0]) == {}


async def test_a_provider_that_is_away_delays_no_other(hall: Hall) -> None:
    async with open_shop(hall) as shop:
        intent = await unknown(shop, Fault.LOST_AFTER)
        shop.provider.is_away = True
        await shop.settled()
        assert (await shop.checkout.current(intent)).status == "UNKNOWN"
        assert 0 < await shop.waits_s("look_up") <= 15
        shop.provider.is_available = False
        await shop.settled()
        asked = len(shop.provider.looked_up)
        await shop.settled()
        assert len(shop.provider.looked_up) == asked, "its breaker is open"
        shop.provider.is_available, shop.provider.is_away = True, False
        await shop.settled()
        assert (await shop.checkout.current(intent)).status == "SUCCEEDED"


async def test_a_queue_has_the_work_of_its_provider_only(hall: Hall) -> None:
    async with open_shop(hall) as toss, open_shop(hall, ShownProvider("stripe")) as stripe:
        await unknown(toss, Fault.LOST_AFTER)
        other = await unknown(stripe, Fault.LOST_AFTER, 1)
        await toss.hurry()
        found = await toss.store.due("stripe", {"toss", "stripe"}, (), 10)
        assert [(one.kind, one.subject_id) for one in found] == [("look_up", other.intent_id)]
        rest = await toss.store.due("", {"toss", "stripe"}, (), 10)
        assert {one.kind for one in rest} == {"renew"}
        unknown_provider = await toss.store.due("", {"toss"}, (), 10)
        assert ("look_up", other.intent_id) in {
            (one.kind, one.subject_id) for one in unknown_provider
        }
        assert await toss.store.due("stripe", {"toss", "stripe"}, [other.intent_id], 10) == []


async def test_work_in_progress_is_bounded_and_begun_once(shop: Shop) -> None:
    intents = [await unknown(shop, Fault.LOST_AFTER, at) for at in range(3)]
    shop.provider.may_answer.clear()
    await shop.hurry()
    shop.cashier.concurrent_max = 2
    for _ in range(3):
        await shop.cashier.run_once()
        await asyncio.sleep(0.05)
    assert len(shop.provider.looked_up) == 2
    shop.provider.may_answer.set()
    await asyncio.gather(*shop.cashier.in_progress)
    shop.cashier.concurrent_max = 16
    await shop.settled()
    for intent in intents:
        assert (await shop.checkout.current(intent)).status == "SUCCEEDED"
    assert len(shop.provider.looked_up) == 3


async def test_only_one_cashier_works(shop: Shop) -> None:
    intent = await unknown(shop, Fault.LOST_AFTER)
    await shop.token()
    await shop.settled()
    assert not shop.cashier.leads
    assert shop.provider.looked_up == []
    assert (await shop.checkout.current(intent)).status == "UNKNOWN"


async def test_a_cashier_that_lost_its_lease_ends_and_postpones_nothing(shop: Shop) -> None:
    await unknown(shop, Fault.LOST_AFTER)
    await unknown(shop, Fault.LOST_AFTER, 1)
    token = await shop.token()
    before = await shop.work()
    for one in before:
        await shop.store.done(one, token - 1)
        await shop.store.postpone(one, token - 1, 3_600)
    after = await shop.work()
    assert [one[:5] for one in after] == [one[:5] for one in before]
    await shop.store.postpone(before[0], token, 3_600)
    await shop.store.done(before[1], token)
    left = {(one.kind, one.subject_id) for one in await shop.work()}
    assert left == {(one.kind, one.subject_id) for one in before} - {
        (before[1].kind, before[1].subject_id)}  # fmt: skip
    moved = [one for one in await shop.work() if one.tries]
    assert [(one.kind, one.subject_id) for one in moved] == [(before[0].kind, before[0].subject_id)]


async def test_work_that_was_planned_anew_stays(shop: Shop) -> None:
    await unknown(shop, Fault.LOST_AFTER)
    token = await shop.token()
    [look_up] = [one for one in await shop.work() if one.kind == "look_up"]
    stale = look_up._replace(due_at=look_up.due_at.replace(year=2000))
    await shop.store.done(stale, token)
    await shop.store.postpone(stale, token, 3_600)
    assert [one[:5] for one in await shop.work() if one.kind == "look_up"] == [look_up[:5]]


async def test_lengths_count_what_is_due(shop: Shop) -> None:
    await unknown(shop, Fault.LOST_AFTER)
    await shop.notice(None)
    assert {one.kind: one.length for one in await shop.store.lengths()} == {"notice": 1}
    await shop.hurry()
    found = {one.kind: one for one in await shop.store.lengths()}
    assert {kind: one.length for kind, one in found.items()} == {
        "notice": 1, "look_up": 1, "renew": 1}  # fmt: skip
    assert all(one.age_s >= 0 for one in found.values())


async def test_a_notice_settles_what_is_looked_up(shop: Shop) -> None:
    """Fault: the return racing the webhook."""
    intent = await unknown(shop, Fault.LOST_AFTER)
    await shop.notice(intent)
    await shop.notice(intent)
    await shop.round()
    assert (await shop.checkout.current(intent)).status == "SUCCEEDED"
    assert await shop.notices.due("toss", (), 10) == []
    assert shop.provider.captured_minor == 1_000


async def test_a_notice_of_a_capture_that_did_not_happen_changes_nothing(shop: Shop) -> None:
    intent = await shop.checkout.opened(shop.hall.people[0], shop.hall.seat_ids[0])
    shop.provider.shown[order(intent)] = PaymentStatus.AUTHORIZED
    await shop.notice(intent, kind="PAYMENT_STATUS_CHANGED")
    await shop.round()
    assert (await shop.checkout.current(intent)).status == "OPEN"
    assert await shop.notices.due("toss", (), 10) == []


async def test_a_notice_before_its_order_is_tried_again_and_given_up_after_a_day(
    shop: Shop,
) -> None:
    """Fault: a webhook before the order exists."""
    await shop.notice(None)
    await shop.round()
    [row] = await shop.hall.db.fetch("SELECT * FROM provider_notices")
    assert (row["handled_at"], row["tries"]) == (None, 1)
    await shop.hall.db.fetch(
        "UPDATE provider_notices SET due_at = now(), received_at = now() - interval '25 hours'"
    )
    await shop.round()
    [row] = await shop.hall.db.fetch("SELECT * FROM provider_notices")
    assert row["handled_at"] is not None


async def test_a_notice_of_a_deposit_needs_its_secret(shop: Shop) -> None:
    intent = await unknown(shop, Fault.LOST_BEFORE)
    await shop.hall.db.fetch(
        "UPDATE payment_intents SET deposit_secret = 's3cret' WHERE intent_id = $1",
        intent.intent_id,
    )
    await shop.notice(intent, grade="secret", secret="guess")
    await shop.notice(intent, grade="secret")
    await shop.round()
    assert shop.provider.looked_up == []
    await shop.notice(intent, grade="secret", secret="s3cret")
    await shop.round()
    assert shop.provider.looked_up == [order(intent)]


async def test_a_notice_of_another_provider_changes_nothing(hall: Hall) -> None:
    async with open_shop(hall) as toss, open_shop(hall, ShownProvider("stripe")) as stripe:
        intent = await unknown(toss, Fault.LOST_AFTER)
        stripe.provider.book = dict(toss.provider.book)
        await stripe.notice(intent, grade="signed")
        await stripe.round()
        assert stripe.provider.looked_up == []
        assert (await toss.checkout.current(intent)).status == "UNKNOWN"


async def test_a_notice_finds_its_intent_by_the_payment(shop: Shop) -> None:
    first = await unknown(shop, Fault.LOST_AFTER)
    intent = await shop.checkout.opened(shop.hall.people[1], shop.hall.seat_ids[1])
    shop.provider.faults = [Fault.LOST_AFTER]
    await shop.checkout.confirm(intent, "another-payment")
    await shop.notice(None, grade="signed", order_id=None, payment_key="another-payment")
    await shop.round()
    assert (await shop.checkout.current(intent)).status == "SUCCEEDED"
    assert (await shop.checkout.current(first)).status == "UNKNOWN"


async def test_a_notice_wakes_the_refunds_of_its_payment(shop: Shop) -> None:
    """Fault: a pending refund never sent."""
    waiting = []
    for at in range(2):
        intent = await shop.checkout.opened(shop.hall.people[at], shop.hall.seat_ids[at])
        await shop.checkout.intents.cancel(intent.user_id, intent.intent_id)
        payment = replace(shop.provider.capture(order(intent), 1_000), payment_key=f"p{at}")
        await shop.checkout.confirmations.settle(intent, payment)
        waiting.append(intent)
    later = "UPDATE cashier_work SET due_at = now() + interval '1 hour' WHERE kind = 'refund'"
    await shop.hall.db.fetch(later)
    await shop.store.wake_refunds("toss", "p0", waiting[0].user_id)
    await shop.store.wake_refunds("toss", "p1", waiting[0].user_id)
    due = await shop.store.due("toss", {"toss"}, (), 10)
    assert [one.user_id for one in due if one.kind == "refund"] == [waiting[0].user_id]


async def test_work_of_another_release_is_left_to_it(shop: Shop) -> None:
    await shop.hall.db.fetch(
        "INSERT INTO cashier_work (kind, subject_id, user_id, due_at) "
        "VALUES ('tomorrow', $1, $1, now())",
        shop.hall.people[0],
    )
    await shop.settled()
    assert [one.kind for one in await shop.work()] == ["tomorrow"]


@pytest.mark.parametrize("count", [1, 3])
async def test_a_refund_is_paid_once_however_often_it_is_due(shop: Shop, count: int) -> None:
    """Fault: a late payment is refunded once, however often the webhook comes."""
    intent = await shop.checkout.opened(shop.hall.people[0], shop.hall.seat_ids[0])
    await shop.checkout.intents.cancel(intent.user_id, intent.intent_id)
    shop.provider.capture(order(intent), 1_000)
    for _ in range(count):
        await shop.notice(intent)
    for _ in range(count + 1):
        await shop.settled()
        await shop.notice(intent)
    assert list(shop.provider.refunded.values()) == [1_000]
    assert await shop.checkout.balances(shop.hall.people[0]) == {}


async def test_work_of_one_moment_ends_and_waits_by_itself(hall: Hall) -> None:
    store, ids = WorkStore(hall.db), [new_id() for _ in range(3)]
    lease = (
        "INSERT INTO leases (role, holder, token, expires_at) VALUES ('cashier', $1, 7, now()) "
        "ON CONFLICT (role) DO UPDATE SET token = 7"
    )
    await hall.db.fetch(lease, new_id())
    [plan] = await hall.db.fetch("SELECT clock_timestamp() AS at")
    insert = (
        "INSERT INTO cashier_work (kind, subject_id, user_id, due_at) VALUES ('expire', $1, $1, $2)"
    )
    for one in ids:
        await hall.db.fetch(insert, one, plan["at"])
    done, late, _ = (Work("expire", one, one, plan["at"], 0, None, plan["at"]) for one in ids)
    await store.done(done, 7)
    await store.postpone(late, 7, 60.0)
    rows = await hall.db.fetch("SELECT * FROM cashier_work WHERE subject_id = ANY ($1)", ids)
    assert {row["subject_id"]: row["tries"] for row in rows} == {ids[1]: 1, ids[2]: 0}


async def test_a_notice_wakes_the_refunds_of_its_payment_only(hall: Hall) -> None:
    store, buyer = WorkStore(hall.db), hall.people[0]
    made = []
    for seat_id in hall.seat_ids[:2]:
        payment = await sold(hall, buyer, seat_id, provider="toss")
        made.append((payment, await returned(hall, buyer, payment, 1_000)))
    ids = [refund.refund_id for _, refund in made]
    later = "UPDATE cashier_work SET due_at = 'infinity' WHERE subject_id = ANY ($1)"
    await hall.db.fetch(later, ids)
    await store.wake_refunds("toss", made[0][1].payment_key or "", buyer)
    due = "SELECT subject_id FROM cashier_work WHERE subject_id = ANY ($1) AND due_at < 'infinity'"
    assert [row["subject_id"] for row in await hall.db.fetch(due, ids)] == ids[:1]
