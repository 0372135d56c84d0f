"""Seat maps and schedules: what is accepted, and how a refusal names its place."""

import csv
import io
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from boxoffice.catalog.rules import (
    NewSeat,
    acceptable,
    hall,
    parse_csv,
    seats_of,
)
from boxoffice.errors import Invalid, SeatMapInvalid

from .support import schedule, seat

HEADER = "section,row,number,grade,price\n"


def place(problem: SeatMapInvalid) -> dict[str, object]:
    """What a refusal says beside its reason."""
    return {name: value for name, value in problem.extra.items() if name != "reason"}


def refusal(text: bytes | str, seats_max: int = 100) -> SeatMapInvalid:
    with pytest.raises(SeatMapInvalid) as caught:
        parse_csv(text, seats_max)
    return caught.value


def test_a_plain_map() -> None:
    assert parse_csv(HEADER + "A,1,1,R,1000\nA,1,2,R,1000\n", 100) == [seat(1), seat(2)]


def test_columns_come_in_any_order_and_name_the_seat() -> None:
    text = "price,seat_id,grade,number,row,section\n1000,vip1,R,1,1,A\n"
    assert parse_csv(text, 100) == [seat(1, seat_id="vip1")]


@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_byte_order_mark_and_line_ends(mark: str, line_end: str) -> None:
    text = (mark + HEADER + "A,1,1,R,1000").replace("\n", line_end)
    assert parse_csv(text.encode(), 100) == [seat(1)]
    assert parse_csv(text, 100) == [seat(1)]


def test_quoted_fields_blank_lines_and_blanks_around_fields() -> None:
    text = '\nsection, row,number,grade,price\n\n"A, left ""L""",1, 7 ,R,1000\n  \n'
    (found,) = parse_csv(text, 100)
    assert (found.section, found.number) == ('A, left "L"', 7)
    assert found.seat_id == 'A,_left_"L"-1-7'


def test_the_default_seat_id_has_no_blanks() -> None:
    (found,) = parse_csv(HEADER + "1층 A,가 열,3,R,0\n", 100)
    assert found.seat_id == "1층_A-가_열-3"


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("section,row,number,grade\nA,1,1,R\n", 1, "'price' is missing"),
        ("section,row,number,grade,price,color\nA,1,1,R,1,red\n", 1, "no column 'color'"),
        ("section,row,number,grade,price,row\nA,1,1,R,1,1\n", 1, "'row' is there twice"),
        ("", 1, "missing"),
        ("\n\nsection,row\n", 3, "missing"),
        (HEADER, 1, "no seats"),
        (HEADER + "\n\n", 1, "no seats"),
        (HEADER + "A,1,1,R,1\nA,1,2,R\n", 3, "4 fields where the header has 5"),
        (HEADER + "A,1,1,R,1\n\nA,1,2,R,1,9\n", 4, "6 fields where the header has 5"),
        (HEADER + "A,1,x,R,1\n", 2, "number 'x'"),
        (HEADER + "A,1,1.5,R,1\n", 2, "number '1.5'"),
        (HEADER + "A,1,0,R,1\n", 2, "number '0'"),
        (HEADER + "A,1,-1,R,1\n", 2, "number '-1'"),
        (HEADER + "A,1,100001,R,1\n", 2, "number '100001'"),
        (HEADER + "A,1,１,R,1\n", 2, "number '１'"),
        (HEADER + "A,1,1_0,R,1\n", 2, "number '1_0'"),
        (HEADER + "A,1,,R,1\n", 2, "number is empty"),
        (HEADER + "A,1,1,R,-1\n", 2, "price '-1'"),
        (HEADER + "A,1,1,R,1e3\n", 2, "price '1e3'"),
        (HEADER + "A,1,1,R,9000000000001\n", 2, "price '9000000000001'"),
        (HEADER + f"A,1,1,R,{2**63}\n", 2, "price '9223372036854775808'"),
        (HEADER + f"A,1,1,R,{'9' * 5000}\n", 2, "price"),
        (HEADER + ",1,1,R,1\n", 2, "section is empty"),
        (HEADER + "A,  ,1,R,1\n", 2, "row is empty"),
        (HEADER + "A,1,1,,1\n", 2, "grade is empty"),
        (HEADER + ",,,,\n", 2, "section is empty"),
        (HEADER + f"{'A' * 41},1,1,R,1\n", 2, "section has more than 40"),
        (HEADER + "A\x07,1,1,R,1\n", 2, "control character"),
        (HEADER + "\ud800,1,1,R,1\n", 2, "control character"),
        (HEADER + '"A\nB",1,1,R,1\nA,1,1,R,1\n', 2, "control character"),
        (HEADER + '"A",1,1,R,"1\n', 2, "not CSV"),
        (HEADER + 'A,"1"1,1,R,1\n', 2, "not CSV"),
        (HEADER + "A,1,1,R,1\nA,1,\x002,R,1\n", 3, "NUL"),
        (HEADER + f"{'A' * 200_000},1,1,R,1\n", 2, "not CSV"),
        ("section,row,number,grade,price,seat_id\nA,1,1,R,1,a b\n", 2, "has a blank"),
        ("section,row,number,grade,price,seat_id\nA,1,1,R,1,\n", 2, "seat_id is empty"),
        (f"section,row,number,grade,price,seat_id\nA,1,1,R,1,{'x' * 129}\n", 2, "more than 128"),
    ],
)
def test_a_refusal_names_its_line(text: str, line: int, words: str) -> None:
    problem = refusal(text)
    assert problem.extra["line"] == line
    assert problem.detail.startswith(f"Line {line}: ")
    assert words in problem.detail
    assert len(problem.detail) < 300


@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
def test_lines_are_counted_as_an_editor_counts_them(line_end: str) -> None:
    text = HEADER + "\nA,1,1,R,1\n\nA,1,2,R,x\n"
    assert refusal(text.replace("\n", line_end)).extra["line"] == 5
    nul = text.replace("x", "\x00")
    assert refusal(nul.replace("\n", line_end)).extra["line"] == 5


def test_not_utf8_names_its_line() -> None:
    raw = (HEADER + "A,1,1,R,1\n").encode() + "가,1,2,R,1\n".encode("cp949")
    problem = refusal(raw)
    assert problem.extra["line"] == 3
    assert "UTF-8" in problem.detail
    assert refusal(HEADER.encode("utf-16")).extra["line"] == 1


def test_a_repeated_seat_id_names_both_lines() -> None:
    text = "section,row,number,grade,price,seat_id\nA,1,1,R,1,x\n\nA,1,2,R,1,y\nA,1,3,R,1,x\n"
    problem = refusal(text)
    assert place(problem) == {"line": 5, "first_line": 2}
    assert "line 2" in problem.detail


def test_a_repeated_place_names_both_lines() -> None:
    text = "section,row,number,grade,price,seat_id\nA,1,1,R,1,x\nA,1,1,R,1,y\n"
    assert place(refusal(text)) == {"line": 3, "first_line": 2}


def test_default_seat_ids_that_collide_are_refused() -> None:
    problem = refusal(HEADER + "A-1,2,3,R,1\nA,1-2,3,R,1\n")
    assert place(problem) == {"line": 3, "first_line": 2}
    assert problem.extra["reason"] == "repeated"


def test_too_many_seats() -> None:
    text = HEADER + "A,1,1,R,1\nA,1,2,R,1\nA,1,3,R,1\n"
    assert len(parse_csv(text, 3)) == 3
    problem = refusal(text, seats_max=2)
    assert place(problem) == {"line": 4, "seats_max": 2}


@dataclass(frozen=True)
class Entry:
    section: str = "A"
    row: str = "1"
    number: int = 1
    grade: str = "R"
    price: int = 1000
    seat_id: str | None = None


def test_a_json_map_goes_through_the_same_checks() -> None:
    assert seats_of([Entry(), Entry(number=2, seat_id="x")], 10) == [seat(1), seat(2, seat_id="x")]


@pytest.mark.parametrize(
    ("entries", "extra"),
    [
        ([Entry(), Entry()], {"index": 1, "first_index": 0}),
        ([Entry(seat_id="x"), Entry(number=2, seat_id="x")], {"index": 1, "first_index": 0}),
        ([Entry(), Entry(number=2), Entry(number=3)], {"index": 2, "seats_max": 2}),
        ([Entry(), Entry(number=2, seat_id="a b")], {"index": 1, "column": "seat_id"}),
        ([Entry(grade=" ")], {"index": 0, "column": "grade"}),
        ([], {"index": 0}),
    ],
)
def test_a_refusal_of_json_names_its_index(entries: list[Entry], extra: dict[str, Any]) -> None:
    with pytest.raises(SeatMapInvalid) as caught:
        seats_of(entries, 2)
    assert place(caught.value) == extra


TEXTS = st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1, max_size=40).filter(
    lambda text: text == text.strip()
)
SEATS = st.lists(
    st.builds(
        NewSeat,
        seat_id=st.text(st.characters(exclude_categories=["Cc", "Cs", "Z"]), min_size=1),
        section=TEXTS,
        row=TEXTS,
        number=st.integers(1, 100_000),
        grade=TEXTS,
        price_minor=st.integers(0, 9_000_000_000_000),
    ),
    min_size=1,
    max_size=8,
    unique_by=(lambda one: one.seat_id, lambda one: (one.section, one.row, one.number)),
)


@given(
    seats=SEATS,
    columns=st.permutations(["seat_id", "section", "row", "number", "grade", "price"]),
    line_end=st.sampled_from(["\n", "\r\n", "\r"]),
    mark=st.sampled_from(["", "\ufeff"]),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
)
def test_what_is_written_is_read(
    seats: list[NewSeat], columns: list[str], line_end: str, mark: str, quoting: Any
) -> None:
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator=line_end, quoting=quoting)
    writer.writerow(columns)
    for one in seats:
        cells = {
            "seat_id": one.seat_id, "section": one.section, "row": one.row,
            "number": one.number, "grade": one.grade, "price": one.price_minor,
        }  # fmt: skip
        writer.writerow([cells[column] for column in columns])
    assert parse_csv((mark + out.getvalue()).encode(), 100) == seats


@given(st.binary(max_size=200) | st.text(max_size=200))
def test_anything_else_is_refused_with_a_line(text: bytes | str) -> None:
    line = refusal(text).extra["line"]
    assert isinstance(line, int)
    assert line >= 1


def test_a_hall_is_a_good_seat_map() -> None:
    seats = hall(1000)
    entries = [Entry(s.section, s.row, s.number, s.grade, s.price_minor, s.seat_id) for s in seats]
    assert seats_of(entries, 1000) == seats
    assert len({one.grade for one in seats}) == 4


def test_schedule_times_become_utc() -> None:
    seoul = timezone(timedelta(hours=9))
    given_at = datetime(2030, 1, 1, 3, tzinfo=seoul)
    assert acceptable(schedule(starts_at=given_at)).starts_at == datetime(
        2029, 12, 31, 18, tzinfo=UTC
    )
    assert acceptable(schedule(starts_at=given_at)).starts_at.tzinfo is UTC


@pytest.mark.parametrize(
    ("changed", "member"),
    [
        ({"starts_at": datetime(2030, 1, 1)}, "starts_at"),  # noqa: DTZ001 - that is the point
        ({"starts_at": datetime(1999, 12, 31, tzinfo=UTC)}, "starts_at"),
        ({"starts_at": datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=9)))}, "starts_at"),
        ({"sale_opens_at": datetime(9999, 12, 31, 23, tzinfo=timezone(timedelta(hours=-9)))},
         "sale_opens_at"),
        ({"sale_opens_at": datetime(2030, 1, 1, tzinfo=UTC),
          "starts_at": datetime(2030, 1, 2, tzinfo=UTC),
          "sale_closes_at": datetime(2030, 1, 1, tzinfo=UTC)}, "sale_closes_at"),
        ({"sale_opens_at": datetime(2030, 1, 1, tzinfo=UTC),
          "starts_at": datetime(2030, 1, 1, tzinfo=UTC)}, "sale_opens_at"),
        ({"sale_opens_at": datetime(2030, 1, 1, 9, 1, tzinfo=timezone(timedelta(hours=9))),
          "starts_at": datetime(2030, 1, 1, tzinfo=UTC)}, "sale_opens_at"),
        ({"sale_closes_at": datetime(2201, 1, 1, tzinfo=UTC)}, "sale_closes_at"),
        ({"currency": "KRW\n"}, "currency"),
        ({"currency": "krw"}, "currency"),
    ],
)  # fmt: skip
def test_a_schedule_that_is_not_acceptable(changed: dict[str, Any], member: str) -> None:
    with pytest.raises(Invalid) as caught:
        acceptable(schedule(**changed))
    errors: Any = caught.value.extra["errors"]
    assert [error["path"] for error in errors] == [f"$.{member}"]
