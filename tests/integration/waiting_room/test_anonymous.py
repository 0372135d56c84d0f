"""People without an account: a place bound to a browser, and the account that redeems it."""

import asyncio
from dataclasses import dataclass
from uuid import UUID, uuid4

import pytest

from boxoffice.accounts.credentials.errors import EmailNotVerified
from boxoffice.errors import (
    QueueAccountRequired,
    QueuePlaceTaken,
    QueueTicketExpired,
    QueueTicketInvalid,
    TooMany,
    Unauthenticated,
    Unavailable,
)
from boxoffice.platform.valkey import ValkeyUnavailable
from boxoffice.waiting_room import store as store_module
from boxoffice.waiting_room.anonymous.service import TicketBearer
from boxoffice.waiting_room.engine.queue_state import keys_of
from boxoffice.waiting_room.rules import Mode, PositionState, QueuePosition
from boxoffice.waiting_room.store import Redemption
from tests.integration.waiting_room.conftest import MakePod, Pod, Queue
from tests.support.hall import Hall

AT = "10.0.0.1"


@dataclass(eq=False)
class Browser:
    """A browser without an account, with a place of its own."""

    queue: Queue
    secret: str
    number: int
    ticket: str

    @classmethod
    async def join(cls, queue: Queue, secret: str = "") -> "Browser":
        secret = secret or uuid4().hex
        said = await queue.pod.room.join_anonymously(queue.schedule_id, secret, AT)
        return cls(queue, secret, said.number, said.queue_ticket or "")

    async def ask(
        self, account: UUID | None = None, pod: Pod | None = None, secret: str | None = None
    ) -> QueuePosition:
        """Poll, with the access token of an account."""
        room = (pod or self.queue.pod).room
        bearer = TicketBearer(account, self.secret if secret is None else secret)
        return await room.position(self.queue.schedule_id, self.ticket, bearer, AT)

    async def redeem(self, account: UUID) -> QueuePosition:
        """Poll as `ask`, and keep the ticket of the account."""
        said = await self.ask(account)
        self.queue.tickets[account] = said.queue_ticket or ""
        return said


@pytest.fixture
async def queue(queue: Queue) -> Queue:
    """A room that people without an account may join."""
    await queue.set(anonymous=True)
    return queue


async def lose(queue: Queue) -> None:
    """Delete this queue in Valkey, and let the leader rebuild it."""
    await queue.pod.valkey.command("DEL", *keys_of(queue.schedule_id))
    await queue.tick(2)


async def test_a_place_is_bound_to_its_browser(queue: Queue) -> None:
    browser, room = await Browser.join(queue), queue.pod.room
    assert (await Browser.join(queue, browser.secret)).number == browser.number
    assert (await Browser.join(queue)).number == browser.number + 1
    said = await browser.ask()
    assert (said.state, said.position, said.is_anonymous) == (PositionState.WAITING, 1, True)
    for bearer in (TicketBearer(), TicketBearer(uuid4(), uuid4().hex)):
        with pytest.raises(QueueTicketInvalid):
            await room.position(queue.schedule_id, browser.ticket, bearer, AT)
        with pytest.raises(QueueTicketInvalid):
            await room.authorize_stream(queue.schedule_id, browser.ticket, bearer, AT)
        with pytest.raises(QueueTicketInvalid):
            await room.leave(queue.schedule_id, browser.ticket, bearer, AT)
    own = TicketBearer(None, browser.secret)
    await room.authorize_stream(queue.schedule_id, browser.ticket, own, AT)


async def test_its_turn_needs_an_account(queue: Queue) -> None:
    browser, account = await Browser.join(queue), uuid4()
    await queue.tick(seconds=1)
    with pytest.raises(QueueAccountRequired) as refused:
        await browser.ask()
    assert refused.value.extra == {"come_within_s": 60}
    said = await browser.redeem(account)
    assert (said.state, said.number, said.is_anonymous) == (
        PositionState.ADMITTED,
        browser.number,
        False,
    )
    assert await queue.pod.room.may_hold(queue.schedule_id, account, said.queue_pass)
    again = await queue.ask(account)
    assert again.state is PositionState.ADMITTED
    # A repeated poll, as after a lost answer.
    assert (await browser.ask(account)).state is PositionState.ADMITTED


async def test_an_account_that_logs_in_before_the_call_keeps_the_place(
    queue: Queue, make_pod: MakePod
) -> None:
    browser, account = await Browser.join(queue), uuid4()
    said = await browser.redeem(account)
    assert (said.state, said.number, said.position) == (PositionState.WAITING, browser.number, 1)
    assert (await queue.ask(await queue.join(account))).number == browser.number
    other = await make_pod()
    await other.refresh(queue.schedule_id)
    with pytest.raises(QueueTicketInvalid):
        await browser.ask(uuid4(), other)
    await queue.tick(seconds=1)
    with pytest.raises(QueueAccountRequired):
        await browser.ask()
    assert (await queue.ask(account)).state is PositionState.ADMITTED


async def test_two_accounts_race_for_one_place(queue: Queue, make_pod: MakePod) -> None:
    browser, other = await Browser.join(queue), await make_pod()
    await queue.tick(seconds=1)
    await other.refresh(queue.schedule_id)
    results = await asyncio.gather(
        browser.ask(uuid4()), browser.ask(uuid4(), other), return_exceptions=True
    )
    admitted = [one for one in results if isinstance(one, QueuePosition)]
    assert [one.state for one in admitted] == [PositionState.ADMITTED]
    assert [type(one) for one in results if one not in admitted] == [QueueTicketInvalid]


async def test_a_place_has_one_account_also_after_a_loss(
    queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control: without the record, a second account has the number of the first."""
    browser, account, rival = await Browser.join(queue), uuid4(), uuid4()
    await browser.redeem(account)
    await lose(queue)
    with pytest.raises(QueueTicketInvalid):
        await browser.ask(rival)
    assert (await queue.ask(account)).number == browser.number

    _without_record(monkeypatch)
    assert (await browser.ask(rival)).number == browser.number


async def test_an_account_has_one_turn_by_several_browsers(
    queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control: without the record it has two passes, one after the other."""
    browsers, account = [await Browser.join(queue) for _ in range(2)], uuid4()
    await queue.tick(seconds=1)
    assert (await browsers[0].redeem(account)).state is PositionState.ADMITTED
    await queue.leave(account)
    await queue.tick(2, seconds=1)
    with pytest.raises(QueuePlaceTaken):
        await browsers[1].ask(account)

    _without_record(monkeypatch)
    assert (await browsers[1].ask(account)).state is PositionState.ADMITTED


def _without_record(monkeypatch: pytest.MonkeyPatch) -> None:
    async def redeem(*_args: object) -> Redemption:
        return Redemption(is_redeemed=True, is_theirs=True, had_turn=False)

    monkeypatch.setattr(store_module, "redeem", redeem)


async def test_one_account_races_with_two_browsers(queue: Queue, make_pod: MakePod) -> None:
    browsers, account = [await Browser.join(queue) for _ in range(2)], uuid4()
    other = await make_pod()
    await other.refresh(queue.schedule_id)
    results = await asyncio.gather(
        browsers[0].ask(account), browsers[1].ask(account, other), return_exceptions=True
    )
    kept = [one for one in results if isinstance(one, QueuePosition)]
    assert len(kept) == 1
    assert [type(one) for one in results if one not in kept] == [QueuePlaceTaken]
    assert (await queue.ask(await queue.join(account))).number == kept[0].number


async def test_the_earlier_of_two_places_counts(queue: Queue) -> None:
    early, account = await Browser.join(queue), await queue.join()
    later_browser, late = await Browser.join(queue), await queue.join()
    assert (await early.redeem(account)).number == early.number
    earlier = await queue.join(later := uuid4())
    last = await Browser.join(queue)
    with pytest.raises(QueuePlaceTaken):
        await last.ask(earlier)
    assert (await queue.ask(later)).number == last.number - 1
    assert (await later_browser.redeem(late)).number == later_browser.number


async def test_in_a_lobby_an_account_keeps_its_own_place(queue: Queue) -> None:
    await queue.set(mode=Mode.LOBBY, opens_at=queue.clock() + 60)
    await queue.tick()
    browser, account = await Browser.join(queue), await queue.join()
    with pytest.raises(QueuePlaceTaken):
        await browser.ask(account)
    assert (await queue.ask(account)).number == browser.number + 1


async def test_an_account_that_had_its_turn_redeems_no_place(queue: Queue) -> None:
    account, browser = await queue.join(), await Browser.join(queue)
    await queue.tick(seconds=1)
    assert (await queue.ask(account)).state is PositionState.ADMITTED
    with pytest.raises(QueuePlaceTaken):
        await browser.ask(account)
    assert (await browser.ask(uuid4())).state is PositionState.ADMITTED


async def test_an_account_that_redeemed_and_had_another_turn_is_refused(queue: Queue) -> None:
    """Its own number was called while a process that died had redeemed the place for it."""
    account, browser = await queue.join(), await Browser.join(queue)
    await queue.tick(seconds=1)
    async with queue.pod.store.transaction() as connection:
        await store_module.redeem(connection, queue.schedule_id, browser.number, account)
    assert (await queue.ask(account)).state is PositionState.ADMITTED
    await queue.leave(account)
    with pytest.raises(QueuePlaceTaken):
        await browser.ask(account)


async def test_places_outlive_a_loss(queue: Queue) -> None:
    waiting, redeemed, fresh = [await Browser.join(queue) for _ in range(3)]
    accounts = [uuid4(), uuid4()]
    await redeemed.redeem(accounts[0])
    await fresh.redeem(accounts[1])
    await queue.pod.join_writer.flush()
    await lose(queue)
    # Another device of the account, which has no ticket, and the browser that waits.
    assert (await queue.ask(await queue.join(accounts[0]))).number == redeemed.number
    assert (await Browser.join(queue, waiting.secret)).number == waiting.number
    said = await waiting.ask()
    assert (said.number, said.epoch, said.is_anonymous) == (waiting.number, queue.known.epoch, True)
    assert said.queue_ticket is not None
    assert (await fresh.ask(accounts[1])).number == fresh.number


async def test_a_repeated_redemption_is_recorded_once(queue: Queue) -> None:
    browser, account = await Browser.join(queue), uuid4()
    for _ in range(3):
        assert (await browser.ask(account)).number == browser.number
    await queue.pod.join_writer.flush()
    rows = await queue.pod.db.fetch("SELECT accounts FROM queue_joins")
    assert b"".join(row["accounts"] for row in rows).count(account.bytes) == 1


async def test_a_number_that_was_not_recorded_comes_back_with_its_ticket(queue: Queue) -> None:
    browser = await Browser.join(queue)
    queue.pod.join_writer._waiting.clear()
    await lose(queue)
    # The queue answers before it has the number again: the ticket keeps its epoch.
    await queue.pod.valkey.command("DEL", *keys_of(queue.schedule_id))
    said = await browser.ask()
    assert (said.number, said.epoch, said.queue_ticket) == (
        browser.number,
        queue.known.epoch - 1,
        None,
    )
    await queue.tick(2)
    assert (await browser.ask()).epoch == queue.known.epoch
    assert (await Browser.join(queue, browser.secret)).number == browser.number


async def test_a_process_that_dies_in_between_leaves_the_place_to_the_account(
    queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    browser, account = await Browser.join(queue), uuid4()

    async def never(*_args: object, **_more: object) -> list[int]:
        raise ValkeyUnavailable("killed")

    with monkeypatch.context() as patched:
        patched.setattr(queue.pod.queue_state, "redeem", never)
        with pytest.raises(Unavailable):
            await browser.ask(account)
    with pytest.raises(QueueTicketInvalid):
        await browser.ask(uuid4())
    assert (await browser.ask(account)).number == browser.number


async def test_a_place_that_was_given_up_is_over(queue: Queue) -> None:
    browser, next_one = await Browser.join(queue), await Browser.join(queue)
    own = TicketBearer(None, browser.secret)
    await queue.pod.room.leave(queue.schedule_id, browser.ticket, own, AT)
    with pytest.raises(QueueTicketExpired):
        await browser.ask(uuid4())
    await queue.set(inside_max=1)
    await queue.tick(seconds=1)
    assert (await next_one.ask(uuid4())).state is PositionState.ADMITTED


async def test_after_the_sale_no_account_is_asked_for(queue: Queue, hall: Hall) -> None:
    browser = await Browser.join(queue)
    await queue.tick(seconds=1)
    await hall.change_schedule("status = 'CLOSED'")
    await queue.pod.rooms.refresh()
    said = await browser.ask()
    assert (said.state, said.position) == (PositionState.WAITING, 1)


async def test_an_organizer_switches_it_on(queue: Queue, make_pod: MakePod) -> None:
    key = queue.known.anonymous_key
    assert (await queue.set(anonymous=False)).room.allows_anonymous is False
    with pytest.raises(Unauthenticated):
        await Browser.join(queue)
    other = await make_pod()
    await other.refresh(queue.schedule_id)
    await queue.set(anonymous=True)
    assert (queue.known.anonymous_key, len(queue.known.anonymous_key)) == (key, 16)
    # Another process reads it before it refuses.
    await other.room.join_anonymously(queue.schedule_id, uuid4().hex, AT)
    with pytest.raises(Unauthenticated):
        await other.room.join_anonymously(uuid4(), uuid4().hex, AT)


async def test_a_room_that_is_switched_off_keeps_the_place(queue: Queue) -> None:
    browser, account = await Browser.join(queue), uuid4()
    await queue.set(mode=Mode.OFF)
    said = await browser.ask()
    assert (said.state, said.is_anonymous) == (PositionState.ADMITTED, True)
    await queue.set(mode=Mode.FIFO)
    said = await browser.redeem(account)
    assert (said.number, said.is_anonymous) == (browser.number, False)


async def test_an_address_joins_so_often(queue: Queue) -> None:
    queue.pod.room._anonymous._limits._joins_max = 2
    for _ in range(2):
        await Browser.join(queue)
    with pytest.raises(TooMany):
        await Browser.join(queue)
    await queue.join()


async def test_a_redemption_needs_a_verified_address_where_it_is_asked_for(
    queue: Queue, hall: Hall
) -> None:
    browser, (account, verified) = await Browser.join(queue), hall.people
    await hall.db.fetch("UPDATE concerts SET requires_verified_email = true")
    await queue.tick(seconds=1)
    with pytest.raises(EmailNotVerified):
        await browser.ask(account)
    await hall.db.fetch("UPDATE users SET email_verified_at = now() WHERE user_id = $1", verified)
    assert (await browser.ask(verified)).state is PositionState.ADMITTED
