"""The batch decision of holds: every outcome, one after the other and raced by two pods."""

import asyncio
from collections import Counter
from uuid import uuid4

import asyncpg
import pytest

from boxoffice.platform.ids import new_id
from boxoffice.platform.postgres.database import Database, Record
from boxoffice.reservations.store import HoldCommand, ReservationStore
from tests.support.hall import Hall, open_hall
from tests.support.invariants import broken


async def test_a_hold_has_seats_sum_and_end(hall: Hall) -> None:
    outcome = await hall.hold(hall.people[0], "S003", "S001")
    held = outcome.held
    assert outcome.name == "held"
    assert held is not None
    assert (held.seat_ids, held.amount_minor, held.currency) == (("S003", "S001"), 2_000, "KRW")
    assert held.ttl_s == 300
    seat = await hall.seat("S003")
    assert (seat["state"], seat["user_id"], seat["version"]) == ("HELD", hall.people[0], 2)
    assert seat["expires_at"] == held.expires_at
    assert await hall.topics(held.reservation_id) == ["reservation.held"]


async def test_a_batch_is_decided_in_the_order_of_arrival(hall: Hall) -> None:
    a, b, c, d = hall.people
    outcomes = await hall.hold_batch(
        hall.hold_command(d, "S001", "S002"),
        hall.hold_command(c, "S002", "S003"),
        hall.hold_command(b, "S003", "nowhere"),
        hall.hold_command(a, "S003"),
        hall.hold_command(a),
    )
    assert [(one.name, one.seat_ids) for one in outcomes] == [
        ("held", ()),
        ("seat_taken", ("S002",)),
        ("seat_not_found", ("nowhere",)),
        ("held", ()),
        ("no_seats", ()),
    ]
    assert (await hall.seat("S003"))["user_id"] == a
    assert not await broken(hall.db, hall.schedule_id)


async def test_all_or_nothing_names_every_seat_that_is_gone(hall: Hall) -> None:
    await hall.held(hall.people[0], "S002", "S004")
    outcome = await hall.hold(hall.people[1], "S001", "S002", "S003", "S004")
    assert (outcome.name, outcome.seat_ids) == ("seat_taken", ("S002", "S004"))
    assert (await hall.seat("S001"))["state"] == "AVAILABLE"


async def test_a_batch_without_any_seat_asks_for_its_keys_alone(hall: Hall) -> None:
    buyer = hall.people[0]
    first = await hall.hold(buyer, "S001", key="k")
    outcomes = await hall.hold_batch(
        hall.hold_command(buyer, key="k"), hall.hold_command(buyer, key="new")
    )
    assert [one.name for one in outcomes] == ["replayed", "no_seats"]
    assert outcomes[0].held == first.held


async def test_a_seat_of_another_schedule_is_unknown(hall: Hall, db: Database) -> None:
    elsewhere = await open_hall(db, seats=99)
    outcome = await hall.hold(hall.people[0], "S001", elsewhere.seat_ids[-1])
    assert (outcome.name, outcome.seat_ids) == ("seat_not_found", ("S099",))


async def test_an_unknown_schedule_has_nothing(hall: Hall) -> None:
    outcomes = await ReservationStore(hall.db).hold(
        uuid4(), [hall.hold_command(hall.people[0], "S001")]
    )
    assert [one.name for one in outcomes] == ["schedule_not_found"]


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ("status = 'DRAFT'", "not_on_sale"),
        ("status = 'CLOSED'", "not_on_sale"),
        ("sale_opens_at = clock_timestamp() + interval '1 hour'", "not_on_sale"),
        ("sale_closes_at = clock_timestamp()", "not_on_sale"),
        ("sale_closes_at = clock_timestamp() + interval '1 hour'", "held"),
        ("starts_at = clock_timestamp()", "not_on_sale"),
        ("starts_at = now(), sale_closes_at = now() + interval '1 hour'", "not_on_sale"),
        ("starts_at = clock_timestamp() + interval '1 minute'", "held"),
    ],
)
async def test_only_what_is_on_sale_is_sold(hall: Hall, change: str, name: str) -> None:
    await hall.change_schedule(change)
    assert (await hall.hold(hall.people[0], "S001")).name == name


async def test_a_blocked_seat_is_taken(hall: Hall) -> None:
    query = "UPDATE seats SET state = 'BLOCKED' WHERE schedule_id = $1 AND seat_id = 'S001'"
    await hall.db.fetch(query, hall.schedule_id)
    assert (await hall.hold(hall.people[0], "S001")).name == "seat_taken"


async def test_a_repetition_gets_the_first_answer_even_after_the_end(hall: Hall) -> None:
    buyer = hall.people[0]
    first = await hall.hold(buyer, "S001", "S002", key="k")
    assert first.held is not None
    again = await hall.hold(buyer, "S001", "S002", key="k")
    assert (again.name, again.held) == ("replayed", first.held)
    await hall.release(buyer, first.held.reservation_id)
    await hall.change_schedule("status = 'CLOSED'")
    assert (await hall.hold(buyer, "S001", "S002", key="k")).held == first.held
    assert (await hall.seat("S001"))["state"] == "AVAILABLE"


async def test_a_key_is_for_one_body_of_one_person_and_one_schedule(
    hall: Hall, db: Database
) -> None:
    one, two = hall.people[:2]
    await hall.hold(one, "S001", key="k")
    [reused] = await hall.hold_batch(hall.hold_command(one, "S002", key="k", fingerprint=b"other"))
    assert reused.name == "key_reused"
    assert (await hall.hold(two, "S002", key="k")).name == "held"
    elsewhere = await open_hall(db)
    assert (await elsewhere.hold(one, "S001", key="k")).name == "held"


async def test_what_is_refused_leaves_its_key_free(hall: Hall) -> None:
    await hall.held(hall.people[0], "S001")
    assert (await hall.hold(hall.people[1], "S001", key="k")).name == "seat_taken"
    assert (await hall.hold(hall.people[1], "S002", key="k")).name == "held"


async def test_a_lapsed_hold_is_taken_over_in_the_same_statement(hall: Hall) -> None:
    former, latter = hall.people[:2]
    lapsed = await hall.held(former, "S001", "S002")
    await hall.lapse(lapsed)
    reservation = await hall.held(latter, "S001")
    seat = await hall.seat("S001")
    assert (seat["reservation_id"], seat["user_id"]) == (reservation, latter)
    assert seat["version"] == 4, "a hold counts for one, a take-over for two"
    assert (await hall.seat("S002"))["version"] == 2
    assert await hall.status(lapsed) == "HELD"
    assert await hall.expire() == 1
    assert (await hall.seat("S001"))["reservation_id"] == reservation
    assert (await hall.seat("S002"))["state"] == "AVAILABLE"
    assert not await broken(hall.db, hall.schedule_id)


async def test_a_hold_is_over_at_the_moment_that_it_names(hall: Hall, db: Database) -> None:
    """The end is counted as after the hold: compared with the very time at which others decide."""
    lapsed = await hall.held(hall.people[0], "S001")
    async with db.transaction() as connection:
        at = await connection.fetchval("SELECT clock_timestamp()")
        for table in ("reservations", "seats"):
            query = f"UPDATE {table} SET expires_at = $2 WHERE reservation_id = $1"  # noqa: S608
            await connection.execute(query, lapsed, at)
    assert (await hall.hold(hall.people[1], "S001")).name == "held"


async def test_the_limit_counts_what_is_held_and_paid_but_not_what_has_lapsed(
    db: Database,
) -> None:
    hall = await open_hall(db, ticket_limit=4, balance_minor=10_000)
    buyer = hall.people[0]
    await hall.pay(buyer, await hall.held(buyer, "S001"))
    lapsing = await hall.held(buyer, "S002", "S003")
    assert (await hall.hold(buyer, "S004", "S005")).name == "ticket_limit"
    released = await hall.held(buyer, "S004")
    assert (await hall.hold(buyer, "S005")).name == "ticket_limit"
    await hall.release(buyer, released)
    await hall.lapse(lapsing)
    outcomes = await hall.hold_batch(
        hall.hold_command(buyer, "S005", "S006"),
        hall.hold_command(buyer, "S007"),
        hall.hold_command(buyer, "S008"),
    )
    assert [one.name for one in outcomes] == ["held", "held", "ticket_limit"]
    assert (await hall.hold(hall.people[1], *hall.seat_ids[7:11])).name == "held"
    assert not await broken(hall.db, hall.schedule_id)


async def test_a_new_persons_single_request_is_within_the_limit_too(db: Database) -> None:
    hall = await open_hall(db, ticket_limit=2)
    assert (await hall.hold(hall.people[0], "S001", "S002", "S003")).name == "ticket_limit"
    assert (await hall.seat("S001"))["state"] == "AVAILABLE"
    assert (await hall.hold(hall.people[0], "S001", "S002")).name == "held"


async def test_the_limit_is_of_one_person_in_one_schedule(db: Database) -> None:
    here, there = await open_hall(db, ticket_limit=1), await open_hall(db, ticket_limit=1)
    buyer, neighbour, *_ = here.people
    await there.held(buyer, "S001")
    assert (await here.hold(buyer, "S001")).name == "held"
    assert (await here.hold(neighbour, "S002")).name == "held"
    assert (await here.hold(buyer, "S003")).name == "ticket_limit"


@pytest.mark.parametrize(("price_minor", "total"), [(0, 0), (9_000_000_000_000, 108 * 10**12)])
async def test_sums_from_nothing_to_the_most(db: Database, price_minor: int, total: int) -> None:
    hall = await open_hall(db, price_minor=price_minor, ticket_limit=1000)
    held = (await hall.hold(hall.people[0], *hall.seat_ids)).held
    assert held is not None
    assert held.amount_minor == total


async def test_a_seat_whose_outcome_is_open_is_neither_taken_nor_free(
    hall: Hall, other: "asyncpg.Connection[Record]"
) -> None:
    lock = "SELECT 1 FROM seats WHERE schedule_id = $1 AND seat_id = 'S002' FOR UPDATE"
    await hall.held(hall.people[0], "S003")
    async with other.transaction():
        await other.execute(lock, hall.schedule_id)
        outcomes = await hall.hold_batch(
            hall.hold_command(hall.people[1], "S001", "S002"),
            hall.hold_command(hall.people[1], "S002", "S003"),
            hall.hold_command(hall.people[1], "S001"),
        )
    assert [(one.name, one.seat_ids) for one in outcomes] == [
        ("seat_busy", ("S002",)),
        ("seat_taken", ("S003",)),
        ("held", ()),
    ]
    assert (await hall.hold(hall.people[1], "S002")).name == "held"


async def test_a_person_is_served_by_one_pod_at_a_time(
    hall: Hall, other: "asyncpg.Connection[Record]"
) -> None:
    lock = "SELECT pg_advisory_xact_lock(uuid_hash_extended($1, uuid_hash_extended($2, 0)))"
    first = await hall.hold(hall.people[0], "S003", key="k")
    async with other.transaction():
        await other.execute(lock, hall.people[0], hall.schedule_id)
        outcomes = await hall.hold_batch(
            hall.hold_command(hall.people[0], "S001"),
            hall.hold_command(hall.people[1], "S002"),
            hall.hold_command(hall.people[0], "S003", key="k"),
        )
    assert [one.name for one in outcomes] == ["person_busy", "held", "replayed"]
    assert outcomes[2].held == first.held


async def test_one_bad_command_fails_its_batch_and_leaves_nothing(hall: Hall) -> None:
    twice = hall.hold_command(hall.people[1], "S002", "S002")
    with pytest.raises(asyncpg.IntegrityConstraintViolationError):
        await hall.hold_batch(hall.hold_command(hall.people[0], "S001"), twice)
    assert (await hall.seat("S001"))["state"] == "AVAILABLE"


async def _insist(db: Database, hall: Hall, command: HoldCommand) -> str:
    """Repeat until no concurrent transaction blocks it."""
    while True:
        [outcome] = await ReservationStore(db).hold(hall.schedule_id, [command])
        if outcome.name not in {"person_busy", "seat_busy"}:
            return outcome.name
        await asyncio.sleep(0.001)


async def test_two_pods_cannot_pass_the_ticket_limit(db: Database) -> None:
    hall = await open_hall(db, seats=240, people=40, ticket_limit=4)
    seats = iter(hall.seat_ids)
    for buyer in hall.people:
        commands = [hall.hold_command(buyer, next(seats), next(seats)) for _ in range(3)]
        names = await asyncio.gather(*(_insist(db, hall, command) for command in commands))
        assert Counter(names) == {"held": 2, "ticket_limit": 1}
    assert not await broken(db, hall.schedule_id)


async def test_two_pods_make_one_reservation_of_one_key(db: Database) -> None:
    hall = await open_hall(db, seats=40, people=40)
    for buyer, seat in zip(hall.people, hall.seat_ids, strict=True):
        commands = [hall.hold_command(buyer, seat, key="k") for _ in range(3)]
        names = await asyncio.gather(*(_insist(db, hall, command) for command in commands))
        assert Counter(names) == {"held": 1, "replayed": 2}
    query = "SELECT count(*) FROM reservations WHERE schedule_id = $1"
    assert (await db.fetch(query, hall.schedule_id))[0][0] == 40


async def test_two_pods_after_the_same_seats_have_one_winner_for_each(db: Database) -> None:
    hall = await open_hall(db, seats=60, people=8, ticket_limit=1000)
    pairs = [hall.seat_ids[at : at + 2] for at in range(0, 60, 2)]
    for pair in pairs:
        commands = [
            hall.hold_command(buyer, *pair[:: 1 - 2 * (at % 2)])
            for at, buyer in enumerate(hall.people)
        ]
        names = await asyncio.gather(*(_insist(db, hall, command) for command in commands))
        assert Counter(names) == {"held": 1, "seat_taken": 7}
    assert not await broken(db, hall.schedule_id)


async def test_what_a_lost_answer_did_is_found_by_its_key(hall: Hall) -> None:
    buyer = hall.people[0]
    done = hall.hold_command(buyer, "S001", key="done")
    [outcome] = await hall.hold_batch(done)
    other_body = HoldCommand(buyer, "done", b"other", new_id(), ("S009",))
    found = await ReservationStore(hall.db).find_holds(
        hall.schedule_id, [hall.hold_command(buyer, "S002", key="not"), done, other_body]
    )
    assert found[0] is None
    assert found[1] is not None
    assert (found[1].name, found[1].held) == ("replayed", outcome.held)
    assert found[2] is not None
    assert found[2].name == "key_reused"
