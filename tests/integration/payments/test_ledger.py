"""The constraints of the ledger, and top-ups of wallets."""

import asyncio
from collections import Counter
from uuid import UUID

import asyncpg
import pytest

from boxoffice.errors import AmountInvalid
from boxoffice.payments import ledger
from boxoffice.payments.store import PaymentStore, TopUpCommand
from boxoffice.platform.ids import new_id
from boxoffice.platform.postgres.database import Database, Record
from tests.support.hall import BALANCE_MAX_MINOR, Hall, open_hall

_TRANSFER = """
    WITH transfer AS (
        INSERT INTO transfers (user_id, transfer_id, kind, amount_minor, currency, idempotency_key,
                               fingerprint, created_at)
        VALUES ($1, $2, 'charge', 100, 'KRW', 'forged', 'f', clock_timestamp())
    )
    INSERT INTO ledger_entries (user_id, transfer_id, leg, account, amount_minor, currency)
    SELECT $1, $2, leg, account, amount_minor, currency
      FROM unnest($3::text[], $4::bigint[], $5::text[])
           WITH ORDINALITY e (account, amount_minor, currency, leg)
"""
_ENTRY = """
    INSERT INTO ledger_entries (user_id, transfer_id, leg, account, amount_minor, currency)
    VALUES ($1, $2, $3, $4, $5, $6)
"""

Entry = tuple[str, int, str]


async def _transfer(
    connection: "asyncpg.Connection[Record]", person: UUID, *entries: Entry
) -> None:
    columns = [list(column) for column in zip(*entries, strict=True)] or [[], [], []]
    await connection.execute(_TRANSFER, person, new_id(), *columns)


@pytest.mark.parametrize(
    "entries",
    [
        [],
        [("wallet", 100, "KRW")],
        [("wallet", 100, "KRW"), ("cash", -99, "KRW")],
        [("wallet", 100, "KRW"), ("cash", -100, "USD")],
        [("wallet", 100, "KRW"), ("cash", -100, "KRW"), ("income", 1, "KRW")],
    ],
)
async def test_a_transfer_that_is_not_balanced_is_refused(
    hall: Hall, other: "asyncpg.Connection[Record]", entries: list[Entry]
) -> None:
    refused = pytest.raises(
        asyncpg.IntegrityConstraintViolationError, match=r"is not balanced|has no entries"
    )
    with refused:
        await _transfer(other, hall.people[0], *entries)
    assert len(await PaymentStore(hall.db).entries(hall.people[0], None, 10)) == 1


async def test_a_balanced_transfer_is_taken(
    hall: Hall, other: "asyncpg.Connection[Record]"
) -> None:
    await _transfer(other, hall.people[0], ("wallet", 100, "KRW"), ("cash", -100, "KRW"))
    assert len(await PaymentStore(hall.db).entries(hall.people[0], None, 10)) == 2
    # The wallet itself does not know of it: take it back, for those who compare the two.
    await _transfer_back(other, hall.people[0])


async def _transfer_back(connection: "asyncpg.Connection[Record]", person: UUID) -> None:
    query = "UPDATE wallets SET balance_minor = balance_minor + 100 WHERE user_id = $1"
    await connection.execute(query, person)


async def test_a_finished_transfer_takes_no_further_single_entry(
    hall: Hall, other: "asyncpg.Connection[Record]"
) -> None:
    [entry] = await PaymentStore(hall.db).entries(hall.people[0], None, 10)
    with pytest.raises(asyncpg.IntegrityConstraintViolationError, match="is not balanced"):
        await other.execute(_ENTRY, hall.people[0], entry.transfer_id, 3, "income", 1, "KRW")


async def test_a_balanced_addition_is_of_the_transfers_own_currency(
    hall: Hall, other: "asyncpg.Connection[Record]"
) -> None:
    [entry] = await PaymentStore(hall.db).entries(hall.people[0], None, 10)
    query = """
        INSERT INTO ledger_entries (user_id, transfer_id, leg, account, amount_minor, currency)
        VALUES ($1, $2, 3, 'income', 1, $3), ($1, $2, 4, 'cash', -1, $3)
    """
    with pytest.raises(asyncpg.IntegrityConstraintViolationError, match="is not balanced"):
        await other.execute(query, hall.people[0], entry.transfer_id, "USD")
    await other.execute(query, hall.people[0], entry.transfer_id, "KRW")


async def test_entries_of_no_transfer_are_refused(
    hall: Hall, other: "asyncpg.Connection[Record]"
) -> None:
    query = """
        INSERT INTO ledger_entries (user_id, transfer_id, leg, account, amount_minor, currency)
        VALUES ($1, $2, 1, 'wallet', 1, 'KRW'), ($1, $2, 2, 'cash', -1, 'KRW')
    """
    with pytest.raises(asyncpg.IntegrityConstraintViolationError, match="is not balanced"):
        await other.execute(query, hall.people[0], new_id())


@pytest.mark.parametrize("table", ["transfers", "ledger_entries"])
@pytest.mark.parametrize(
    "statement", ["UPDATE {} SET amount_minor = 1", "DELETE FROM {}", "TRUNCATE {} CASCADE"]
)
async def test_what_is_written_stays(
    hall: Hall, other: "asyncpg.Connection[Record]", table: str, statement: str
) -> None:
    with pytest.raises(asyncpg.IntegrityConstraintViolationError, match="append-only"):
        await other.execute(statement.format(table))
    assert len(await PaymentStore(hall.db).entries(hall.people[0], None, 10)) == 1


async def test_a_wallet_cannot_be_overdrawn(
    hall: Hall, other: "asyncpg.Connection[Record]"
) -> None:
    query = "UPDATE wallets SET balance_minor = -1 WHERE user_id = $1"
    with pytest.raises(asyncpg.CheckViolationError, match="wallets_never_negative"):
        await other.execute(query, hall.people[0])


async def test_a_top_up_shows_the_balance_right_after_it(hall: Hall) -> None:
    buyer = hall.people[0]
    first = await hall.top_up(buyer, 700, key="k")
    assert first.top_up is not None
    assert (first.name, first.top_up.amount_minor, first.top_up.balance_minor) == (
        "charged",
        700,
        5_700,
    )
    await hall.top_up(buyer, 1)
    again = await hall.top_up(buyer, 700, key="k")
    assert (again.name, again.top_up) == ("replayed", first.top_up), "as it was then"
    assert (await hall.top_up(buyer, 701, key="k", fingerprint=b"other")).name == "key_reused"
    assert await hall.balance(buyer) == 5_701
    assert await hall.topics(first.top_up.transfer_id) == ["wallet.charged"]


async def test_top_ups_of_one_batch_add_up_to_the_limit(hall: Hall) -> None:
    buyer = hall.people[0]
    left = BALANCE_MAX_MINOR - 5_000
    amounts = [left - 10, 11, 10, 1]
    commands = [
        TopUpCommand(buyer, f"k{at}", b"f", new_id(), amount) for at, amount in enumerate(amounts)
    ]
    outcomes = await PaymentStore(hall.db).top_up(commands, BALANCE_MAX_MINOR)
    assert [one.name for one in outcomes] == ["charged", "wallet_limit", "charged", "wallet_limit"]
    assert await hall.balance(buyer) == BALANCE_MAX_MINOR
    found = await PaymentStore(hall.db).find_top_ups(commands)
    assert [one and one.name for one in found] == ["replayed", None, "replayed", None]


async def test_a_person_without_a_wallet_is_not_topped_up(hall: Hall) -> None:
    assert (await hall.top_up(new_id(), 100)).name == "wallet_not_found"


async def test_one_key_on_two_pods_is_one_top_up(db: Database) -> None:
    hall = await open_hall(db, people=30)
    for person in hall.people:
        outcomes = await asyncio.gather(*(hall.top_up(person, 100, key="k") for _ in range(3)))
        assert Counter(one.name for one in outcomes) == {"charged": 1, "replayed": 2}
        assert len({one.top_up for one in outcomes}) == 1
        assert await hall.balance(person) == 100


async def test_top_ups_of_two_pods_all_arrive(db: Database) -> None:
    hall = await open_hall(db, people=10)
    top_ups = [hall.top_up(person, 7) for _ in range(8) for person in hall.people]
    assert {one.name for one in await asyncio.gather(*top_ups)} == {"charged"}
    assert [await hall.balance(person) for person in hall.people] == [56] * 10


@pytest.mark.parametrize("amount_minor", [0, -1, 1_001, 2**63])
def test_an_amount_is_above_zero_and_within_the_limit(amount_minor: int) -> None:
    with pytest.raises(AmountInvalid):
        ledger.check_top_up(amount_minor, 1_000)


@pytest.mark.parametrize("amount_minor", [1, 1_000])
def test_an_amount_within_the_limit_passes(amount_minor: int) -> None:
    ledger.check_top_up(amount_minor, 1_000)
