"""A batch is decided as its commands would be one after the other: random batches, both ways."""

import random
from dataclasses import dataclass, field
from uuid import UUID

import pytest

from boxoffice.payments.store import PayCommand, PayOutcome
from boxoffice.platform.postgres.database import Database
from boxoffice.reservations.store import HoldCommand, HoldOutcome
from tests.support.hall import Hall, open_hall
from tests.support.invariants import broken

_ROUNDS = 12
_BATCH_MAX = 12
_PEOPLE = 6

# People and reservations by their places, so that two halls can be given the same.
SeatRequest = tuple[int, str, tuple[str, ...]]
Bill = tuple[int, int, str]


@dataclass
class Play:
    """What happens in two halls alike: `together` in batches, `alone` command by command."""

    random: random.Random
    together: Hall
    alone: Hall
    requests: list[SeatRequest] = field(default_factory=list)
    bills: list[Bill] = field(default_factory=list)
    # Of each hold that was made: who, and the reservations in the one hall and in the other.
    made: list[tuple[int, UUID, UUID]] = field(default_factory=list)
    open: set[int] = field(default_factory=set)

    def hold_command(self) -> SeatRequest:
        """Make a request up; one in five has a key that was used."""
        seats = [*self.together.seat_ids, "nowhere"]
        own = tuple(self.random.sample(seats, self.random.randint(0, 3)))
        if self.requests and self.random.random() < 0.2:
            person, key, before = self.random.choice(self.requests)
            return person, key, before if self.random.random() < 0.7 else own
        return self.random.randrange(_PEOPLE), f"{self.random.random()}", own

    def bill(self) -> Bill:
        """Make a bill up; one in ten is another person's, and one in five has a key that was used."""
        at = self.random.randrange(len(self.made))
        if self.bills and self.random.random() < 0.2:
            payer, before, key = self.random.choice(self.bills)
            return payer, before if self.random.random() < 0.7 else at, key
        own = self.random.random() < 0.9
        payer = self.made[at][0] if own else self.random.randrange(_PEOPLE)
        return payer, at, f"{self.random.random()}"

    async def hold(self) -> None:
        """Decide a batch of holds in both halls."""
        drawn = [self.hold_command() for _ in range(self.random.randint(1, _BATCH_MAX))]
        requests = list({request[:2]: request for request in drawn}.values())  # no twins in a batch
        batch = await self.together.hold_batch(
            *(_hold(self.together, request) for request in requests)
        )
        for request, one in zip(requests, batch, strict=True):
            [other] = await self.alone.hold_batch(_hold(self.alone, request))
            assert _shown_hold(one) == _shown_hold(other), request
            if one.name == "held" and one.held is not None and other.held is not None:
                self.open.add(len(self.made))
                self.made.append((request[0], one.held.reservation_id, other.held.reservation_id))
                self.requests.append(request)

    async def pay(self) -> None:
        """Decide a batch of payments in both halls."""
        drawn = [self.bill() for _ in range(self.random.randint(1, _BATCH_MAX))]
        bills = list({(bill[0], bill[2]): bill for bill in drawn}.values())
        batch = await self.together.settle(*(self._pay(self.together, bill) for bill in bills))
        for bill, one in zip(bills, batch, strict=True):
            [other] = await self.alone.settle(self._pay(self.alone, bill))
            assert _shown_payment(one) == _shown_payment(other), bill
            if one.name == "paid":
                self.open.discard(bill[1])
                self.bills.append(bill)

    async def lapse(self, *, sweep: bool) -> None:
        """Let some holds lapse in both halls."""
        lapsed = [at for at in sorted(self.open) if self.random.random() < 0.15]
        self.open -= set(lapsed)
        for hall in (self.together, self.alone):
            await hall.lapse(*(self._reservation(hall, at) for at in lapsed))
            if sweep:
                await hall.expire()

    def _pay(self, hall: Hall, bill: Bill) -> PayCommand:
        payer, at, key = bill
        reservation = self._reservation(hall, at)
        return hall.bill(hall.people[payer], reservation, key=key, fingerprint=b"%d" % at)

    def _reservation(self, hall: Hall, at: int) -> UUID:
        _, together, alone = self.made[at]
        return together if hall is self.together else alone


def _hold(hall: Hall, request: SeatRequest) -> HoldCommand:
    person, key, seats = request
    return hall.hold_command(
        hall.people[person], *seats, key=key, fingerprint="/".join(seats).encode()
    )


def _shown_hold(outcome: HoldOutcome) -> tuple[object, ...]:
    held = outcome.held and (outcome.held.seat_ids, outcome.held.amount_minor)
    return outcome.name, sorted(outcome.seat_ids), outcome.seat_versions, held


def _shown_payment(outcome: PayOutcome) -> tuple[object, ...]:
    paid = outcome.payment
    what = paid and (paid.seat_ids, paid.amount_minor, len(paid.ticket_ids), paid.method)
    return outcome.name, outcome.seat_versions, what


@pytest.mark.parametrize("seed", range(4))
async def test_a_batch_is_decided_as_its_commands_alone(db: Database, seed: int) -> None:
    print("seed", seed)
    halls = [
        await open_hall(db, seats=14, people=_PEOPLE, ticket_limit=5, balance_minor=4_000)
        for _ in range(2)
    ]
    play = Play(random.Random(seed), halls[0], halls[1])
    for _ in range(_ROUNDS):
        await play.hold()
        await play.lapse(sweep=bool(seed % 2))
        if play.made:
            await play.pay()
    assert play.requests
    assert play.bills
    for one, other in zip(halls[0].people, halls[1].people, strict=True):
        assert await halls[0].balance(one) == await halls[1].balance(other)
    for hall in halls:
        # Holds that `lapse` has aged one after the other share the same yesterday.
        found = await broken(db, hall.schedule_id)
        assert found.keys() <= {"seat_was_promised_twice"}
