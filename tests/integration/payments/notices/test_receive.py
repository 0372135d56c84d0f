"""Notices of providers: kept once and before they are acknowledged, or refused without a trace."""

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta

import msgspec
import pytest
import stripe

from boxoffice.batching import GroupCommit, GroupCommitLimits
from boxoffice.errors import NotFound, NoticeRefused, Overloaded, Problem
from boxoffice.payments.notices.service import Notices
from boxoffice.payments.notices.store import NoticeStore
from boxoffice.payments.providers.registry import open_providers
from boxoffice.platform.ids import ScopedId, new_id
from boxoffice.platform.lease.store import LeaseStore
from boxoffice.platform.postgres.database import Database, Record
from boxoffice.settings import Settings
from tests.support.simulators import STRIPE_KEYS, TOSS_KEYS

SECRET = STRIPE_KEYS["stripe_webhook_secrets"]


@dataclass
class Receiver:
    """The service of one process."""

    notices: Notices
    store: NoticeStore
    db: Database
    group_commit: GroupCommit

    async def token(self) -> int:
        """Take the cashier's lease."""
        token = await LeaseStore(self.db, "cashier", new_id()).take(1)
        assert token is not None
        return token

    async def rows(self) -> list[Record]:
        """Return what is kept."""
        return await self.db.fetch("SELECT * FROM provider_notices ORDER BY received_at")


@pytest.fixture
async def receiver(db: Database) -> AsyncIterator[Receiver]:
    """A service with both providers; nothing is called."""
    await db.fetch("DELETE FROM provider_notices")
    settings = Settings.of(**TOSS_KEYS, **STRIPE_KEYS).providers
    async with open_providers(settings) as providers:
        store, group_commit = NoticeStore(db), GroupCommit(GroupCommitLimits())
        yield Receiver(Notices(store, group_commit, providers, 8), store, db, group_commit)
        await group_commit.close()


def new_order_id() -> str:
    """Return an order id such as an intent has."""
    return str(ScopedId(new_id(), new_id()))


def toss_body(order_id: str, **data: object) -> bytes:
    """Return a notice of a payment's status."""
    event = {
        "eventType": "PAYMENT_STATUS_CHANGED",
        "createdAt": "2026-11-30T10:00:00.000000",
        "data": {"orderId": order_id, "paymentKey": "tviva-1", "status": "DONE", **data},
    }
    return msgspec.json.encode(event)


def stripe_body(event_id: str, order_id: str | None) -> bytes:
    """Return an event about a payment intent."""
    metadata = {} if order_id is None else {"order_id": order_id}
    shown = {"object": "payment_intent", "id": "pi_1", "metadata": metadata}
    event = {"id": event_id, "object": "event", "type": "payment_intent.succeeded",
             "data": {"object": shown}}  # fmt: skip
    return msgspec.json.encode(event)


def signed(body: bytes, at: float | None = None, secret: str = SECRET) -> dict[str, str]:
    """Return the headers of a body, signed by the provider's own library."""
    when = int(time.time() if at is None else at)
    signature = stripe.WebhookSignature._compute_signature(f"{when}.{body.decode()}", secret)
    return {"stripe-signature": f"t={when},v1={signature}"}


async def test_a_notice_is_kept_as_it_came_and_is_due_at_once(receiver: Receiver) -> None:
    order_id = new_order_id()
    body = toss_body(order_id)
    assert await receiver.notices.receive("toss", {}, body)
    [row] = await receiver.rows()
    assert (row["provider"], row["grade"], row["order_id"], row["payment_key"], row["body"]) == (
        "toss", "hint", order_id, "tviva-1", body)  # fmt: skip
    assert row["handled_at"] is None
    assert [one.order_id for one in await receiver.store.due("toss", (), 10)] == [order_id]
    assert await receiver.store.due("stripe", (), 10) == []


async def test_a_signed_notice_is_kept_once_however_often_it_comes(receiver: Receiver) -> None:
    body = stripe_body("evt_1", new_order_id())
    fresh = await asyncio.gather(
        *(receiver.notices.receive("stripe", signed(body), body) for _ in range(8))
    )
    # One in flight is shared by those that come meanwhile.
    assert any(fresh)
    assert not await receiver.notices.receive("stripe", signed(body), body)
    [row] = await receiver.rows()
    assert (row["notice_id"], row["grade"]) == ("evt_1", "signed")


async def test_a_repetition_after_the_handling_is_not_due_again(receiver: Receiver) -> None:
    body = stripe_body("evt_2", new_order_id())
    await receiver.notices.receive("stripe", signed(body), body)
    [due] = await receiver.store.due("stripe", (), 10)
    await receiver.store.handled(due, await receiver.token())
    assert not await receiver.notices.receive("stripe", signed(body), body)
    assert await receiver.store.due("stripe", (), 10) == []


async def test_a_cashier_without_the_lease_ends_and_postpones_nothing(receiver: Receiver) -> None:
    await receiver.notices.receive("toss", {}, toss_body(new_order_id()))
    [due] = await receiver.store.due("toss", (), 10)
    token = await receiver.token()
    await receiver.store.handled(due, token - 1)
    await receiver.store.postpone(due, token - 1, 3_600)
    assert len(await receiver.store.due("toss", (), 10)) == 1


async def test_only_the_notice_that_was_handled_is(receiver: Receiver) -> None:
    for at in range(3):
        body = stripe_body(f"evt_many_{at}", new_order_id())
        await receiver.notices.receive("stripe", signed(body), body)
    first, second, third = await receiver.store.due("stripe", (), 10)
    token = await receiver.token()
    await receiver.store.handled(first, token)
    await receiver.store.postpone(first, token, 0.0)
    await receiver.store.postpone(second, token, 3_600)
    left = await receiver.store.due("stripe", (), 10)
    assert [one.notice_id for one in left] == [third.notice_id]
    assert await receiver.store.due("stripe", [third.notice_id], 10) == []


async def test_old_notices_are_dropped_and_open_ones_stay(receiver: Receiver) -> None:
    for at in range(3):
        body = stripe_body(f"evt_old_{at}", new_order_id())
        await receiver.notices.receive("stripe", signed(body), body)
    due = await receiver.store.due("stripe", (), 10)
    await receiver.store.handled(due[0], await receiver.token())
    await receiver.store.handled(due[1], await receiver.token())
    age = "UPDATE provider_notices SET handled_at = now() - $2::interval WHERE notice_id = $1"
    await receiver.db.fetch(age, due[0].notice_id, timedelta(days=6))
    # Its provider may send it again.
    await receiver.db.fetch(age, due[1].notice_id, timedelta(days=4))
    assert await receiver.store.drop_old(7 * 86_400) == 0
    assert await receiver.store.drop_old(60) == 1
    assert {row["notice_id"] for row in await receiver.rows()} == {
        due[1].notice_id, due[2].notice_id}  # fmt: skip


async def test_a_failed_event_is_not_deduplicated_for_ever(receiver: Receiver) -> None:
    """Fault: a failed event deduplicated for ever."""
    body = stripe_body("evt_3", new_order_id())
    await receiver.notices.receive("stripe", signed(body), body)
    [due] = await receiver.store.due("stripe", (), 10)
    await receiver.store.postpone(due, await receiver.token(), 0.0)
    assert not await receiver.notices.receive("stripe", signed(body), body)
    [again] = await receiver.store.due("stripe", (), 10)
    assert (again.notice_id, again.tries) == ("evt_3", 1)


@pytest.mark.parametrize(
    "kind", ["another secret", "no signature", "changed body", "stale", "early"]
)
async def test_a_forged_or_stale_notice_leaves_nothing(receiver: Receiver, kind: str) -> None:
    body = stripe_body("evt_4", new_order_id())
    headers = {
        "another secret": signed(body, secret="whsec_another"),
        "no signature": {},
        "changed body": signed(body + b" "),
        "stale": signed(body, time.time() - 301),
        "early": signed(body, time.time() + 301),
    }[kind]
    with pytest.raises(NoticeRefused):
        await receiver.notices.receive("stripe", headers, body)
    assert await receiver.rows() == []


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{}", b"\xff", b'{"eventType": 1, "data": {}}', b"[" * 100_000]
)
async def test_a_body_of_another_form_leaves_nothing(receiver: Receiver, body: bytes) -> None:
    with pytest.raises(NoticeRefused):
        await receiver.notices.receive("toss", {}, body)
    with pytest.raises(NoticeRefused):
        await receiver.notices.receive("stripe", signed(body) if body.isascii() else {}, body)
    assert await receiver.rows() == []


async def test_a_callback_for_another_shop_is_acknowledged_and_not_kept(receiver: Receiver) -> None:
    assert not await receiver.notices.receive("toss", {}, toss_body("their-order-0001"))
    body = stripe_body("evt_5", "their-order-0001")
    assert not await receiver.notices.receive("stripe", signed(body), body)
    assert await receiver.rows() == []


async def test_a_provider_without_keys_does_not_exist(receiver: Receiver) -> None:
    with pytest.raises(NotFound):
        await receiver.notices.receive("acme", {}, b"{}")


async def test_texts_that_postgresql_refuses_do_not_fail_their_neighbours(
    receiver: Receiver,
) -> None:
    good, order_id = new_order_id(), new_order_id()
    odd = toss_body(order_id, paymentKey="\0")
    both = await asyncio.gather(
        receiver.notices.receive("toss", {}, odd),
        receiver.notices.receive("toss", {}, toss_body(good)),
    )
    assert all(both)
    assert {row["order_id"]: row["payment_key"] for row in await receiver.rows()} == {
        order_id: None, good: "tviva-1"}  # fmt: skip


async def test_a_storm_is_refused_beyond_its_share_and_kept_when_it_comes_again(
    receiver: Receiver,
) -> None:
    bodies = [toss_body(new_order_id()) for _ in range(40)]

    async def send(body: bytes) -> bool:
        try:
            return await receiver.notices.receive("toss", {}, body)
        except Overloaded:
            return False

    first = await asyncio.gather(*map(send, bodies))
    assert sum(first) == 8
    left = [body for body, is_kept in zip(bodies, first, strict=True) if not is_kept]
    for at in range(0, len(left), 8):
        assert all(await asyncio.gather(*map(send, left[at : at + 8])))
    assert len(await receiver.rows()) == 40


async def test_without_its_database_a_notice_is_not_acknowledged(
    receiver: Receiver, settings: Settings
) -> None:
    away = Database(settings)
    await away.open()
    await away.close()
    async with open_providers(Settings.of(**TOSS_KEYS).providers) as providers:
        notices = Notices(NoticeStore(away), receiver.group_commit, providers, 8)
        with pytest.raises(Problem):
            await notices.receive("toss", {}, toss_body(new_order_id()))
    assert await receiver.rows() == []
