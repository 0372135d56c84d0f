"""How offers are presented, and read from a body."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated
from uuid import UUID

import msgspec
from msgspec import Meta

from boxoffice.errors import Invalid
from boxoffice.offers.rules import (
    PERCENT_MAX,
    STANDARD,
    PriceType,
    Reduction,
    SalesChannel,
    SeatPair,
    Terms,
)
from boxoffice.offers.service import SeatNote
from boxoffice.offers.store import CodeBatch, CodeGrant, CodeTerms, ScheduleOffers
from boxoffice.platform.text import TextFault, normal_line
from boxoffice.platform.values import Label, Moment, ShortLine

_AMOUNT_MAX = 9_000_000_000_000
_COUNT_MAX = 1_000_000
_NAME_MAX = 40
_NOTE_MAX = 200

Percent = Annotated[int, Meta(ge=0, le=PERCENT_MAX)]
MinorAmount = Annotated[int, Meta(ge=0, le=_AMOUNT_MAX)]
AtLeastOne = Annotated[int, Meta(ge=1, le=_COUNT_MAX)]
TermCode = Annotated[str, Meta(pattern=r"^[a-z0-9_]{1,20}$(?!\n)")]
Name = Annotated[str, Meta(min_length=1, max_length=_NAME_MAX)]
OptionalName = Annotated[str, Meta(max_length=_NAME_MAX)]
NoteText = Annotated[str, Meta(max_length=_NOTE_MAX)]
CodeText = Annotated[str, Meta(min_length=1, max_length=64)]


class PriceTypeValue(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a kind of visitor pays: less `percent_off` of a seat's price, less `amount_off`.

    `note` is shown with it, such as a proof to bring. Without `name_ko` the name is for both
    languages; `grades` null: all grades.
    """

    code: TermCode
    name: Name
    name_ko: OptionalName = ""
    note: NoteText = ""
    note_ko: NoteText = ""
    percent_off: Percent = 0
    amount_off: MinorAmount = 0
    grades: Annotated[list[ShortLine], Meta(min_length=1, max_length=50)] | None = None


class ChannelValue(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A way of selling with at most `quota` seats, held ones included; null: no limit.

    Orders without a code of a channel count against the default one.
    """

    code: TermCode
    name: Name
    quota: Annotated[int, Meta(ge=0, le=_COUNT_MAX)] | None = None
    is_default: bool = False


class TermsBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The terms of a schedule, in place of those that were read.

    `booking_fee` is per ticket that is not free. Before `public_from` only presale codes admit.
    """

    public_from: Moment | None = None
    booking_fee: MinorAmount = 0
    price_types: Annotated[list[PriceTypeValue], Meta(max_length=20)] = []
    channels: Annotated[list[ChannelValue], Meta(max_length=50)] = []


class PairValue(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An accessible seat and its companion's, which are sold together."""

    accessible: Label
    companion: Label


class SeatNoteValue(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A note about seats, such as a restricted view: of `seat_ids`, or of a section's seats.

    In a section: those of `row`, with numbers from `first` to `last`, where these are given.
    """

    note: Annotated[str, Meta(min_length=1, max_length=_NOTE_MAX)]
    note_ko: NoteText = ""
    seat_ids: Annotated[list[Label], Meta(max_length=10_000)] = []
    section: ShortLine | None = None
    row: ShortLine | None = None
    first: AtLeastOne | None = None
    last: AtLeastOne | None = None


class SeatsBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What is said about seats, in place of what was said before."""

    pairs: Annotated[list[PairValue], Meta(max_length=1_000)] = []
    notes: Annotated[list[SeatNoteValue], Meta(max_length=200)] = []


class CodesBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """New codes with the same terms: `count` generated ones, or one shared `code` of one's own.

    `uses_max` is per code (generated ones: 1 unless said otherwise), `seats_max` per use,
    `person_uses_max` per person; null: no limit of its own. `is_presale` admits before the public
    sale, between `valid_from` and `valid_until`. The discount is per ticket.
    """

    name: ShortLine
    count: Annotated[int, Meta(ge=1, le=10_000)] | None = None
    code: CodeText | None = None
    is_presale: bool = False
    valid_from: Moment | None = None
    valid_until: Moment | None = None
    percent_off: Percent = 0
    amount_off: MinorAmount = 0
    uses_max: AtLeastOne | None = None
    seats_max: AtLeastOne | None = None
    person_uses_max: AtLeastOne | None = None
    channel: TermCode | None = None


class DisableBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One `code` of the batch; without it all of them."""

    code: CodeText | None = None


class CodeBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A code as it was typed."""

    code: CodeText


class PriceOut(msgspec.Struct, frozen=True):
    """What a seat of a grade costs: `full` is its price, `price` that of the type."""

    grade: str
    full: int
    price: int


class PriceTypeOut(msgspec.Struct, frozen=True, kw_only=True):
    """A price type with what it makes of each price; the code is empty for the full price."""

    code: str
    name: str
    name_ko: str
    note: str
    note_ko: str
    prices: list[PriceOut]


class PresaleOut(msgspec.Struct, frozen=True):
    """A presale; null: no bound of its own."""

    name: str
    opens_at: datetime | None
    closes_at: datetime | None


class SeatNoteOut(msgspec.Struct, frozen=True):
    """A note with all seats that it is about."""

    note: str
    note_ko: str
    seat_ids: list[str]


class OffersOut(msgspec.Struct, frozen=True, kw_only=True):
    """The offers of a schedule; amounts in minor units of `currency`."""

    schedule_id: UUID
    currency: str
    version: int
    public_from: datetime | None
    booking_fee: int
    presales: list[PresaleOut]
    price_types: list[PriceTypeOut]
    takes_codes: bool
    pairs: list[PairValue]
    notes: list[SeatNoteOut]


class OwnOffersOut(msgspec.Struct, frozen=True, kw_only=True):
    """The terms of a schedule as its organizer edits them; `version` is the ETag, 0 without any."""

    schedule_id: UUID
    currency: str
    version: int
    public_from: datetime | None
    booking_fee: int
    price_types: list[PriceTypeValue]
    channels: list[ChannelValue]
    pairs: list[PairValue]
    notes: list[SeatNoteOut]


class GrantOut(msgspec.Struct, frozen=True, kw_only=True):
    """What a code gives: less `percent_off` of a ticket's price, less `amount_off`."""

    name: str
    percent_off: int
    amount_off: int
    is_presale: bool
    valid_from: datetime | None
    valid_until: datetime | None
    seats_max: int | None
    price_types: list[PriceTypeOut]


class CodeBatchOut(msgspec.Struct, frozen=True, kw_only=True):
    """Codes with the same terms; `uses` are those of holds and sales."""

    batch_id: UUID
    name: str
    codes: int
    uses: int
    is_shared: bool
    is_presale: bool
    valid_from: datetime | None
    valid_until: datetime | None
    percent_off: int
    amount_off: int
    uses_max: int | None
    seats_max: int | None
    person_uses_max: int | None
    channel: str | None
    created_at: datetime
    disabled_at: datetime | None


class CodeBatches(msgspec.Struct, frozen=True):
    """The batches of a schedule, the newest first."""

    items: list[CodeBatchOut]


class MadeCodesOut(msgspec.Struct, frozen=True):
    """New codes: they are shown this once, and kept as digests."""

    batch_id: UUID
    codes: list[str]


def terms_of(body: TermsBody) -> Terms:
    """Return the terms of a body; raise `Invalid` for texts without a normal form."""
    return Terms(
        body.public_from,
        body.booking_fee,
        tuple(map(_price_type, body.price_types)),
        tuple(
            SalesChannel(one.code, _line(one.name), one.quota, one.is_default)
            for one in body.channels
        ),
    )


def _price_type(one: PriceTypeValue) -> PriceType:
    name = _line(one.name)
    return PriceType(
        one.code,
        name,
        _line(one.name_ko) or name,
        _line(one.note),
        _line(one.note_ko) or _line(one.note),
        Reduction(one.percent_off, one.amount_off),
        None if one.grades is None else tuple(map(_line, one.grades)),
    )


def _line(text: str) -> str:
    if not text:
        return ""
    try:
        return normal_line(text)
    except TextFault as fault:
        raise Invalid(f"A text {fault.complaint}.") from fault


def pairs_of(body: SeatsBody) -> list[SeatPair]:
    """Return the pairs of a body."""
    return [SeatPair(one.accessible, one.companion) for one in body.pairs]


def notes_of(body: SeatsBody) -> list[SeatNote]:
    """Return the notes of a body; raise `Invalid` for one about no seats."""
    found = []
    for one in body.notes:
        if bool(one.seat_ids) == (one.section is not None):
            raise Invalid("A note names either seat_ids or a section.")
        note = _line(one.note)
        section = None if one.section is None else _line(one.section)
        row = None if one.row is None else _line(one.row)
        found.append(
            SeatNote(
                note,
                _line(one.note_ko) or note,
                frozenset(one.seat_ids),
                section,
                row,
                one.first,
                one.last,
            )
        )
    return found


def codes_of(body: CodesBody) -> CodeTerms:
    """Return the terms of new codes; raise `Invalid` unless they are of one kind."""
    if (body.count is None) == (body.code is None):
        raise Invalid("Give either count or code.")
    if body.valid_from and body.valid_until and body.valid_from >= body.valid_until:
        raise Invalid("valid_from is before valid_until.")
    is_shared = body.code is not None
    return CodeTerms(
        name=body.name,
        reduction=Reduction(body.percent_off, body.amount_off),
        is_presale=body.is_presale,
        is_shared=is_shared,
        valid_from=body.valid_from,
        valid_until=body.valid_until,
        uses_max=body.uses_max if is_shared else body.uses_max or 1,
        seats_max=body.seats_max,
        person_uses_max=body.person_uses_max,
        channel=body.channel,
    )


def present_offers(found: ScheduleOffers) -> OffersOut:
    """Return offers as buyers are shown them."""
    return OffersOut(
        schedule_id=found.schedule_id,
        currency=found.currency,
        version=found.version,
        public_from=found.terms.public_from,
        booking_fee=found.terms.fee_minor,
        presales=[PresaleOut(one.name, one.opens_at, one.closes_at) for one in found.presales],
        price_types=_priced_types(found, Reduction()),
        takes_codes=found.has_codes,
        pairs=_pairs(found),
        notes=_notes(found),
    )


def present_own(found: ScheduleOffers) -> OwnOffersOut:
    """Return offers as their organizer edits them."""
    terms = found.terms
    return OwnOffersOut(
        schedule_id=found.schedule_id,
        currency=found.currency,
        version=found.version,
        public_from=terms.public_from,
        booking_fee=terms.fee_minor,
        price_types=[
            PriceTypeValue(
                code=one.code,
                name=one.name,
                name_ko=one.name_ko,
                note=one.note,
                note_ko=one.note_ko,
                percent_off=one.reduction.percent_off,
                amount_off=one.reduction.amount_off_minor,
                grades=None if one.grades is None else list(one.grades),
            )
            for one in terms.price_types
        ],
        channels=[
            ChannelValue(code=one.code, name=one.name, quota=one.quota, is_default=one.is_default)
            for one in terms.channels
        ],
        pairs=_pairs(found),
        notes=_notes(found),
    )


def present_grant(found: CodeGrant, offers: ScheduleOffers) -> GrantOut:
    """Return what a code gives, with the prices that it makes."""
    return GrantOut(
        name=found.name,
        percent_off=found.reduction.percent_off,
        amount_off=found.reduction.amount_off_minor,
        is_presale=found.is_presale,
        valid_from=found.valid_from,
        valid_until=found.valid_until,
        seats_max=found.seats_max,
        price_types=_priced_types(offers, found.reduction),
    )


def present_batch(one: CodeBatch) -> CodeBatchOut:
    """Return a batch of codes as it is shown."""
    terms = one.terms
    return CodeBatchOut(
        batch_id=one.batch_id,
        name=terms.name,
        codes=one.codes,
        uses=one.uses,
        is_shared=terms.is_shared,
        is_presale=terms.is_presale,
        valid_from=terms.valid_from,
        valid_until=terms.valid_until,
        percent_off=terms.reduction.percent_off,
        amount_off=terms.reduction.amount_off_minor,
        uses_max=terms.uses_max,
        seats_max=terms.seats_max,
        person_uses_max=terms.person_uses_max,
        channel=terms.channel,
        created_at=one.created_at,
        disabled_at=one.disabled_at,
    )


def _priced_types(found: ScheduleOffers, discount: Reduction) -> list[PriceTypeOut]:
    standard = PriceType(STANDARD, "Standard", "일반", "", "", Reduction())
    return [
        PriceTypeOut(
            code=one.code,
            name=one.name,
            name_ko=one.name_ko,
            note=one.note,
            note_ko=one.note_ko,
            prices=[
                PriceOut(grade, full, discount.of(one.reduction.of(full)))
                for grade, full in found.grades
                if one.grades is None or grade in one.grades
            ],
        )
        for one in (standard, *found.terms.price_types)
    ]


def _pairs(found: ScheduleOffers) -> list[PairValue]:
    return [
        PairValue(one.seat_id, one.partner_id)
        for one in found.seats
        if one.is_accessible and one.partner_id is not None
    ]


def _notes(found: ScheduleOffers) -> list[SeatNoteOut]:
    by_text: dict[tuple[str, str], list[str]] = {}
    for one in found.seats:
        if one.note:
            by_text.setdefault((one.note, one.note_ko), []).append(one.seat_id)
    return [SeatNoteOut(*texts, seat_ids) for texts, seat_ids in by_text.items()]


def codes_csv(batch: CodeBatch, rows: Sequence[tuple[str, int, int | None, bool]]) -> str:
    """Return what is kept of the codes of a batch as CSV (RFC 4180); no cell can be a formula."""
    lines = ["code_ends_with,uses,uses_max,is_disabled"]
    is_off = batch.disabled_at is not None
    for suffix, uses, uses_max, is_disabled in rows:
        limit = "" if uses_max is None else uses_max
        lines.append(f"{suffix},{uses},{limit},{str(is_off or is_disabled).lower()}")
    return "\r\n".join([*lines, ""])
