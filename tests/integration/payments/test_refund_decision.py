"""The decision of a refund repeats the checks of the service, by the database's clock and locks."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import asyncpg
import pytest

from boxoffice.payments.refunds import store
from boxoffice.payments.refunds.policy import Quote, RefundLine
from boxoffice.payments.refunds.store import RefundCommand, RefundStore
from boxoffice.payments.store import Payment
from boxoffice.platform.ids import new_id
from boxoffice.platform.postgres.database import Record
from tests.support.hall import Hall
from tests.support.refunds import sold, state


async def _command(hall: Hall, payment: Payment, refund_minor: int = 1_000) -> RefundCommand:
    """A decision about the first ticket of a payment, past the checks of the service."""
    sale = await RefundStore(hall.db).sale(hall.schedule_id, payment.payment_id)
    assert sale is not None
    line = RefundLine(str(payment.ticket_ids[0]), refund_minor, 0)
    return RefundCommand(
        schedule_id=hall.schedule_id,
        payment_id=payment.payment_id,
        user_id=sale.user_id,
        refund_id=new_id(),
        quote=Quote((line,), sale.now + timedelta(minutes=1)),
        starts_at=sale.starts_at,
        reason="buyer",
        to_wallet=True,
        decided_by=sale.user_id,
        key=str(uuid4()),
        fingerprint=b"f",
    )


async def _decide(hall: Hall, command: RefundCommand) -> str:
    async with RefundStore(hall.db).transaction() as connection:
        return (await store.decide(connection, command)).name


async def test_the_database_repeats_the_checks(hall: Hall) -> None:
    buyer, other, *_ = hall.people
    payment = await sold(hall, buyer, "S001", "S002")
    foreign = await sold(hall, other, "S003")
    command = await _command(hall, payment)
    before = await state(hall)
    wrong = {
        "quote_changed": [
            await _command(hall, payment, 999),
            replace(command, starts_at=command.starts_at + timedelta(seconds=1)),
            replace(command, quote=Quote(command.quote.lines, datetime.now(UTC))),
        ],
        "payment_not_found": [replace(command, user_id=other)],
        "ticket_not_found": [
            replace(command, quote=(await _command(hall, foreign)).quote),
        ],
    }
    for outcome, commands in wrong.items():
        assert [await _decide(hall, one) for one in commands] == [outcome] * len(commands)
    assert await state(hall) == before
    assert await _decide(hall, command) == "refunded"
    assert await _decide(hall, command) == "replayed"
    assert await _decide(hall, replace(command, fingerprint=b"g")) == "key_reused"
    again = replace(command, key="another", refund_id=new_id())
    assert await _decide(hall, again) == "already_refunded"
    assert await hall.balance(buyer) == 4_000


async def test_the_start_ends_refunds_of_buyers_whatever_was_quoted(hall: Hall) -> None:
    payment = await sold(hall, hall.people[0], "S001")
    await hall.change_schedule(
        "sale_opens_at = clock_timestamp() - interval '3 days', starts_at = clock_timestamp()"
    )
    command = await _command(hall, payment)
    assert await _decide(hall, command) == "not_refundable"
    assert await _decide(hall, replace(command, reason="organizer")) == "refunded"


async def test_a_ticket_that_is_named_twice_is_noticed(hall: Hall) -> None:
    payment = await sold(hall, hall.people[0], "S001", "S002")
    command = await _command(hall, payment)
    twice = replace(command, quote=Quote(command.quote.lines * 2, command.quote.valid_until))
    before = await state(hall)
    with pytest.raises(asyncpg.IntegrityConstraintViolationError, match="voided 1 tickets of 2"):
        await _decide(hall, twice)
    assert await state(hall) == before


async def test_a_seat_that_is_not_sold_is_noticed(
    hall: Hall, other: "asyncpg.Connection[Record]"
) -> None:
    payment = await sold(hall, hall.people[0], "S001")
    command = await _command(hall, payment)
    await other.execute(
        "UPDATE seats SET reservation_id = gen_random_uuid()"
        " WHERE schedule_id = $1 AND seat_id = 'S001'",
        hall.schedule_id,
    )
    with pytest.raises(asyncpg.IntegrityConstraintViolationError, match="freed 0 seats of 1"):
        await _decide(hall, command)
