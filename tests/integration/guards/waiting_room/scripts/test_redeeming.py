"""Accounts that are given the numbers of people without an account."""

from uuid import UUID, uuid4

import pytest

from boxoffice.waiting_room.engine.queue_state import QueueStateLost, TicketHolder, key_of, keys_of
from tests.integration.guards.waiting_room.scripts.stand import Stand, old_ticket


async def redeem(
    stand: Stand, account: UUID, holder: TicketHolder | int, *, keeps_earlier: bool = True
) -> int:
    """Give an account the number of a ticket, or of the user with this number."""
    made = stand.holder(holder) if isinstance(holder, int) else holder
    [number] = await stand.queue_state.redeem(
        stand.room.schedule_id, [(account, made)], keeps_earlier=keeps_earlier
    )
    return number


async def is_vacant(stand: Stand, place: int) -> bool:
    """Whether a place is stepped over."""
    key = key_of(stand.room.schedule_id, "vacant")
    return bool(await stand.valkey.command("GETBIT", key, place))


async def test_it_needs_the_state(stand: Stand) -> None:
    await stand.call(1, cap=1)
    await stand.valkey.command("HSET", keys_of(stand.room.schedule_id)[0], "run", "another")
    with pytest.raises(QueueStateLost):
        await redeem(stand, uuid4(), 1)


async def test_a_number_becomes_that_of_the_account(stand: Stand) -> None:
    await stand.make()
    await stand.join(2)
    account = uuid4()
    assert await redeem(stand, account, 1) == 1
    assert await redeem(stand, account, 1) == 1
    # Who had it joins anew.
    assert await stand.numbers(account, stand.people[0]) == [-1, 3]
    assert not await is_vacant(stand, 1)


async def test_an_account_keeps_its_earlier_number(stand: Stand) -> None:
    await stand.make()
    await stand.join(2)
    assert await redeem(stand, stand.people[0], 2) == 1
    assert await is_vacant(stand, 2)
    assert await stand.numbers(*stand.people) == [-1, 3]


async def test_an_account_gives_up_its_later_number(stand: Stand) -> None:
    await stand.make()
    await stand.join(2)
    assert await redeem(stand, stand.people[1], 1) == 1
    assert await is_vacant(stand, 2)
    assert not await is_vacant(stand, 1)
    assert await stand.numbers(stand.people[1]) == [-1]


async def test_a_called_number_is_not_given_up_for_an_earlier_one(stand: Stand) -> None:
    """The call of the earlier one may have lapsed already."""
    await stand.call(2, cap=2)
    assert await redeem(stand, stand.people[1], 1) == 2
    assert await stand.words(2) == "A"


async def test_in_a_draw_an_account_keeps_its_own(stand: Stand) -> None:
    await stand.make()
    await stand.join(2)
    assert await redeem(stand, stand.people[1], 1, keeps_earlier=False) == 2
    assert await is_vacant(stand, 1)


async def test_a_called_place_is_not_vacant(stand: Stand) -> None:
    await stand.call(2, cap=1)
    assert await redeem(stand, stand.people[1], 1, keeps_earlier=False) == 2
    assert not await is_vacant(stand, 1)


async def test_a_number_of_another_holder_is_not_given_up(stand: Stand) -> None:
    await stand.make()
    await stand.join(3)
    foreign = TicketHolder(stand.people[1], 3, 3, stand.room.epoch)
    assert await redeem(stand, stand.people[0], foreign) == 1
    assert not await is_vacant(stand, 3)
    assert await stand.numbers(*stand.people) == [-1, -2, -3]


async def test_a_number_that_was_given_up_is_spent(stand: Stand) -> None:
    await stand.make()
    await stand.join(1)
    ticket = stand.holder(1)
    await stand.leave(1)
    account = uuid4()
    assert await redeem(stand, account, ticket) == 0
    assert await stand.numbers(stand.people[0]) == [2]
    assert await redeem(stand, account, ticket) == 0


async def test_a_ticket_of_an_earlier_epoch_restores_its_number(stand: Stand) -> None:
    await stand.make(vacant=[5])
    account, ticket = uuid4(), old_ticket(5)
    assert await redeem(stand, ticket.user_id, ticket) == 5
    assert not await is_vacant(stand, 5)
    assert await redeem(stand, account, ticket) == 5
    assert await stand.numbers(account) == [-5]


async def test_an_earlier_epoch_takes_no_second_number(stand: Stand) -> None:
    await stand.make()
    await stand.join(1)
    ticket = TicketHolder(stand.people[0], 5, 5, stand.room.epoch - 1)
    assert await redeem(stand, uuid4(), ticket) == 0


async def test_inside_an_account_keeps_the_number_of_its_admission(stand: Stand) -> None:
    await stand.call(2, cap=2)
    assert await stand.words(2) == "A"
    assert await redeem(stand, stand.people[1], 1) == 2
    assert await stand.numbers(stand.people[0]) == [-1]
