"""The use cases of offers: read them, change them, make and disable codes."""

import asyncio
import secrets
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from boxoffice.activity_log import Action, record
from boxoffice.errors import Problem, ScheduleNotFound
from boxoffice.offers import rules, store
from boxoffice.offers.errors import CodeBatchNotFound, CodeInvalid, CodesShown, TermsRefused
from boxoffice.offers.rules import SeatPair, Terms, TermsInvalid
from boxoffice.offers.store import (
    CodeBatch,
    CodeGrant,
    CodeTerms,
    Connection,
    KnownCode,
    OfferStore,
    OwnedSchedule,
    PlacedSeat,
    ScheduleOffers,
    SeatAttribute,
)
from boxoffice.offers.throttle import CodeThrottle
from boxoffice.permissions import OrganizationIds
from boxoffice.platform.cache import Cache
from boxoffice.platform.conditional import require_version
from boxoffice.platform.ids import new_id


@dataclass(frozen=True, slots=True)
class OfferEditor:
    """Who changes the offers of a schedule, for which organizations and by which request."""

    user_id: UUID
    organization_ids: OrganizationIds
    request_id: str = ""


@dataclass(frozen=True, slots=True)
class SeatNote:
    """What buyers are shown about seats: `seat_ids`, or all of a section, a row and a range."""

    note: str
    note_ko: str
    seat_ids: Collection[str] = ()
    section: str | None = None
    row: str | None = None
    first: int | None = None
    last: int | None = None


@dataclass(frozen=True, slots=True)
class MadeCodes:
    """A new batch with its codes, which are shown this once."""

    batch_id: UUID
    codes: tuple[str, ...]


class Offers:
    """Offers of schedules, for buyers from memory and for their organizers."""

    def __init__(
        self, offers: OfferStore, throttle: CodeThrottle, cache_s: float, schedules_max: int
    ) -> None:
        self._store = offers
        self._throttle = throttle
        self._shown: Cache[UUID, ScheduleOffers] = Cache(
            self._load, ttl_s=lambda _: cache_s, weight_max=schedules_max
        )

    async def shown(self, schedule_id: UUID) -> ScheduleOffers:
        """Return the offers of a published schedule, a moment old; raise `ScheduleNotFound`."""
        return await self._shown.get(schedule_id)

    async def _load(self, schedule_id: UUID) -> ScheduleOffers:
        found = await self._store.shown(schedule_id)
        if found is None:
            raise ScheduleNotFound
        return found

    async def paired_seats(self, schedule_id: UUID) -> frozenset[str]:
        """Return the seats that are sold together with another one; none where that is not known."""
        try:
            found = await self._shown.get(schedule_id, max_age_s=0)
        except Problem:
            return frozenset()
        return frozenset(one.seat_id for one in found.seats if one.partner_id is not None)

    async def grant(self, user_id: UUID, address: str, schedule_id: UUID, code: str) -> CodeGrant:
        """Return what a code gives; raise `CodeInvalid`, and `TooMany` for many wrong ones."""
        await self.shown(schedule_id)
        digest = rules.code_hash(schedule_id, code)
        found = await self._throttle.counted(
            user_id,
            address,
            lambda: self._store.code(schedule_id, digest),
            lambda one: one is None,
        )
        if found is None:
            raise CodeInvalid
        return found

    async def own(self, organization_ids: OrganizationIds, schedule_id: UUID) -> ScheduleOffers:
        """Return the offers of a schedule of these organizations, also of a draft."""
        found = await self._store.offers(schedule_id, organization_ids)
        if found is None:
            raise ScheduleNotFound
        return found

    async def set_terms(
        self, actor: OfferEditor, schedule_id: UUID, version: int, terms: Terms
    ) -> ScheduleOffers:
        """Replace the terms that were read as `version`.

        What is held or sold keeps its price. Raises `ScheduleNotFound`, `PreconditionFailed` and
        `TermsRefused`.
        """
        async with self._store.transaction() as connection:
            owned = await self._lock(connection, actor, schedule_id)
            require_version(version, await store.lock_terms(connection, schedule_id))
            sold = await store.taken(connection, schedule_id)
            grades = {seat.grade for seat in await store.seats(connection, schedule_id)}
            used = await store.used_channels(connection, schedule_id)
            # guard: offers_terms_make_sense => _accept(lambda: None)
            _accept(lambda: rules.check_terms(terms, sorted(grades), sold, used))
            now = await store.put_terms(connection, schedule_id, terms, sold)
            action = _action(actor, owned, schedule_id, "schedule.offers_changed")
            await record(connection, action({"version": now}))
        return await self._changed(actor, schedule_id)

    async def set_seats(
        self,
        actor: OfferEditor,
        schedule_id: UUID,
        version: int,
        pairs: Sequence[SeatPair],
        notes: Sequence[SeatNote],
    ) -> ScheduleOffers:
        """Replace what was read as `version`: the pairs of seats sold together, and the notes.

        Raises `ScheduleNotFound`, `PreconditionFailed` and `TermsRefused`.
        """
        async with self._store.transaction() as connection:
            owned = await self._lock(connection, actor, schedule_id)
            placed = await store.seats(connection, schedule_id)
            # guard: offers_pairs_make_sense => _accept(lambda: None)
            _accept(lambda: rules.check_pairs(pairs, frozenset(one.seat_id for one in placed)))
            # Many notes of a large hall take a while, during which no hold waits and the loop runs.
            attributes = await asyncio.to_thread(_attributes, placed, pairs, notes)
            require_version(version, await store.lock_terms(connection, schedule_id))
            await store.begin_terms(connection, schedule_id)
            await store.put_seats(connection, schedule_id, attributes)
            action = _action(actor, owned, schedule_id, "schedule.seat_notes_changed")
            await record(connection, action({"pairs": len(pairs), "seats": len(attributes)}))
        return await self._changed(actor, schedule_id)

    async def make_codes(
        self,
        actor: OfferEditor,
        schedule_id: UUID,
        key: str,
        terms: CodeTerms,
        count: int,
        code: str,
    ) -> MadeCodes:
        """Make `count` codes, or one shared `code`; only their digests are kept.

        Raises `CodesShown` for a key that was used, because they cannot be shown again.
        """
        batch_id = new_id()
        if code:
            _accept(lambda: rules.check_shared_code(code))
        codes = (code,) if code else _new_codes(count)
        digests = [
            (rules.code_hash(schedule_id, one), "" if code else rules.suffix(one)) for one in codes
        ]
        async with self._store.transaction() as connection:
            owned = await self._lock(connection, actor, schedule_id)
            await store.begin_terms(connection, schedule_id)
            await store.lock_terms(connection, schedule_id)
            # guard: codes_are_of_a_channel_that_exists => if False:
            if terms.channel and not await store.has_channel(
                connection, schedule_id, terms.channel
            ):
                raise TermsRefused("There is no such channel.", reason="channel")
            added = await store.add_codes(
                connection, schedule_id, batch_id, actor.user_id, key, terms, digests
            )
            if added is None:
                raise CodesShown
            # guard: codes_are_of_one_batch => if False:
            if added < len(codes):
                raise TermsRefused("This code is in use.", reason="code")
            action = _action(actor, owned, schedule_id, "codes.made")
            await record(
                connection,
                action({"batch_id": str(batch_id), "name": terms.name, "codes": len(codes)}),
            )
        self._shown.invalidate(schedule_id)
        return MadeCodes(batch_id, codes)

    async def batches(
        self, organization_ids: OrganizationIds, schedule_id: UUID
    ) -> list[CodeBatch]:
        """Return the batches of a schedule of these organizations, the newest first."""
        return await self._store.batches(schedule_id, organization_ids)

    async def codes(
        self, organization_ids: OrganizationIds, schedule_id: UUID, batch_id: UUID
    ) -> tuple[CodeBatch, list[KnownCode]]:
        """Return what is shown of the codes of a batch; raise `CodeBatchNotFound`."""
        known = {one.batch_id: one for one in await self.batches(organization_ids, schedule_id)}
        if batch_id not in known:
            raise CodeBatchNotFound
        return known[batch_id], await self._store.codes(schedule_id, batch_id)

    async def disable(
        self, actor: OfferEditor, schedule_id: UUID, batch_id: UUID, code: str
    ) -> None:
        """Disable a batch, or one `code` of it: no later hold uses it; a repetition has no effect.

        What is held or sold with it stays. Raises `CodeBatchNotFound`.
        """
        digest = rules.code_hash(schedule_id, code) if code else None
        async with self._store.transaction() as connection:
            owned = await self._lock(connection, actor, schedule_id)
            await store.lock_terms(connection, schedule_id)
            if not await store.disable(connection, schedule_id, batch_id, digest):
                raise CodeBatchNotFound
            action = _action(actor, owned, schedule_id, "codes.disabled")
            await record(connection, action({"batch_id": str(batch_id), "is_one": bool(code)}))
        self._shown.invalidate(schedule_id)

    async def _lock(
        self, connection: Connection, actor: OfferEditor, schedule_id: UUID
    ) -> OwnedSchedule:
        owned = await store.lock_schedule(connection, schedule_id, actor.organization_ids)
        # guard: offers_only_of_own_schedule => owned = owned or OwnedSchedule(schedule_id, schedule_id)
        if owned is None:
            raise ScheduleNotFound
        return owned

    async def _changed(self, actor: OfferEditor, schedule_id: UUID) -> ScheduleOffers:
        self._shown.invalidate(schedule_id)
        return await self.own(actor.organization_ids, schedule_id)


def _new_codes(count: int) -> tuple[str, ...]:
    return tuple(
        rules.grouped("".join(secrets.choice(rules.ALPHABET) for _ in range(rules.CODE_LENGTH)))
        for _ in range(count)
    )


def _accept(check: Callable[[], None]) -> None:
    try:
        check()
    except TermsInvalid as fault:
        raise TermsRefused(str(fault)) from None


def _attributes(
    placed: Sequence[PlacedSeat], pairs: Sequence[SeatPair], notes: Sequence[SeatNote]
) -> list[SeatAttribute]:
    """Return the attributes of seats that have any; of several notes the last one holds."""
    partners = {pair.accessible_id: pair.companion_id for pair in pairs}
    accessible = frozenset(partners)
    partners |= {pair.companion_id: pair.accessible_id for pair in pairs}
    noted, none = _noted(placed, notes), SeatNote("", "")
    found = []
    for seat in placed:
        note, partner = noted.get(seat.seat_id), partners.get(seat.seat_id)
        if note or partner:
            text = note or none
            found.append(
                SeatAttribute(
                    seat.seat_id, partner, seat.seat_id in accessible, text.note, text.note_ko
                )
            )
    return found


def _noted(placed: Sequence[PlacedSeat], notes: Sequence[SeatNote]) -> dict[str, SeatNote]:
    """Return the last note about each seat; a note about a section looks at its own seats only."""
    rows: dict[tuple[str, str | None], list[PlacedSeat]] = {}
    for seat in sorted(placed, key=_number):
        for row in (None, seat.row):
            rows.setdefault((seat.section, row), []).append(seat)
    found: dict[str, SeatNote] = {}
    for note in notes:
        if note.section is None:
            found |= dict.fromkeys(note.seat_ids, note)
            continue
        seats = rows.get((note.section, note.row), [])
        first = 0 if note.first is None else bisect_left(seats, note.first, key=_number)
        end = len(seats) if note.last is None else bisect_right(seats, note.last, key=_number)
        found |= dict.fromkeys((seat.seat_id for seat in seats[first:end]), note)
    return found


def _number(seat: PlacedSeat) -> int:
    return seat.number


def _action(
    actor: OfferEditor, owned: OwnedSchedule, schedule_id: UUID, name: str
) -> Callable[[Mapping[str, object]], Action]:
    return lambda details: Action(
        organization_id=owned.organization_id,
        actor_id=actor.user_id,
        action=name,
        request_id=actor.request_id,
        concert_id=owned.concert_id,
        schedule_id=schedule_id,
        details=details,
    )
