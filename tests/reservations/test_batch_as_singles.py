"""A batch is decided as its commands would be one after the other: random batches, both ways."""

import random
from uuid import UUID

import pytest

from boxoffice.platform.postgres import Database
from boxoffice.reservations.store import HoldCommand
from tests.support.hall import Hall, open_hall
from tests.support.invariants import broken

_ROUNDS = 12
_BATCH_MAX = 12

# A person's and a reservation's places stand for them, so that two halls can be compared.
Wish = tuple[int, str, tuple[str, ...]]
Bill = tuple[int, int, str]


def _wishes(random_: random.Random, hall: Hall, used: list[Wish]) -> list[Wish]:
    wishes: list[Wish] = []
    for _ in range(random_.randint(1, _BATCH_MAX)):
        person = random_.randrange(len(hall.people))
        seats = [*hall.seat_ids, "nowhere"] if random_.random() < 0.1 else hall.seat_ids
        wish = (person, f"{random_.random()}", tuple(random_.sample(seats, random_.randint(0, 3))))
        if used and random_.random() < 0.2:
            earlier = random_.choice(used)
            wish = earlier if random_.random() < 0.7 else (earlier[0], earlier[1], wish[2])
        if all(wish[:2] != other[:2] for other in wishes):  # the group commit parts twins
            wishes.append(wish)
    return wishes


def _command(hall: Hall, wish: Wish) -> HoldCommand:
    person, key, seats = wish
    return hall.wish(hall.people[person], *seats, key=key, fingerprint="/".join(seats).encode())


@pytest.mark.parametrize("seed", range(4))
async def test_a_batch_is_decided_as_its_commands_alone(db: Database, seed: int) -> None:
    print("seed", seed)
    random_ = random.Random(seed)  # noqa: S311 — a repeatable test
    halls = [
        await open_hall(db, seats=14, people=6, ticket_limit=5, balance_minor=4_000)
        for _ in range(2)
    ]
    together, alone = halls
    used: list[Wish] = []
    reservations: list[list[tuple[UUID, UUID]]] = [[], []]
    bills_used: list[Bill] = []
    open_: set[int] = set()
    for _ in range(_ROUNDS):
        wishes = _wishes(random_, together, used)
        batch = await together.decide(*(_command(together, wish) for wish in wishes))
        singles = [(await alone.decide(_command(alone, wish)))[0] for wish in wishes]
        for wish, one, other in zip(wishes, batch, singles, strict=True):
            assert (one.name, sorted(one.seat_ids)) == (other.name, sorted(other.seat_ids)), wish
            assert one.seat_versions == other.seat_versions
            if one.name != "held":
                continue
            used.append(wish)
            open_.add(len(reservations[0]))
            assert one.held is not None and other.held is not None
            assert one.held.seat_ids == other.held.seat_ids
            assert one.held.amount_minor == other.held.amount_minor
            for hall, outcome, made in zip(halls, (one, other), reservations, strict=True):
                assert outcome.held is not None
                made.append((hall.people[wish[0]], outcome.held.reservation_id))
        lapsed = [at for at in sorted(open_) if random_.random() < 0.15]
        open_ -= set(lapsed)
        for hall, made in zip(halls, reservations, strict=True):
            await hall.lapse(*(made[at][1] for at in lapsed))
            if seed % 2:
                await hall.expire()
        bills = _bills(random_, len(reservations[0]), bills_used)
        commands = [
            [
                hall.bill(*_payer(hall, made, bill), key=bill[2], fingerprint=b"%d" % bill[1])
                for bill in bills
            ]
            for hall, made in zip(halls, reservations, strict=True)
        ]
        paid = await together.settle(*commands[0]) if bills else []
        paid_alone = [(await alone.settle(command))[0] for command in commands[1]]
        for bill, sum_, single in zip(bills, paid, paid_alone, strict=True):
            assert sum_.name == single.name, bill
            assert sum_.seat_versions == single.seat_versions
            if sum_.payment is not None and single.payment is not None:
                assert sum_.payment.seat_ids == single.payment.seat_ids
                assert sum_.payment.amount_minor == single.payment.amount_minor
                assert len(sum_.payment.ticket_ids) == len(sum_.payment.seat_ids)
                bills_used.append(bill)
                open_.discard(bill[1])
        for person, twin in zip(together.people, alone.people, strict=True):
            assert await together.balance(person) == await alone.balance(twin)
    for hall in halls:
        # Holds that `lapse` has aged one after the other share the same yesterday.
        found = await broken(db, hall.schedule_id)
        assert found.keys() <= {"seat_was_promised_twice"}


def _bills(random_: random.Random, reservations: int, used: list[Bill]) -> list[Bill]:
    bills: list[Bill] = []
    for _ in range(random_.randint(0, _BATCH_MAX) if reservations else 0):
        stranger = random_.randrange(6) if random_.random() < 0.1 else -1
        bill = (stranger, random_.randrange(reservations), f"{random_.random()}")
        if used and random_.random() < 0.2:
            earlier = random_.choice(used)
            bill = earlier if random_.random() < 0.7 else (earlier[0], bill[1], earlier[2])
        bills.append(bill)
    # The group commit parts twins.
    return list({bill[2]: bill for bill in bills}.values())


def _payer(hall: Hall, made: list[tuple[UUID, UUID]], bill: Bill) -> tuple[UUID, UUID]:
    stranger, at, _ = bill
    owner, reservation_id = made[at]
    return (owner if stranger < 0 else hall.people[stranger]), reservation_id
