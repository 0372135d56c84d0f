"""Offers of a hall of `hall.py`: its organizer has the id of its schedule."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID, uuid4

from boxoffice.offers import rules
from boxoffice.offers.rules import PriceType, Reduction, SalesChannel, SeatPair, Terms
from boxoffice.offers.service import OfferEditor, Offers, SeatNote
from boxoffice.offers.store import CodeTerms, OfferStore, ScheduleOffers
from boxoffice.offers.throttle import CodeThrottle
from boxoffice.platform.valkey import Valkey
from boxoffice.reservations.store import HoldCommand, HoldOutcome
from boxoffice.settings import Settings
from tests.support.hall import Hall

YOUTH = PriceType("youth", "Youth", "청소년", "", "", Reduction(33, 0))
FREE = PriceType("free", "Free", "무료", "", "", Reduction(100, 0), ("R",))


@dataclass(frozen=True)
class OfferDesk:
    """What the organizer of a hall does about its offers."""

    hall: Hall
    offers: Offers

    @property
    def actor(self) -> OfferEditor:
        """The organizer."""
        return OfferEditor(self.hall.schedule_id, [self.hall.schedule_id])

    async def terms(
        self,
        *price_types: PriceType,
        channels: Sequence[SalesChannel] = (),
        fee_minor: int = 0,
        public_from: datetime | None = None,
    ) -> ScheduleOffers:
        """Replace the terms, as an editor who has read the newest ones."""
        found = await self.offers.own([self.hall.schedule_id], self.hall.schedule_id)
        wanted = Terms(public_from, fee_minor, price_types, tuple(channels))
        return await self.offers.set_terms(self.actor, self.hall.schedule_id, found.version, wanted)

    async def pairs(self, *pairs: tuple[str, str], notes: Sequence[SeatNote] = ()) -> None:
        """Say which seats are sold together."""
        wanted = [SeatPair(*pair) for pair in pairs]
        found = await self.offers.own([self.hall.schedule_id], self.hall.schedule_id)
        await self.offers.set_seats(self.actor, self.hall.schedule_id, found.version, wanted, notes)

    async def codes(
        self, terms: CodeTerms | None = None, *, count: int = 1, code: str = ""
    ) -> tuple[UUID, tuple[str, ...]]:
        """Make codes: single-use ones without any reduction if nothing else is wanted."""
        wanted = terms or CodeTerms(name="codes", reduction=Reduction(), uses_max=1)
        made = await self.offers.make_codes(
            self.actor, self.hall.schedule_id, str(uuid4()), wanted, count, code
        )
        return made.batch_id, made.codes

    async def disable(self, batch_id: UUID, code: str = "") -> None:
        """Disable codes."""
        await self.offers.disable(self.actor, self.hall.schedule_id, batch_id, code)

    def command(
        self,
        person: UUID,
        *seat_ids: str,
        code: str = "",
        types: Sequence[str] = (),
        key: str = "",
    ) -> HoldCommand:
        """Return a command to hold seats with a code and price types."""
        plain = self.hall.hold_command(person, *seat_ids, key=key)
        digest = rules.code_hash(self.hall.schedule_id, code) if code else None
        request = rules.OfferRequest(tuple(types) or ("",) * len(seat_ids), digest)
        return HoldCommand(
            person, plain.key, plain.fingerprint, plain.reservation_id, seat_ids, request
        )

    async def hold(
        self,
        person: UUID,
        *seat_ids: str,
        code: str = "",
        types: Sequence[str] = (),
        key: str = "",
    ) -> HoldOutcome:
        """Hold seats with a code and price types."""
        command = self.command(person, *seat_ids, code=code, types=types, key=key)
        [outcome] = await self.hall.hold_batch(command)
        return outcome

    async def held(self, person: UUID, *seat_ids: str, code: str = "") -> UUID:
        """Hold seats that must be free, and return the reservation."""
        outcome = await self.hold(person, *seat_ids, code=code)
        if outcome.name != "held" or outcome.held is None:
            raise AssertionError(outcome)
        return outcome.held.reservation_id


def desk(hall: Hall, settings: Settings, valkey: Valkey) -> OfferDesk:
    """Return the desk of a hall."""
    throttle = CodeThrottle(settings.offers, valkey)
    return OfferDesk(hall, Offers(OfferStore(hall.db), throttle, 0.001, 100))
