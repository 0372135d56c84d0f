"""Seat maps and schedules: what is accepted, and how a refusal names its place."""

import csv
import io
import unicodedata
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from boxoffice.catalog.rules import (
    NewSeat,
    check_csv,
    hall,
    labels_of_seat,
    parse_csv,
    seats_of,
    spelled_differently,
    validated,
)
from boxoffice.catalog.seat_map_csv import CsvFormat, _lines
from boxoffice.errors import Invalid, SeatMapInvalid
from boxoffice.platform.text import TextFault, normal_label
from tests.integration.catalog.support import schedule, seat

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
        (HEADER + "A,1,1.5,R,1\n", 2, "number '1.5' has a separator"),
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
        (HEADER + ",,,,\n", 1, "no seats"),
        (HEADER + ",1,,,\n", 2, "section is empty"),
        (HEADER + 'A,1,1,R,"110,000"\n', 2, "has a separator"),
        (HEADER + "A,1,1,R,110.00\n", 2, "has a separator"),
        (HEADER + "\u200b,1,1,R,1\n", 2, "section is empty"),
        (HEADER + "A\u202eB,1,1,R,1\n", 2, "invisible character"),
        (HEADER + "\u3164,1,1,R,1\n", 2, "section is empty"),
        (HEADER + "A,1,1,R,1\nＡ,1,2,R,1\n", 3, "section 'Ａ' is written 'A' at line 2"),
        (HEADER + "A,a,1,R,1\nA,A,2,R,1\n", 3, "row 'A' is written 'a' at line 2"),
        (HEADER + "A,1,1,VIP,1\nA,1,2,vip,1\n", 3, "grade 'vip' is written 'VIP' at line 2"),
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
    """Damaged UTF-8 is not taken for CP949, in which most of it would be other letters."""
    damaged = (HEADER + "A,1,1,R,1\n가,1,2,R,1\n").encode() + "나,1,2,R,1\n".encode()[1:]
    for raw in (damaged, (HEADER + "A,1,1,R,1\n\n").encode() + b"\xff\xfe,1,2,R,1\n"):
        problem = refusal(raw)
        assert (problem.extra["line"], problem.extra["reason"]) == (4, "not_utf8")
        assert "UTF-8" in problem.detail
    half = (HEADER + "A,1,1,R,1\n").encode("utf-16")[:-1]
    assert (refusal(half).extra["line"], refusal(half).extra["reason"]) == (2, "not_utf8")


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


NFD_GA = unicodedata.normalize("NFD", "가")


@pytest.mark.parametrize(
    ("one", "other"),
    [("가", NFD_GA), ("A", "Ａ"), ("a", "A"), ("A B", "A\u00a0 B"), ("❤", "❤\ufe0f")],
)
def test_a_place_that_looks_the_same_is_repeated(one: str, other: str) -> None:
    for rows in (f"{one},1,1,R,1\n{other},1,1,R,1\n", f"A,{one},1,R,1\nA,{other},1,R,1\n"):
        problem = refusal(HEADER + rows)
        assert place(problem) == {"line": 3, "first_line": 2}
        assert problem.extra["reason"] == "repeated"


def test_labels_are_kept_in_one_form() -> None:
    text = HEADER + f"{NFD_GA}\u00a0,\u30001  열,1,{NFD_GA},1\n가,1 열,2,가,1\n"
    first, second = parse_csv(text, 100)
    assert (first.seat_id, first.section, first.row, first.grade) == (
        "가-1_열-1",
        "가",
        "1 열",
        "가",
    )
    assert (second.section, second.row, second.grade) == (first.section, first.row, first.grade)
    syllables = "가" * 40
    long = HEADER + f"{unicodedata.normalize('NFD', syllables)},1,1,R,1\n"
    assert parse_csv(long, 100)[0].section == syllables
    own = f"section,row,number,grade,price,seat_id\nA,1,1,R,1,{NFD_GA}1\n"
    assert parse_csv(own, 100)[0].seat_id == "가1"


def test_another_spelling_of_what_is_there_is_told() -> None:
    known = [seat(1, section="가", grade="VIP"), seat(2, section="B", row="a")]
    new = [
        seat(1, section="가", row="A", grade="VIP"),
        seat(2, section="b", row="A"),
        seat(3, section="B", row="Ａ"),
        seat(4, grade="Vip"),
    ]
    told = dict(spelled_differently(new, known))
    assert list(told) == [1, 2, 3]
    assert told[2] == "The schedule writes the row 'Ａ' as 'a'."
    # Both spellings are there: the damage is done, and neither is refused for it.
    assert list(spelled_differently(new[3:], [*known, seat(9, grade="Vip")])) == []


PLAIN = "section,row,number,grade,price\n가,1,1,R,1000\n가,1,2,R석,1000\n"


@pytest.mark.parametrize(
    ("raw", "assumed"),
    [
        (PLAIN.encode(), CsvFormat()),
        (PLAIN.encode("utf-8-sig"), CsvFormat()),
        (PLAIN.encode("cp949"), CsvFormat(encoding="cp949")),
        (PLAIN.replace("R석", "호").encode("cp949"), CsvFormat(encoding="cp949")),
        (PLAIN.encode("utf-16"), CsvFormat(encoding="utf-16le")),
        (PLAIN.encode("utf-16-le"), CsvFormat(encoding="utf-16le")),
        (("\ufeff" + PLAIN).encode("utf-16-be"), CsvFormat(encoding="utf-16be")),
        (PLAIN.encode("utf-16-be"), CsvFormat(encoding="utf-16be")),
        (PLAIN.replace(",", ";").encode(), CsvFormat(delimiter=";")),
        (PLAIN.replace(",", "\t").encode("utf-16"), CsvFormat(encoding="utf-16le", delimiter="\t")),
        (PLAIN.replace("\n", "\r\n").replace(",", ";").encode("cp949"),
         CsvFormat(encoding="cp949", delimiter=";")),
        ((PLAIN + ",,,,\n").encode(), CsvFormat(ignored_rows=1)),
        ((PLAIN + ", ,\u00a0,,\r\n;\n,\n").replace(";", ",").encode(), CsvFormat(ignored_rows=3)),
        (PLAIN.replace("\n", ",,\n").encode(), CsvFormat(ignored_columns=2)),
        (PLAIN.replace("price\n", "price,,\n").encode(), CsvFormat(ignored_columns=2)),
        (PLAIN.replace("1,R", "1,R").replace("1000\n", "1000,\n").encode(),
         CsvFormat(ignored_columns=1)),
        (PLAIN.replace("price\n", "price,, \n").replace(",", ";").encode("utf-16"),
         CsvFormat(encoding="utf-16le", delimiter=";", ignored_columns=2)),
    ],
)  # fmt: skip
def test_what_spreadsheets_write_is_read_and_told(raw: bytes, assumed: CsvFormat) -> None:
    found = parse_csv(raw, 100)
    assert [(one.section, one.number, one.price_minor) for one in found] == [
        ("가", 1, 1000),
        ("가", 2, 1000),
    ]
    checked = check_csv(raw, 100, 10)
    assert (checked.seats, checked.errors, checked.csv_format) == (found, [], assumed)


def test_a_quoted_line_end_is_counted_in_any_encoding() -> None:
    rows = [
        "section;row;number;grade;price;;",
        '"A\r\nB";1;1;R;1',
        "가;1;1;R;1",
        "가;1;x;R;1;;",
        ";;;;;;",
    ]
    text = "\r\n".join(rows)
    for encoding in ("utf-8", "cp949", "utf-16"):
        checked = check_csv(text.encode(encoding), 9, 9)
        assert [error.extra["line"] for error in checked.errors] == [2, 5]
        assert (checked.lines, checked.csv_format.delimiter) == ([4], ";")
        assert (checked.csv_format.ignored_rows, checked.csv_format.ignored_columns) == (1, 2)


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_a_header_is_read_as_people_write_it(delimiter: str) -> None:
    header = delimiter.join(["Section", "ROW", "Ｎumber", "grade", " Price ", "Seat ID"])
    row = delimiter.join(["A", "1", "1", "R", "9", "x"])
    [seat] = parse_csv(f"{header}\n{row}\n", 9)
    assert (seat.section, seat.seat_id, seat.price_minor) == ("A", "x", 9)
    twice = "section,Section,row,number,grade,price\nA,A,1,1,R,1\n"
    assert refusal(twice).extra["reason"] == "column_twice"


@pytest.mark.parametrize(
    ("text", "line", "reason"),
    [
        ("section,,row,number,grade,price\nA,,1,1,R,1\n", 1, "column_unknown"),
        ("section,row,number,grade,price,,\nA,1,1,R,1,x,\n", 2, "fields"),
        ("section|row|number|grade|price\nA|1|1|R|1\n", 1, "column_unknown"),
        ("\u0080\u0081", 1, "column_unknown"),
    ],
)
def test_what_is_in_the_way_is_not_ignored(text: str, line: int, reason: str) -> None:
    problem = refusal(text)
    assert (problem.extra["line"], problem.extra["reason"]) == (line, reason)


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


def _is_label(text: str) -> bool:
    try:
        return normal_label(text) == text
    except TextFault:
        return False


TEXTS = st.text(st.characters(exclude_categories=["C", "M"]), min_size=1, max_size=9).filter(
    _is_label
)
SEATS = st.lists(
    st.builds(
        NewSeat,
        seat_id=st.text(st.characters(exclude_categories=["C", "M", "Z"]), min_size=1).filter(
            _is_label
        ),
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
    delimiter=st.sampled_from([",", ";", "\t"]),
    encoding=st.sampled_from(["utf-8", "utf-16", "utf-16-le", "utf-16-be"]),
)
def test_what_is_written_is_read(
    seats: list[NewSeat],
    columns: list[str],
    line_end: str,
    mark: str,
    quoting: Any,
    delimiter: Any,
    encoding: str,
) -> None:
    labels = [label for one in seats for label in labels_of_seat(one)]
    assume(len({key for key, _, _ in labels}) == len({(key, text) for key, _, text in labels}))
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator=line_end, quoting=quoting, delimiter=delimiter)
    writer.writerow(columns)
    for one in seats:
        cells = {
            "seat_id": one.seat_id, "section": one.section, "row": one.row,
            "number": one.number, "grade": one.grade, "price": one.price_minor,
        }  # fmt: skip
        writer.writerow([cells[column] for column in columns])
    assert parse_csv((mark + out.getvalue()).encode(encoding), 100) == seats


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
    assert validated(schedule(starts_at=given_at)).starts_at == datetime(
        2029, 12, 31, 18, tzinfo=UTC
    )
    starts_at = validated(schedule(starts_at=given_at)).starts_at
    assert isinstance(starts_at, datetime)
    assert starts_at.tzinfo is UTC


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
        ({"currency": "KRX"}, "currency"),
        ({"currency": "XAU"}, "currency"),
    ],
)  # fmt: skip
def test_a_schedule_that_is_not_acceptable(changed: dict[str, Any], member: str) -> None:
    with pytest.raises(Invalid) as caught:
        validated(schedule(**changed))
    errors: Any = caught.value.extra["errors"]
    assert [error["path"] for error in errors] == [f"$.{member}"]


def test_lines_end_as_spreadsheets_end_them() -> None:
    for text in ("a\r\nb\rc\n\r\n\rd", "", "\n", "a", "a\n", "\r\r\n\n", "é\u2028b\x0bc\x85d\n"):
        assert list(_lines(text)) == list(io.StringIO(text, newline=""))
