"""Validation of seat maps and schedules: pure."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import NamedTuple, Protocol, TypeAlias
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec

from boxoffice.catalog.seat_map_csv import INDEX, LINE, CsvFormat, ErrorLocation, rows_of
from boxoffice.errors import Invalid, SeatMapInvalid
from boxoffice.platform.currencies import DECIMALS
from boxoffice.platform.text import TYPED_PER_CHAR_MAX, TextFault, normal_label, same_to_people
from boxoffice.venues.rules import YEAR_MAX, YEAR_MIN, VenueTime, resolve

NUMBER_MAX = 100_000
PRICE_MAX_MINOR = 9_000_000_000_000
TEXT_MAX = 40
SEAT_ID_MAX = 128
_UTC = ZoneInfo("UTC")

_REQUIRED = ("section", "row", "number", "grade", "price")
_COLUMNS = frozenset({"seat_id", *_REQUIRED})
_BLANK = re.compile(r"\s")
_DIGITS = re.compile(r"[0-9]{1,18}")
# Digits in groups, or with decimals: 110,000 or 110.000 or 110 000,00 or 12.50.
_GROUPED = re.compile(r"[0-9]{1,15}(?:[,.'\u2019 \u00a0\u202f][0-9]{1,3})+")


class NewSeat(msgspec.Struct, frozen=True, gc=False):
    """A new seat; `price_minor` in minor units of its schedule's currency."""

    seat_id: str
    section: str
    row: str
    number: int
    grade: str
    price_minor: int


class CheckedSeatMap(msgspec.Struct):
    """The valid seats of a seat map with their lines, and its errors.

    `ended_early` says that the rest was not checked, `csv_format` how the file was read.
    """

    seats: list[NewSeat] = msgspec.field(default_factory=list)
    lines: list[int] = msgspec.field(default_factory=list)
    errors: list[SeatMapInvalid] = msgspec.field(default_factory=list)
    ended_early: bool = False
    csv_format: CsvFormat = msgspec.field(default_factory=CsvFormat)


class SeatEntry(Protocol):
    """A seat of a JSON seat map; `price` in minor units of the schedule's currency."""

    @property
    def seat_id(self) -> str | None: ...
    @property
    def section(self) -> str: ...
    @property
    def row(self) -> str: ...
    @property
    def number(self) -> int: ...
    @property
    def grade(self) -> str: ...
    @property
    def price(self) -> int: ...


class SeatLabels(Protocol):
    """The labels of a seat."""

    @property
    def section(self) -> str: ...
    @property
    def row(self) -> str: ...
    @property
    def grade(self) -> str: ...


# A label in normal form: its column, and the keys of what contains it.
Key: TypeAlias = tuple[str, ...]
# The place of a concert in a list: the time that orders it, and its id.
Place: TypeAlias = tuple[datetime, UUID]


class NewConcert(msgspec.Struct, frozen=True, kw_only=True):
    """A new concert."""

    title: str
    artist: str
    venue: str
    description: str = ""


class NewSchedule(msgspec.Struct, frozen=True, kw_only=True):
    """A new schedule; times are instants, or local times of the venue."""

    starts_at: VenueTime
    sale_opens_at: VenueTime
    sale_closes_at: VenueTime | None
    currency: str
    hold_ttl_s: int
    ticket_limit: int
    seats_return_delay_max_s: int = 0
    venue_id: UUID | None = None
    doors_at: VenueTime | None = None


def parse_csv(text: bytes | str, seats_max: int) -> list[NewSeat]:
    """Return the seats of a CSV seat map (RFC 4180, with a header) in the order of the file.

    The columns section, row, number, grade and price (minor units) are required, seat_id is optional,
    in any order. `seat_map_csv` lists encodings and delimiters. Raises `SeatMapInvalid` with `line`.
    """
    rows = rows_of(text, _COLUMNS, CsvFormat())
    header_line, header = next(rows, (1, []))
    columns = _columns(header_line, header)
    found = ((line, _csv_seat(line, _cells(line, columns, cells))) for line, cells in rows)
    return _unique_seats(found, LINE, seats_max)


def check_csv(text: bytes | str, seats_max: int, errors_max: int) -> "CheckedSeatMap":
    """Return the seats that `parse_csv` would return, and all errors by line.

    Checking stops after `errors_max` errors, after an error that makes the rest unreadable (the header,
    an open quote), and at one seat too many.
    """
    checked = CheckedSeatMap()
    try:
        rows = rows_of(text, _COLUMNS, checked.csv_format)
        header_line, header = next(rows, (1, []))
        columns = _columns(header_line, header)
        _check_rows(rows, columns, _UniqueSeats(LINE, seats_max), checked, errors_max)
    except SeatMapInvalid as error:
        checked.errors.append(error)
        checked.ended_early = True
    if not checked.seats and not checked.errors:
        checked.errors.append(
            SeatMapInvalid("Line 1: there are no seats.", line=1, reason="no_seats")
        )
    return checked


def _check_rows(
    rows: Iterator[tuple[int, list[str]]],
    columns: Sequence[str],
    distinct: "_UniqueSeats",
    checked: "CheckedSeatMap",
    errors_max: int,
) -> None:
    for line, cells in rows:
        distinct.require_space(line)
        try:
            seat = _csv_seat(line, _cells(line, columns, cells))
            distinct.add(line, seat)
        except SeatMapInvalid as error:
            checked.errors.append(error)
            if len(checked.errors) == errors_max:
                checked.ended_early = True
                return
        else:
            checked.seats.append(seat)
            checked.lines.append(line)


def seats_of(entries: Sequence[SeatEntry], seats_max: int) -> list[NewSeat]:
    """Return the seats of a JSON seat map in its order; raise `SeatMapInvalid` with `index`."""
    return _unique_seats(enumerate(map(_json_seat, range(len(entries)), entries)), INDEX, seats_max)


def count_by_section(seats: Sequence[NewSeat]) -> dict[str, tuple[int, int]]:
    """Return the number of rows and seats by section, in the order of the map."""
    rows: dict[str, set[str]] = {}
    counts: dict[str, int] = {}
    for seat in seats:
        rows.setdefault(seat.section, set()).add(seat.row)
        counts[seat.section] = counts.get(seat.section, 0) + 1
    return {section: (len(rows[section]), counts[section]) for section in rows}


def count_by_grade(seats: Sequence[NewSeat]) -> dict[str, tuple[int, int, int]]:
    """Return the number of seats by grade, and its lowest and highest price in minor units."""
    grades: dict[str, tuple[int, int, int]] = {}
    for seat in seats:
        price = seat.price_minor
        count, low, high = grades.get(seat.grade, (0, price, price))
        grades[seat.grade] = (count + 1, min(low, price), max(high, price))
    return grades


def validated(schedule: NewSchedule, zone: ZoneInfo = _UTC) -> NewSchedule:
    """Return `schedule` with its times in UTC; local times are those of `zone`.

    Raises `Invalid`, or one of its kinds, with the member at fault.
    """
    if schedule.currency not in DECIMALS:
        raise _invalid("currency", "A currency is one of ISO 4217, such as KRW or EUR")
    starts_at = in_utc("starts_at", schedule.starts_at, zone)
    opens_at = in_utc("sale_opens_at", schedule.sale_opens_at, zone)
    closes_at, doors_at = schedule.sale_closes_at, schedule.doors_at
    times = SaleTimes(
        starts_at,
        opens_at,
        None if closes_at is None else in_utc("sale_closes_at", closes_at, zone),
        None if doors_at is None else in_utc("doors_at", doors_at, zone),
    )
    check_times(times)
    return msgspec.structs.replace(
        schedule,
        starts_at=times.starts_at,
        sale_opens_at=times.sale_opens_at,
        sale_closes_at=times.sale_closes_at,
        doors_at=times.doors_at,
    )


class SaleTimes(NamedTuple):
    """The times of a performance and its sale, in UTC."""

    starts_at: datetime
    sale_opens_at: datetime
    sale_closes_at: datetime | None
    doors_at: datetime | None


def check_times(times: SaleTimes) -> None:
    """Raise `Invalid` with the member at fault unless the times are in order."""
    if times.sale_opens_at >= times.starts_at:
        raise _invalid("sale_opens_at", "The sale must open before the performance begins")
    if times.sale_closes_at is not None and times.sale_closes_at <= times.sale_opens_at:
        raise _invalid("sale_closes_at", "The sale must close after it opens")
    if times.doors_at is not None and times.doors_at > times.starts_at:
        raise _invalid("doors_at", "The doors must open before the performance begins")


def same_instant() -> Invalid:
    """Return the error for a second schedule of one concert at one instant."""
    return _invalid("starts_at", "The concert has a schedule at this time already")


def hall(seats: int, row_seats: int = 25, section_rows: int = 10) -> list[NewSeat]:
    """Return a plausible hall in sections of `section_rows` rows, the best seats in front."""
    return [_hall_seat(at, seats, row_seats, section_rows) for at in range(seats)]


def _hall_seat(position: int, seats: int, row_seats: int, section_rows: int) -> NewSeat:
    grades = (("VIP", 165_000), ("R", 143_000), ("S", 110_000), ("A", 88_000))
    grade, price_minor = grades[position * len(grades) // seats]
    row_of_all, in_row = divmod(position, row_seats)
    section, row = (str(1 + count) for count in divmod(row_of_all, section_rows))
    number = in_row + 1
    return NewSeat(f"{section}-{row}-{number}", section, row, number, grade, price_minor)


def _invalid(member: str, message: str) -> Invalid:
    return Invalid(f"{message}.", errors=[{"path": f"$.{member}", "message": message}])


def in_utc(member: str, given: VenueTime, zone: ZoneInfo) -> datetime:
    """Return a time of a body in UTC; a local one is that of `zone`. Raises `Invalid`."""
    moment = resolve(member, given, zone)
    if moment.tzinfo is None:
        raise _invalid(member, "A time needs an offset from UTC (RFC 3339)")
    # The bounds leave a margin of a year, so that no offset leaves the calendar.
    if not YEAR_MIN <= moment.year <= YEAR_MAX:
        raise _invalid(member, f"The year must be between {YEAR_MIN} and {YEAR_MAX}")
    return moment.astimezone(UTC)


def _columns(line: int, header: Sequence[str]) -> list[str]:
    for at, name in enumerate(header):
        if name not in _COLUMNS:
            LINE.refuse(
                line,
                f"there is no column {_shown(name)}",
                reason="column_unknown",
                column=name[:TEXT_MAX],
            )
        if name in header[:at]:
            LINE.refuse(
                line, f"the column '{name}' is there twice", reason="column_twice", column=name
            )
    for name in _REQUIRED:
        if name not in header:
            LINE.refuse(
                line, f"the column '{name}' is missing", reason="column_missing", column=name
            )
    return list(header)


def _cells(line: int, columns: Sequence[str], cells: Sequence[str]) -> dict[str, str]:
    if len(cells) != len(columns):
        LINE.refuse(
            line,
            f"there are {len(cells)} fields where the header has {len(columns)}",
            reason="fields",
        )
    return dict(zip(columns, cells, strict=True))


def _csv_seat(line: int, cells: Mapping[str, str]) -> NewSeat:
    texts = [_text(LINE, line, column, cells[column]) for column in ("section", "row", "grade")]
    number = _whole(line, "number", cells["number"], 1, NUMBER_MAX)
    price_minor = _whole(line, "price", cells["price"], 0, PRICE_MAX_MINOR)
    return _seat(LINE, line, texts, number, price_minor, cells.get("seat_id"))


def _json_seat(index: int, entry: SeatEntry) -> NewSeat:
    texts = [
        _text(INDEX, index, column, getattr(entry, column))
        for column in ("section", "row", "grade")
    ]
    return _seat(INDEX, index, texts, entry.number, entry.price, entry.seat_id)


def _seat(
    where: ErrorLocation,
    at: int,
    texts: Sequence[str],
    number: int,
    price_minor: int,
    seat_id: str | None,
) -> NewSeat:
    section, row, grade = texts
    if seat_id is None:
        seat_id = _BLANK.sub("_", f"{section}-{row}-{number}")
    else:
        seat_id = _text(where, at, "seat_id", seat_id, SEAT_ID_MAX)
        if _BLANK.search(seat_id):
            where.refuse(
                at, f"the seat_id {_shown(seat_id)} has a blank", reason="blank", column="seat_id"
            )
    return NewSeat(seat_id, section, row, number, grade, price_minor)


def _text(where: ErrorLocation, at: int, column: str, text: str, length_max: int = TEXT_MAX) -> str:
    """Return the normal form of a label."""
    # Longer text is refused below, so only this much is normalized.
    typed_max = length_max * TYPED_PER_CHAR_MAX
    try:
        label = normal_label(text[: typed_max + 1])
    except TextFault as fault:
        shown = "" if fault.reason == "empty" else f" {_shown(text)}"
        where.refuse(at, f"{column}{shown} {fault.complaint}", reason=fault.reason, column=column)
    if len(label) > length_max or len(text) > typed_max:
        where.refuse(
            at, f"{column} has more than {length_max} characters", reason="too_long", column=column
        )
    return label


def _whole(line: int, column: str, text: str, low: int, high: int) -> int:
    if not text:
        LINE.refuse(line, f"{column} is empty", reason="empty", column=column)
    if _GROUPED.fullmatch(text):
        complaint = f"{column} {_shown(text)} has a separator; write the digits alone"
        LINE.refuse(line, complaint, reason="separator", column=column)
    value = int(text) if _DIGITS.fullmatch(text) else -1
    if not low <= value <= high:
        complaint = f"{column} {_shown(text)} is not a whole number between {low} and {high}"
        LINE.refuse(line, complaint, reason="not_whole", column=column)
    return value


def labels_of_seat(seat: SeatLabels) -> tuple[tuple[Key, str, str], ...]:
    """Return each label of a seat: its normal form, its column, and its spelling.

    The normal form of a row includes its section: rows of two sections are unrelated.
    """
    section = same_to_people(seat.section)
    return (
        (("section", section), "section", seat.section),
        (("row", section, same_to_people(seat.row)), "row", seat.row),
        (("grade", same_to_people(seat.grade)), "grade", seat.grade),
    )


def spelled_differently(
    seats: Sequence[NewSeat], known: Iterable[SeatLabels]
) -> Iterator[tuple[int, str]]:
    """Yield the index of each seat that spells a label of `known` seats differently, and the error."""
    written: dict[Key, set[str]] = {}
    for seat in known:
        for key, _, label in labels_of_seat(seat):
            written.setdefault(key, set()).add(label)
    for at, one in enumerate(seats):
        for key, column, label in labels_of_seat(one):
            others = written.get(key)
            if others is not None and label not in others:
                yield (
                    at,
                    f"The schedule writes the {column} {_shown(label)} as {_shown(min(others))}.",
                )
                break


class _UniqueSeats:
    """The seats of a map so far; refuses repeated ids and places, and too many seats.

    Places are compared in normal form, without case and width. A label has one spelling in a map,
    because sections that look alike are one section to people.
    """

    def __init__(self, where: ErrorLocation, seats_max: int) -> None:
        self._where = where
        self._seats_max = seats_max
        self._ids: dict[object, int] = {}
        self._places: dict[object, int] = {}
        self._written: dict[Key, tuple[str, int]] = {}

    def require_space(self, at: int) -> None:
        """Raise `SeatMapInvalid` where the seat at `at` is one too many."""
        if len(self._places) >= self._seats_max:
            complaint = f"a schedule may have {self._seats_max} seats"
            self._where.refuse(at, complaint, reason="too_many", seats_max=self._seats_max)

    def add(self, at: int, seat: NewSeat) -> None:
        """Add the seat at `at`; raise `SeatMapInvalid` where an earlier one has its id or place."""
        _once(self._where, at, self._ids, seat.seat_id, f"seat_id {_shown(seat.seat_id)}")
        what = f"section, row and number {_shown(f'{seat.section} {seat.row} {seat.number}')}"
        place = (same_to_people(seat.section), same_to_people(seat.row), seat.number)
        _once(self._where, at, self._places, place, what)
        for key, column, label in labels_of_seat(seat):
            written, first = self._written.setdefault(key, (label, at))
            if written != label:
                self._refuse_spelling(at, column, label, written, first)

    def _refuse_spelling(self, at: int, column: str, label: str, other: str, first: int) -> None:
        word = self._where.word.lower()
        complaint = f"{column} {_shown(label)} is written {_shown(other)} at {word} {first}"
        extra = {f"first_{self._where.member}": first}
        self._where.refuse(at, complaint, reason="spelling", column=column, **extra)


def _unique_seats(
    found: Iterable[tuple[int, NewSeat]], where: ErrorLocation, seats_max: int
) -> list[NewSeat]:
    distinct = _UniqueSeats(where, seats_max)
    seats: list[NewSeat] = []
    for at, seat in found:
        distinct.require_space(at)
        distinct.add(at, seat)
        seats.append(seat)
    if not seats:
        where.refuse(where.first, "there are no seats", reason="no_seats")
    return seats


def _once(where: ErrorLocation, at: int, seen: dict[object, int], key: object, what: str) -> None:
    first = seen.setdefault(key, at)
    if first != at:
        word = where.word.lower()
        complaint = f"{what} is there already, at {word} {first}"
        where.refuse(at, complaint, reason="repeated", **{f"first_{where.member}": first})


def _shown(text: str) -> str:
    # `repr` escapes characters without a glyph, and those that JSON cannot carry.
    return repr(text if len(text) <= TEXT_MAX else text[:TEXT_MAX] + "…")
