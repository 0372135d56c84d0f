"""Holds of one batch that are in each other's way: the order of arrival decides, in one round."""

from collections import Counter
from uuid import uuid4

from boxoffice.platform.postgres.database import Database
from tests.support.hall import open_hall
from tests.support.invariants import broken


async def test_of_a_crowd_after_one_seat_the_first_has_it_and_the_others_know(db: Database) -> None:
    hall = await open_hall(db, people=64)
    commands = [hall.hold_command(person, "S001") for person in hall.people]
    outcomes = await hall.hold_batch(*commands)
    assert [one.name for one in outcomes] == ["held"] + ["seat_taken"] * 63
    assert {one.seat_ids for one in outcomes[1:]} == {("S001",)}
    assert not await broken(db, hall.schedule_id)


async def test_a_chain_of_overlaps_is_decided_link_by_link(db: Database) -> None:
    """Whom a loser kept from its other seats gets them, in the same round."""
    hall = await open_hall(db, people=5)
    pairs = [hall.seat_ids[at : at + 2] for at in range(5)]
    outcomes = await hall.hold_batch(
        *(hall.hold_command(one, *two) for one, two in zip(hall.people, pairs, strict=True))
    )
    names = ["held", "seat_taken", "held", "seat_taken", "held"]
    assert [one.name for one in outcomes] == names
    # Only seats that were taken at their turn refuse them.
    assert outcomes[1].seat_ids == ("S002",)
    assert outcomes[3].seat_ids == ("S004",)
    assert outcomes[2].held is not None
    assert outcomes[2].held.seat_ids == ("S003", "S004")
    assert not await broken(db, hall.schedule_id)


async def test_a_request_over_the_limit_blocks_no_seat(db: Database) -> None:
    hall = await open_hall(db, ticket_limit=2)
    greedy, modest = hall.people[:2]
    outcomes = await hall.hold_batch(
        hall.hold_command(greedy, "S001", "S002", "S003"), hall.hold_command(modest, "S003", "S004")
    )
    assert [one.name for one in outcomes] == ["ticket_limit", "held"]


async def test_one_persons_requests_count_against_the_limit_in_their_order(db: Database) -> None:
    hall = await open_hall(db, ticket_limit=3)
    buyer, other = hall.people[:2]
    await hall.held(other, "S012")
    outcomes = await hall.hold_batch(
        hall.hold_command(buyer, "S001"),
        hall.hold_command(buyer, "S012"),
        hall.hold_command(buyer, "S002", "S003", "S004"),
        hall.hold_command(buyer, "S002", "S003"),
        hall.hold_command(buyer, "S005"),
        hall.hold_command(other, "S004"),
    )
    names = ["held", "seat_taken", "ticket_limit", "held", "ticket_limit", "held"]
    assert [one.name for one in outcomes] == names
    assert not await broken(db, hall.schedule_id)


async def test_of_a_batch_only_ones_own_wins_count_against_the_limit(db: Database) -> None:
    hall = await open_hall(db, ticket_limit=2)
    one, other, *_ = hall.people
    outcomes = await hall.hold_batch(
        *(
            hall.hold_command(person, seat)
            for person, seat in zip([one, other] * 3, hall.seat_ids, strict=False)
        )
    )
    assert [outcome.name for outcome in outcomes] == ["held"] * 4 + ["ticket_limit"] * 2


async def test_everything_at_once(db: Database) -> None:
    hall = await open_hall(db, people=8, ticket_limit=2)
    people = hall.people
    earlier = hall.hold_command(people[0], "S001", key="earlier")
    await hall.hold_batch(earlier)
    outcomes = await hall.hold_batch(
        earlier,
        hall.hold_command(people[0], "S002", key="earlier", fingerprint=b"another"),
        hall.hold_command(people[1], "S003", "nowhere"),
        hall.hold_command(people[2], "S001", "S004"),
        hall.hold_command(people[3]),
        hall.hold_command(people[4], "S005", "S006"),
        hall.hold_command(people[5], "S006", "S001", "S003"),
        hall.hold_command(people[6], "S007", "S008", "S009"),
        hall.hold_command(people[7], "S004", "S003"),
    )
    assert [(one.name, one.seat_ids) for one in outcomes] == [
        ("replayed", ()),
        ("key_reused", ()),
        ("seat_not_found", ("nowhere",)),
        ("seat_taken", ("S001",)),
        ("no_seats", ()),
        ("held", ()),
        ("seat_taken", ("S006", "S001")),
        ("ticket_limit", ()),
        ("held", ()),
    ]
    assert outcomes[8].held is not None
    assert outcomes[8].held.amount_minor == 2_000
    assert not await broken(db, hall.schedule_id)


async def test_a_batch_without_conflicts_is_decided_like_one_with(db: Database) -> None:
    """The same commands once more, beside one that sends the whole batch the long way."""
    outcomes = []
    for crowded in (False, True):
        hall = await open_hall(db, people=4)
        seats = [("S001",), ("S003", "S002"), ("S004",)]
        commands = [
            hall.hold_command(one, *two) for one, two in zip(hall.people, seats, strict=False)
        ]
        more = [hall.hold_command(hall.people[3], "S001")] * crowded
        outcomes.append(await hall.hold_batch(*commands, *more))
        assert not await broken(db, hall.schedule_id)
    short, long = outcomes
    assert [one.name for one in long] == ["held", "held", "held", "seat_taken"]
    for one, other in zip(short, long, strict=False):
        assert one.held is not None
        assert other.held is not None
        assert (one.name, one.seat_versions) == (other.name, other.seat_versions)
        assert one.held.seat_ids == other.held.seat_ids
        assert one.held.amount_minor == other.held.amount_minor


async def test_payments_of_one_person_spend_the_wallet_in_their_order(db: Database) -> None:
    hall = await open_hall(db, balance_minor=2_500)
    buyer, other = hall.people[:2]
    one, two, three = [
        await hall.held(buyer, *seats) for seats in (("S001",), ("S002", "S003"), ("S004",))
    ]
    foreign = await hall.held(other, "S005")
    outcomes = await hall.settle(
        hall.bill(buyer, one),
        hall.bill(buyer, two),
        hall.bill(buyer, one),
        hall.bill(other, foreign),
        hall.bill(buyer, three),
        hall.bill(buyer, uuid4()),
    )
    assert [paid.name for paid in outcomes] == [
        "paid",
        "insufficient_balance",
        "already_paid",
        "paid",
        "paid",
        "reservation_not_found",
    ]
    seats = [paid.payment.seat_ids for paid in outcomes if paid.payment is not None]
    assert seats == [("S001",), ("S005",), ("S004",)]
    assert await hall.balance(buyer) == 500
    assert not await broken(db, hall.schedule_id)


async def test_payments_of_several_seats_have_their_own_tickets_and_versions(db: Database) -> None:
    hall = await open_hall(db, balance_minor=10_000)
    commands = (("S001", "S003"), ("S002",), ("S006", "S005", "S004"))
    held = [await hall.held(one, *seats) for one, seats in zip(hall.people, commands, strict=False)]
    outcomes = await hall.settle(
        *(hall.bill(one, reservation) for one, reservation in zip(hall.people, held, strict=False))
    )
    tickets: Counter[object] = Counter()
    for paid, seats in zip(outcomes, commands, strict=True):
        assert paid.payment is not None
        assert paid.payment.seat_ids == seats
        assert paid.seat_versions == (4,) * len(seats)
        assert len(paid.payment.ticket_ids) == len(seats)
        tickets.update(paid.payment.ticket_ids)
    assert tickets.total() == len(tickets) == 6
    assert not await broken(db, hall.schedule_id)
