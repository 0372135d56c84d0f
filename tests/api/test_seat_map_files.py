"""CSV seat maps: what is accepted however it was saved, and errors that name their line."""

import pytest

from .client import Answer, Person, Sale, expect, refused
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


ACCEPTED = {
    "plain": f"{HEADER}\nA,1,1,VIP,1000\nA,1,2,VIP,1000\n",
    "no line end at the end": f"{HEADER}\nA,1,1,VIP,1000\nA,1,2,VIP,1000",
    "BOM": f"\ufeff{HEADER}\nA,1,1,VIP,1000\nA,1,2,VIP,1000\n",
    "CRLF": f"{HEADER}\r\nA,1,1,VIP,1000\r\nA,1,2,VIP,1000\r\n",
    "BOM and CRLF": f"\ufeff{HEADER}\r\nA,1,1,VIP,1000\r\nA,1,2,VIP,1000\r\n",
    "blank lines": f"{HEADER}\n\nA,1,1,VIP,1000\n\nA,1,2,VIP,1000\n\n",
    "quotes": f'{HEADER}\n"A","1","1","VIP","1000"\n"A",1,2,"VIP",1000\n',
    "other order": "price,grade,number,row,section\n1000,VIP,1,1,A\n1000,VIP,2,1,A\n",
    "own ids": f"seat_id,{HEADER}\nA-1-1,A,1,1,VIP,1000\nA-1-2,A,1,2,VIP,1000\n",
}


@pytest.mark.parametrize("name", ACCEPTED)
def test_accepted(organizer: Person, empty: Sale, name: str) -> None:
    made = expect(upload(organizer, empty, ACCEPTED[name]), 201)
    assert made.json == {"schedule_id": empty.schedule_id, "seats_added": 2, "seats_total": 2}
    expect(organizer.api.post(f"/v1/admin/concerts/{empty.concert_id}/publish"), 200)
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
    "UTF-16": (f"{HEADER}\nA,1,1,VIP,1\n".encode("utf-16"), 1),
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
