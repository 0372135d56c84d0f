"""CSV seat maps: what is accepted however it was saved, and errors that name their line.

And other texts that organizers type.
"""

import unicodedata
from uuid import uuid4

import pytest

from .client import PASSWORD, Answer, Api, Person, Sale, expect, refused
from .conftest import Running, draft, fingerprint

HEADER = "section,row,number,grade,price"
CSV = {"Content-Type": "text/csv"}


@pytest.fixture
def empty(organizer: Person) -> Sale:
    """A schedule without seats."""
    return draft(organizer, 0)


def upload(organizer: Person, sale: Sale, text: str | bytes, **headers: str) -> Answer:
    """Send a CSV seat map."""
    raw = text.encode() if isinstance(text, str) else text
    path = f"/v1/admin/schedules/{sale.schedule_id}/seats"
    return organizer.api.post(path, body=raw, headers={**CSV, **headers})


ACCEPTED: dict[str, str | bytes] = {
    "plain": f"{HEADER}\nA,1,1,VIP,1000\nA,1,2,VIP,1000\n",
    "no line end at the end": f"{HEADER}\nA,1,1,VIP,1000\nA,1,2,VIP,1000",
    "BOM": f"\ufeff{HEADER}\nA,1,1,VIP,1000\nA,1,2,VIP,1000\n",
    "CRLF": f"{HEADER}\r\nA,1,1,VIP,1000\r\nA,1,2,VIP,1000\r\n",
    "BOM and CRLF": f"\ufeff{HEADER}\r\nA,1,1,VIP,1000\r\nA,1,2,VIP,1000\r\n",
    "blank lines": f"{HEADER}\n\nA,1,1,VIP,1000\n\nA,1,2,VIP,1000\n\n",
    "quotes": f'{HEADER}\n"A","1","1","VIP","1000"\n"A",1,2,"VIP",1000\n',
    "other order": "price,grade,number,row,section\n1000,VIP,1,1,A\n1000,VIP,2,1,A\n",
    "semicolons and CP949": f"{HEADER}\nA,1,1,가,1000\nA,1,2,가,1000\n".replace(",", ";").encode(
        "cp949"
    ),
    "tabs and UTF-16": f"{HEADER}\r\nA,1,1,가,1000\r\nA,1,2,가,1000\r\n".replace(",", "\t").encode(
        "utf-16"
    ),
    "a last row of commas": f"{HEADER}\nA,1,1,VIP,1000\nA,1,2,VIP,1000\n,,,,\n",
    "a header that goes on": f"{HEADER},,\nA,1,1,VIP,1000,,\nA,1,2,VIP,1000,,\n,,,,,,\n",
    "own ids": f"seat_id,{HEADER}\nA-1-1,A,1,1,VIP,1000\nA-1-2,A,1,2,VIP,1000\n",
}


@pytest.mark.parametrize("name", ACCEPTED)
def test_accepted(organizer: Person, empty: Sale, name: str) -> None:
    made = expect(upload(organizer, empty, ACCEPTED[name]), 201)
    assert made.json == {"schedule_id": empty.schedule_id, "seats_added": 2, "seats_total": 2}
    expect(organizer.api.post(f"/v1/admin/concerts/{empty.concert_id}/publish"), 200)
    expect(organizer.api.post(f"/v1/admin/schedules/{empty.schedule_id}/open"), 200)
    seats = expect(organizer.api.get(empty.seats), 200).json["seats"]
    assert [(one["seat_id"], one["price"]["amount"]) for one in seats] == [
        ("A-1-1", 1000),
        ("A-1-2", 1000),
    ]


REFUSED: dict[str, tuple[str | bytes, int]] = {
    "nothing": ("", 1),
    "header only": (f"{HEADER}\n", 1),
    "missing column": ("section,row,number,grade\nA,1,1,VIP\n", 1),
    "unknown column": (f"{HEADER},colour\nA,1,1,VIP,1,red\n", 1),
    "column twice": (f"{HEADER},row\nA,1,1,VIP,1,1\n", 1),
    "repeated seat": (f"{HEADER}\nA,1,1,VIP,1\nA,1,2,VIP,1\nA,1,1,R,2\n", 4),
    "repeated seat after CRLF": (f"\ufeff{HEADER}\r\nA,1,1,VIP,1\r\nA,1,1,R,2\r\n", 3),
    "repeated seat after a blank line": (f"{HEADER}\nA,1,1,VIP,1\n\nA,1,1,R,2\n", 4),
    "repeated id": (f"seat_id,{HEADER}\nx,A,1,1,VIP,1\nx,A,1,2,VIP,1\n", 3),
    "too few fields": (f"{HEADER}\nA,1,1,VIP,1\nA,1,2,VIP\n", 3),
    "too many fields": (f"{HEADER}\nA,1,1,VIP,1,more\n", 2),
    "negative price": (f"{HEADER}\nA,1,1,VIP,-1\n", 2),
    "fractional price": (f"{HEADER}\nA,1,1,VIP,1.5\n", 2),
    "huge price": (f"{HEADER}\nA,1,1,VIP,{2**63}\n", 2),
    "NaN": (f"{HEADER}\nA,1,1,VIP,NaN\n", 2),
    "other digits": (f"{HEADER}\nA,1,1,VIP,١٢\n", 2),
    "number zero": (f"{HEADER}\nA,1,0,VIP,1\n", 2),
    "empty field": (f"{HEADER}\nA,1,1,,1\n", 2),
    "long text": (f"{HEADER}\n{'A' * 41},1,1,VIP,1\n", 2),
    "NUL": (f"{HEADER}\nA,1,1,VIP,1\nA\x00,1,2,VIP,1\n", 3),
    "control character": (f"{HEADER}\nA\x07,1,1,VIP,1\n", 2),
    "not UTF-8": (HEADER.encode() + b"\nA,1,1,VIP,1\n\xff\xfe,1,2,VIP,1\n", 3),
    "UTF-16, cut off": (f"{HEADER}\nA,1,1,VIP,1\n".encode("utf-16")[:-1], 2),
    "UTF-16, a number": (f"{HEADER}\nA,1,1,VIP,1\nA,1,x,VIP,1\n".encode("utf-16"), 3),
    "CP949, a number": (f"{HEADER}\n가,1,1,VIP,1\n가,1,x,VIP,1\n".encode("cp949"), 3),
    "one place in two forms": (f"{HEADER}\n가,1,1,VIP,1\n\u1100\u1161,1,1,VIP,1\n", 3),
    "one place in two widths": (f"{HEADER}\nＡ,1,1,VIP,1\nA,1,1,VIP,1\n", 3),
    "two spellings": (f"{HEADER}\nb,1,1,VIP,1\nB,1,2,VIP,1\n", 3),
    "a price in groups": (f'{HEADER}\nA,1,1,VIP,"110,000"\n', 2),
    "nothing to be seen": (f"{HEADER}\n\u200b,1,1,VIP,1\n", 2),
    "letters turned around": (f"{HEADER}\nA\u202eB,1,1,VIP,1\n", 2),
    "open quote": (f'{HEADER}\nA,1,1,VIP,1\n"A,1,2,VIP,1\n', 3),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(server: Running, organizer: Person, empty: Sale, name: str) -> None:
    text, line = REFUSED[name]
    before = fingerprint(server.database_url)
    answer = refused(upload(organizer, empty, text), "seat_map_invalid")
    assert answer.json["line"] == line
    assert f"Line {line}" in answer.json["detail"]
    assert fingerprint(server.database_url) == before


def test_a_csv_is_not_json(organizer: Person, empty: Sale) -> None:
    text = ACCEPTED["plain"]
    json_type = {"Content-Type": "application/json"}
    refused(upload(organizer, empty, text, **json_type), "malformed")
    refused(
        upload(organizer, empty, text, **{"Content-Type": "text/plain"}), "media_type_unsupported"
    )
    with_charset = {"Content-Type": "text/csv; charset=utf-8; header=present"}
    expect(upload(organizer, empty, text, **with_charset), 201)


def test_a_second_file_writes_what_is_there_as_it_is_there(organizer: Person, empty: Sale) -> None:
    """What differs only to the program would be sold twice, and shown as two sections."""
    expect(upload(organizer, empty, f"{HEADER}\n가,1,1,VIP,1\nB,1,1,VIP,1\n"), 201)
    same = f"{HEADER}\n\u1100\u1161,1,1,VIP,1\n"
    assert refused(upload(organizer, empty, same), "seat_exists").json["seat_ids"] == ["가-1-1"]
    for row in ("Ｂ,1,1,VIP,1", "b,1,2,VIP,1", "B,1,2,vip,1"):
        text = f"{HEADER}\n가,1,9,VIP,1\n{row}\n"
        assert (
            refused(upload(organizer, empty, text), "seat_map_invalid").json["reason"] == "spelling"
        )
        path = f"/v1/admin/schedules/{empty.schedule_id}/seats/preview"
        shown = organizer.api.post(path, body=text.encode(), headers={"Content-Type": "text/csv"})
        (error,) = expect(shown, 200).json["errors"]
        assert (error["line"], error["reason"]) == (3, "spelling")
    expect(upload(organizer, empty, f"{HEADER}\n가,1,2,VIP,1\nB,1,2,VIP,1\n"), 201)


def test_json_maps_have_the_same_labels(organizer: Person, empty: Sale) -> None:
    path = f"/v1/admin/schedules/{empty.schedule_id}/seats"
    one = {"section": "가", "row": "1", "number": 1, "grade": "R", "price": 1}
    twin = {**one, "section": "\u1100\u1161"}
    problem = refused(organizer.api.post(path, {"seats": [one, twin]}), "seat_map_invalid").json
    assert (problem["index"], problem["reason"]) == (1, "repeated")
    for label in ("\u200b", "\u0085", "\u00a0", "A\u2067", "\u3164"):
        bad = {"seats": [{**one, "row": label}]}
        problem = refused(organizer.api.post(path, bad), "seat_map_invalid").json
        assert (problem["index"], problem["column"]) == (0, "row")


def test_a_preview_says_how_it_read(organizer: Person, empty: Sale) -> None:
    path = f"/v1/admin/schedules/{empty.schedule_id}/seats/preview"
    text = f"{HEADER},\n가,1,1,VIP,1000,\n,,,,,\n".replace(",", ";").encode("cp949")
    shown = expect(organizer.api.post(path, body=text, headers={"Content-Type": "text/csv"}), 200)
    assert shown.json["acceptable"]
    assert shown.json["assumed"] == {
        "encoding": "cp949",
        "delimiter": ";",
        "ignored_rows": 1,
        "ignored_columns": 1,
    }
    bad = b"\xff\xff"
    shown = expect(organizer.api.post(path, body=bad, headers={"Content-Type": "text/csv"}), 200)
    assert [error["reason"] for error in shown.json["errors"]] == ["not_utf8"]


def test_texts_have_one_spelling(organizer: Person, api: Api) -> None:
    typed = unicodedata.normalize("NFD", "봄".rjust(4, "\u3000") + "의" * 199)
    concert = {
        "title": typed,
        "artist": "👩\u200d🎤 ",
        "venue": "1\u00a0관",
        "description": "\r\n끝\r\n",
    }
    made = expect(organizer.api.post("/v1/admin/concerts", concert), 201).json
    assert made["title"] == "봄" + "의" * 199
    told = [made[name] for name in ("artist", "venue", "description")]
    assert told == ["👩\u200d🎤", "1 관", "끝"]
    too_long = {**concert, "title": typed + "끝"}
    problem = refused(organizer.api.post("/v1/admin/concerts", too_long), "invalid").json
    assert problem["errors"] == [
        {"path": "$.title", "message": "title has more than 200 characters"}
    ]
    person = {"email": f"{uuid4().hex}@example.org", "password": PASSWORD, "name": "\u200b"}
    problem = refused(api.post("/v1/users", person), "invalid").json
    assert problem["errors"][0]["path"] == "$.name"
