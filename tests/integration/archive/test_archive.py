"""What ended long ago moves out of the way, is found as before, and nothing else moves."""

import asyncio
from datetime import timedelta
from uuid import UUID

import asyncpg

from boxoffice.archive import archivist
from boxoffice.archive.store import ArchiveStore
from boxoffice.backoffice.store import BackofficeStore
from boxoffice.payments.intents.store import IntentStore, OpenCommand
from boxoffice.platform.ids import new_id
from boxoffice.platform.postgres.database import Database
from boxoffice.reservations.store import ReservationStore
from boxoffice.settings import Settings
from tests.support.checkout import BOUNDS
from tests.support.hall import Hall, open_hall
from tests.support.waiting import until

_AT_ONCE = 0.0
_COUNTS = """
    SELECT (SELECT count(*) FROM reservations WHERE schedule_id = $1) AS live,
           (SELECT count(*) FROM reservations_archive WHERE schedule_id = $1) AS archived
"""


async def _counts(hall: Hall) -> tuple[int, int]:
    [row] = await hall.db.fetch(_COUNTS, hall.schedule_id)
    return row["live"], row["archived"]


async def _archive(db: Database, retention_s: float = _AT_ONCE, batch_max: int = 2) -> int:
    return await archivist.archive_once(ArchiveStore(db), retention_s, batch_max)


async def _ended(hall: Hall, person: UUID, seat: str, key: str = "") -> UUID:
    outcome = await hall.hold(person, seat, key=key)
    assert outcome.held is not None
    await hall.release(person, outcome.held.reservation_id)
    return outcome.held.reservation_id


async def test_only_what_ended_unpaid_and_long_ago_moves(db: Database) -> None:
    hall = await open_hall(db, balance_minor=5_000)
    buyer, other = hall.people[:2]
    await hall.pay(buyer, await hall.held(buyer, "S001"))
    await hall.held(buyer, "S002")
    swept = await hall.held(other, "S003")
    await hall.lapse(swept)
    await hall.expire()
    for seat in ("S004", "S005", "S006"):
        await _ended(hall, buyer, seat)
    assert await _archive(db, retention_s=3_600) == 0
    assert await _archive(db) == 4
    assert await _counts(hall) == (2, 4)
    assert await _archive(db) == 0


async def test_the_amount_of_an_archived_reservation_is_its_persons(db: Database) -> None:
    hall = await open_hall(db)
    buyer, other = hall.people[:2]
    ended = await _ended(hall, buyer, "S001")
    await _archive(db)
    asked = [OpenCommand(who, "k", b"f", "toss", 60.0, ended) for who in (buyer, other)]
    mine, others = await IntentStore(db, BOUNDS).payable(hall.schedule_id, asked)
    assert mine is not None
    assert (mine.amount_minor, others) == (1_000, None)


async def test_an_archived_key_is_still_answered(db: Database) -> None:
    hall, elsewhere = await open_hall(db), await open_hall(db)
    buyer, other = hall.people[:2]
    await _ended(hall, buyer, "S001", key="k")
    before = await hall.hold(buyer, "S001", key="k")
    await _archive(db)
    assert await _counts(hall) == (0, 1)
    after = await hall.hold(buyer, "S001", key="k")
    assert (after.name, after.held) == ("replayed", before.held)
    [reused] = await hall.hold_batch(
        hall.hold_command(buyer, "S002", key="k", fingerprint=b"other")
    )
    assert reused.name == "key_reused"
    await _ended(hall, other, "S003")
    await _ended(elsewhere, buyer, "S003")
    assert (await hall.hold(buyer, "S004", key="k2")).name == "held"
    assert (await hall.hold(other, "S001", key="k")).name == "held"
    assert (await elsewhere.hold(buyer, "S001", key="k")).name == "held"


async def test_an_archived_reservation_answers_as_before(db: Database) -> None:
    hall = await open_hall(db, balance_minor=5_000)
    buyer, other = hall.people[:2]
    given = await _ended(hall, buyer, "S001")
    lapsed = await hall.held(buyer, "S002")
    await hall.lapse(lapsed)
    await hall.expire()
    await _archive(db)
    store = ReservationStore(db)
    for person, words in (
        (buyer, ("not_held", "not_held")),
        (other, ("reservation_not_found",) * 2),
    ):
        names = [(await hall.release(person, one)).name for one in (given, lapsed)]
        assert tuple(names) == words
    assert (await hall.release(buyer, new_id())).name == "reservation_not_found"
    assert [(await hall.pay(buyer, one)).name for one in (given, lapsed, new_id())] == [
        "not_held",
        "hold_expired",
        "reservation_not_found",
    ]
    assert (await hall.pay(other, given)).name == "reservation_not_found"
    found = await store.get(hall.schedule_id, given, buyer)
    assert found is not None
    assert (found.status, found.seat_ids) == ("CANCELLED", ("S001",))
    assert await store.get(hall.schedule_id, given, other) is None
    live = await hall.held(buyer, "S003")
    mine = await store.list_of_user(buyer, None, 10)
    assert [one.reservation_id for one in mine] == sorted((given, lapsed, live), reverse=True)
    assert [one.reservation_id for one in await store.list_of_user(buyer, lapsed, 1)] == [given]


async def test_the_organizer_finds_what_is_archived(db: Database) -> None:
    hall = await open_hall(db)
    buyer, other = hall.people[:2]
    given = await _ended(hall, buyer, "S001")
    await _archive(db)
    live = await hall.held(other, "S001")
    backoffice = BackofficeStore(db)
    every = await backoffice.of_schedule(hall.schedule_id, None, ["S001"], 10)
    assert [one.reservation_id for one in every] == [live, given]
    assert [
        one.reservation_id for one in await backoffice.of_schedule(hall.schedule_id, live, None, 10)
    ] == [given]
    email = f"{buyer}@example.org"
    [found] = await backoffice.of_user(hall.schedule_id, None, email, None, 10)
    assert found.reservation_id == given


async def test_locked_rows_stay_for_a_later_call(db: Database, database_url: str) -> None:
    hall = await open_hall(db)
    busy, idle = hall.people[:2]
    for person, seat in ((busy, "S001"), (idle, "S002")):
        await _ended(hall, person, seat)
    other = await asyncpg.connect(database_url)
    try:
        async with other.transaction():
            await other.execute(
                "SELECT pg_advisory_xact_lock(uuid_hash_extended($1, uuid_hash_extended($2, 0)))",
                busy,
                hall.schedule_id,
            )
            assert await _archive(db) == 1
            assert not await db.fetch("SELECT 1 FROM archive_progress")
    finally:
        await other.close()
    assert await _archive(db) == 1
    assert await db.fetch("SELECT 1 FROM archive_progress")


async def test_what_a_seat_still_names_stays(db: Database) -> None:
    hall = await open_hall(db)
    await hall.change_schedule("seats_return_delay_max_s = 600")
    given = await _ended(hall, hall.people[0], "S001")
    assert await _archive(db) == 0
    await hall.lapse(given)
    await hall.expire()
    assert await _archive(db) == 1


async def test_two_archivists_move_everything_once(db: Database) -> None:
    hall = await open_hall(db, people=12, ticket_limit=100)
    for person in hall.people:
        for seat in hall.seat_ids[:3]:
            await _ended(hall, person, seat)

    async def work() -> int:
        return sum([await _archive(db, batch_max=5) for _ in range(6)])

    shares = await asyncio.gather(work(), work())
    assert sum(shares) == 36
    assert await _counts(hall) == (0, 36)


async def test_what_a_release_before_closed_is_listed_and_counted(db: Database) -> None:
    hall = await open_hall(db)
    buyer = hall.people[0]
    held = await hall.held(buyer, "S001")
    await hall.held(buyer, "S002")
    await db.fetch(
        "UPDATE seats SET state = 'AVAILABLE', reservation_id = NULL, user_id = NULL,"
        " expires_at = NULL WHERE reservation_id = $1",
        held,
    )
    await db.fetch(
        "UPDATE reservations SET status = 'CANCELLED', closed_at = now() WHERE reservation_id = $1",
        held,
    )
    store = ArchiveStore(db)
    assert (await store.take_stock(), await store.take_stock()) == (1, 0)
    assert await _archive(db) == 1
    [row] = await db.fetch("SELECT * FROM schedule_buyers WHERE user_id = $1", buyer)
    assert (row["released"], row["sold_seats"], len(row["open_ids"])) == (1, 0, 1)


async def test_the_record_of_a_room_moves_when_its_sale_is_long_over(db: Database) -> None:
    hall = await open_hall(db)
    await db.fetch(
        "INSERT INTO queue_rooms (schedule_id, mode, rate_per_s, inside_max, inside_s, grace_s,"
        " opens_at, seed, numbers_to) VALUES ($1, 'fifo', 1, 1, 60, 60, now(), $2, 10)",
        hall.schedule_id,
        bytes(32),
    )
    await db.fetch(
        "INSERT INTO queue_joins (schedule_id, numbers, accounts)"
        " SELECT $1, ARRAY[n::bigint], $2 FROM generate_series(1, 5) n",
        hall.schedule_id,
        bytes(16),
    )
    await db.fetch(
        "INSERT INTO queue_admissions (schedule_id, number, user_id, place, called, admitted_at,"
        " leaves_at, inside, inside_max) VALUES ($1, 1, $1, 1, 1, now(), now(), 1, 1)",
        hall.schedule_id,
    )
    await db.fetch("SELECT queue_pack_joins_v1($1, 3, 1)", hall.schedule_id)
    assert await _archive(db) == 0
    assert len(await db.fetch("SELECT FROM queue_packs")) == 1
    await hall.change_schedule(
        "starts_at = now() - interval '26 hours', sale_opens_at = now() - interval '3 days'"
    )
    assert await _archive(db, retention_s=timedelta(hours=3).total_seconds()) == 0
    # A join and an admission; the packs are for a rebuild, until the last join is in the archive.
    assert await ArchiveStore(db).move_record(hall.schedule_id, 1) == 2
    assert len(await db.fetch("SELECT FROM queue_packs")) == 1
    assert await _archive(db) == 4
    kinds = "SELECT kind, count(*) AS n FROM queue_archive GROUP BY kind ORDER BY kind"
    assert [tuple(row) for row in await db.fetch(kinds)] == [("admission", 1), ("join", 5)]
    [row] = await db.fetch(
        "SELECT (jsonb_populate_record(NULL::queue_joins, record)).* FROM queue_archive"
        " WHERE kind = 'join' ORDER BY record_id LIMIT 1"
    )
    assert (row["numbers"], row["accounts"]) == ([1], bytes(16))
    assert await db.fetch("SELECT FROM queue_packs") == []
    # A redemption that comes later, or that a killed process has left, is all that there is.
    await db.fetch(
        "INSERT INTO queue_redemptions (schedule_id, number, user_id) VALUES ($1, 1, $1)",
        hall.schedule_id,
    )
    assert await _archive(db) == 0
    assert await db.fetch("SELECT FROM queue_redemptions") == []


async def test_the_role_archives_until_it_is_stopped(db: Database, settings: Settings) -> None:
    hall = await open_hall(db)
    await _ended(hall, hall.people[0], "S001")
    await db.fetch("UPDATE reservations SET closed_at = closed_at - interval '2 days'")
    await db.fetch("UPDATE closed_reservations SET closed_at = closed_at - interval '2 days'")
    stop = asyncio.Event()
    role = asyncio.create_task(archivist.run(settings, stop))

    async def moved() -> bool:
        return await _counts(hall) == (0, 1)

    await until(moved)
    stop.set()
    await asyncio.wait_for(role, 20)


async def test_what_ended_lately_stays_beside_what_ended_long_ago(db: Database) -> None:
    hall = await open_hall(db)
    await _ended(hall, hall.people[0], "S001")
    for table in ("reservations", "closed_reservations"):
        await db.fetch(f"UPDATE {table} SET closed_at = closed_at - interval '2 hours'")  # noqa: S608
    await _ended(hall, hall.people[0], "S002")
    assert await _archive(db, retention_s=3_600) == 1
    assert await _counts(hall) == (1, 1)
