"""The result of a lost response is found only by its person, schedule, key and request."""

from collections.abc import Sequence
from dataclasses import replace
from uuid import UUID, uuid4

import pytest
from msgspec import structs

from boxoffice.accounts.store import AccountStore
from boxoffice.payments.store import PayCommand, PaymentStore, PayOutcome, TopUpCommand
from boxoffice.platform.ids import new_id
from boxoffice.platform.postgres.database import Database
from boxoffice.reservations.store import (
    ActiveFilter,
    HoldCommand,
    HoldOutcome,
    ReleaseCommand,
    ReservationStore,
)
from boxoffice.settings import Settings
from tests.support.hall import BALANCE_MAX_MINOR, Hall, open_hall


@pytest.fixture
async def hall(db: Database) -> Hall:
    """A hall of the test's own."""
    return await open_hall(db, balance_minor=5_000)


async def test_a_hold_is_found_by_its_person_schedule_and_key(hall: Hall, db: Database) -> None:
    buyer, neighbour, *_ = hall.people
    elsewhere = await open_hall(db)
    request = hall.hold_command(buyer, "S001", key="k")
    await hall.hold_batch(request, hall.hold_command(buyer, "S002", key="other"))
    store = ReservationStore(db)

    [found] = await store.find_holds(hall.schedule_id, [request])
    assert found is not None
    assert (found.name, found.held and found.held.seat_ids) == ("replayed", ("S001",))
    [reused] = await store.find_holds(
        hall.schedule_id, [structs.replace(request, fingerprint=b"g")]
    )
    assert reused is not None
    assert reused.name == "key_reused"
    assert await store.find_holds(
        hall.schedule_id, [structs.replace(request, user_id=neighbour)]
    ) == [None]
    assert await store.find_holds(hall.schedule_id, [structs.replace(request, key="never")]) == [
        None
    ]
    assert await store.find_holds(elsewhere.schedule_id, [request]) == [None]


async def test_a_release_is_found_by_its_request(hall: Hall) -> None:
    buyer = hall.people[0]
    first, second = await hall.held(buyer, "S001"), await hall.held(buyer, "S002")
    mine = ReleaseCommand(buyer, first, new_id())
    store = ReservationStore(hall.db)
    await store.release(hall.schedule_id, [mine])

    [found] = await store.find_releases(hall.schedule_id, [mine])
    assert found is not None
    assert (found.name, found.seat_ids) == ("released", ("S001",))
    assert await store.find_releases(
        hall.schedule_id, [structs.replace(mine, request_id=new_id())]
    ) == [None]
    assert await store.find_releases(
        hall.schedule_id, [structs.replace(mine, reservation_id=second)]
    ) == [None]


async def test_a_payment_is_found_by_its_person_schedule_and_key(hall: Hall, db: Database) -> None:
    buyer, neighbour, *_ = hall.people
    elsewhere = await open_hall(db)
    bill = hall.bill(buyer, await hall.held(buyer, "S001"), key="k")
    another = hall.bill(buyer, await hall.held(buyer, "S002"), key="other")
    await hall.settle(bill, another)
    store = PaymentStore(db)

    [found] = await store.find_payments(hall.schedule_id, [bill])
    assert found is not None
    assert (found.name, found.payment and found.payment.seat_ids) == ("replayed", ("S001",))
    [reused] = await store.find_payments(
        hall.schedule_id, [structs.replace(bill, fingerprint=b"g")]
    )
    assert reused is not None
    assert reused.name == "key_reused"
    assert await store.find_payments(
        hall.schedule_id, [structs.replace(bill, user_id=neighbour)]
    ) == [None]
    assert await store.find_payments(hall.schedule_id, [structs.replace(bill, key="never")]) == [
        None
    ]
    assert await store.find_payments(elsewhere.schedule_id, [bill]) == [None]


async def test_a_top_up_is_found_by_its_key(hall: Hall) -> None:
    buyer, neighbour, *_ = hall.people
    top_up = TopUpCommand(buyer, "k", b"f", new_id(), 100)
    store = PaymentStore(hall.db)
    await store.top_up(
        [top_up, replace(top_up, key="other", transfer_id=new_id())], BALANCE_MAX_MINOR
    )

    [found] = await store.find_top_ups([top_up])
    assert found is not None
    assert (found.name, found.top_up and found.top_up.transfer_id) == (
        "replayed",
        top_up.transfer_id,
    )
    [reused] = await store.find_top_ups([replace(top_up, fingerprint=b"g")])
    assert reused is not None
    assert reused.name == "key_reused"
    assert await store.find_top_ups([replace(top_up, user_id=neighbour)]) == [None]
    assert await store.find_top_ups([replace(top_up, key="never")]) == [None]


async def test_data_of_another_person_is_not_shown(hall: Hall) -> None:
    buyer, neighbour, *_ = hall.people
    reservation = await hall.held(buyer, "S001")
    paid = (await hall.pay(buyer, reservation)).payment
    assert paid is not None
    held, paying = ReservationStore(hall.db), PaymentStore(hall.db)
    for person, is_shown in ((buyer, True), (neighbour, False), (uuid4(), False)):
        assert bool(await held.get(hall.schedule_id, reservation, person)) == is_shown
        assert bool(await held.list_of_user(person, None, 10)) == is_shown
        assert bool(await paying.get(hall.schedule_id, paid.payment_id, person)) == is_shown
    assert len(await paying.entries(buyer, None, 10)) == 2, "its gift and its payment"
    assert len(await paying.entries(neighbour, None, 10)) == 1, "its gift"
    assert {entry.amount_minor for entry in await paying.entries(buyer, None, 10)} == {
        5_000,
        -1_000,
    }
    assert (await paying.wallet(buyer), await paying.wallet(uuid4())) == (
        await paying.wallet(buyer),
        None,
    )
    assert getattr(await paying.wallet(buyer), "balance_minor", 0) == 4_000


async def test_standing_is_shown_to_its_person_only(hall: Hall, db: Database) -> None:
    buyer, neighbour, *_ = hall.people
    elsewhere = replace(await open_hall(db), people=hall.people)
    lapsed = await hall.held(buyer, "S001")
    await hall.lapse(lapsed)
    held, sold = await hall.held(buyer, "S002", "S003"), await hall.held(buyer, "S004")
    paid = (await hall.pay(buyer, sold)).payment
    there, theirs = await elsewhere.held(buyer, "S001"), await hall.held(neighbour, "S005")
    await hall.pay(neighbour, theirs)
    store = ReservationStore(db)

    async def shown(status: str, before: UUID | None = None, count: int = 9) -> list[UUID]:
        only = ActiveFilter(status, hall.schedule_id)
        found = await store.active_of_user(buyer, before, count, only)
        return [one.reservation_id for one in found]

    everywhere = await store.active_of_user(buyer, None, 9, ActiveFilter("HELD", None))
    assert [one.reservation_id for one in everywhere] == [there, held]
    assert await shown("HELD") == [held]
    assert await shown("HELD", before=held) == []
    assert await shown("HELD", count=0) == []
    [confirmed] = await store.active_of_user(
        buyer, None, 9, ActiveFilter("CONFIRMED", hall.schedule_id)
    )
    assert paid is not None
    assert (confirmed.reservation_id, confirmed.payment_id) == (sold, paid.payment_id)

    async def seats(schedule_id: UUID, person: UUID) -> int | None:
        count = await store.ticket_count(schedule_id, person)
        return None if count is None else count.seats

    assert await seats(hall.schedule_id, buyer) == 3, "two that are held and one that is paid"
    assert await seats(elsewhere.schedule_id, buyer) == 1
    assert await seats(hall.schedule_id, neighbour) == 1
    assert await seats(elsewhere.schedule_id, neighbour) == 0
    assert await seats(uuid4(), buyer) is None


async def test_a_session_sets_what_durability_rests_on(db: Database, settings: Settings) -> None:
    async def shown(name: str) -> str:
        [row] = await db.fetch("SELECT current_setting($1) AS value", name)
        return str(row["value"])

    assert await shown("synchronous_commit") == "on"
    assert await shown("client_min_messages") == "notice"
    for name, limit_ms in (
        ("lock_timeout", settings.database.lock_timeout_ms),
        ("statement_timeout", settings.database.statement_timeout_ms),
        ("idle_in_transaction_session_timeout", settings.database.idle_in_transaction_timeout_ms),
    ):
        [row] = await db.fetch("SELECT setting FROM pg_settings WHERE name = $1", name)
        assert int(row["setting"]) == limit_ms > 0, name


class _HoldsWithoutMemory(ReservationStore):
    """The second look-up, by key, finds nothing, so the function's outcome stands."""

    async def find_holds(
        self, schedule_id: UUID, commands: Sequence[HoldCommand], *, is_durable: bool = False
    ) -> list[HoldOutcome | None]:
        return [None] * len(commands)


class _PaymentsWithoutMemory(PaymentStore):
    """The same for payments."""

    async def find_payments(
        self, schedule_id: UUID, commands: Sequence[PayCommand], *, is_durable: bool = False
    ) -> list[PayOutcome | None]:
        return [None] * len(commands)


async def test_a_hold_distinguishes_replays_reused_keys_and_keys_of_others(
    hall: Hall, db: Database
) -> None:
    buyer, neighbour, *_ = hall.people
    elsewhere = await open_hall(db)
    await elsewhere.hold(buyer, "S001", key="e")
    await hall.hold(buyer, "S001", key="k")
    await hall.hold(neighbour, "S002", key="n")
    requests = [
        hall.hold_command(buyer, "S001", key="k"),
        hall.hold_command(buyer, "S003", key="k", fingerprint=b"g"),
        hall.hold_command(neighbour, "S004", key="k"),
        hall.hold_command(buyer, "S005", key="e"),
        hall.hold_command(buyer, "S006", key="new"),
    ]
    store = _HoldsWithoutMemory(db)
    for request, name in zip(
        requests, ("replayed", "key_reused", "held", "held", "held"), strict=True
    ):
        [outcome] = await store.hold(hall.schedule_id, [request])
        assert outcome.name == name, request


async def test_a_payment_distinguishes_replays_reused_keys_and_keys_of_others(
    hall: Hall, db: Database
) -> None:
    buyer, neighbour, *_ = hall.people
    elsewhere = await open_hall(db)
    await elsewhere.pay(buyer, await elsewhere.held(buyer, "S001"), key="e")
    first = await hall.held(buyer, "S001")
    await hall.pay(buyer, first, key="k")
    await hall.pay(neighbour, await hall.held(neighbour, "S002"), key="n")
    bills = [
        hall.bill(buyer, first, key="k"),
        hall.bill(buyer, first, key="k", fingerprint=b"g"),
        hall.bill(neighbour, await hall.held(neighbour, "S003"), key="k"),
        hall.bill(buyer, await hall.held(buyer, "S004"), key="e"),
        hall.bill(buyer, await hall.held(buyer, "S005"), key="new"),
    ]
    store = _PaymentsWithoutMemory(db)
    for bill, name in zip(bills, ("replayed", "key_reused", "paid", "paid", "paid"), strict=True):
        [outcome] = await store.pay(hall.schedule_id, [bill])
        assert outcome.name == name, bill


async def test_a_reservation_is_paid_and_released_in_its_own_schedule_only(
    hall: Hall, db: Database
) -> None:
    buyer = hall.people[0]
    elsewhere = await open_hall(db)
    there = await elsewhere.held(buyer, "S001")
    assert (await hall.pay(buyer, there)).name == "reservation_not_found"
    assert (await hall.release(buyer, there)).name == "reservation_not_found"
    assert await elsewhere.status(there) == "HELD"


async def test_expired_keys_are_not_read(db: Database) -> None:
    await db.fetch(
        "INSERT INTO token_keys (kid, secret, verifies_until) VALUES"
        " ('over', repeat('s', 32)::bytea, clock_timestamp()),"
        " ('ending', repeat('s', 32)::bytea, clock_timestamp() + interval '1 day'),"
        " ('signs', repeat('s', 32)::bytea, NULL)"
    )
    assert {key.kid for key in await AccountStore(db).keys()} == {"ending", "signs"}
