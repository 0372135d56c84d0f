"""A body of the wrong shape is judged without being made."""

import json
import tracemalloc

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from boxoffice.errors import BadRequest, Invalid
from boxoffice.http.api.body import Reader


class Seat(msgspec.Struct):
    """An entry of the list below."""

    row: str


class Map(msgspec.Struct):
    """A body with a list."""

    seats: list[Seat]


class Order(msgspec.Struct, forbid_unknown_fields=True):
    """A body whose members are all optional."""

    seat: str = ""
    count: int = 0
    prices: dict[str, int] = {}


_MEMBERS = (
    b'"seat":"A:1"', b'"seat" : ""', b'"se\\u0061t":"B"', b'"count":0', b'"count":1',
    b'"prices":{}', b'"prices":{"a":1}', b'"prices":{"a":1,"\\u0061":2}',
)  # fmt: skip


@given(st.lists(st.sampled_from(_MEMBERS), max_size=3))
def test_a_body_is_refused_where_it_repeats_a_member_and_nowhere_else(members: list[bytes]) -> None:
    raw = b"{" + b",".join(members) + b"}"
    repeats: list[bool] = []
    json.loads(raw, object_pairs_hook=lambda pairs: repeats.append(len(dict(pairs)) < len(pairs)))
    reader: Reader[Order] = Reader(Order)
    if any(repeats):
        with pytest.raises(BadRequest):
            reader.read(raw)
    else:
        assert reader.read(raw) == msgspec.json.decode(raw, type=Order)


@pytest.mark.parametrize("entry", [b"[]", b"{}", b'""', b"0.5", b"[[1.5]]"])
def test_many_entries_of_the_wrong_kind_take_no_memory(entry: bytes) -> None:
    raw = b'{"seats":[' + b",".join([entry] * (1_000_000 // (len(entry) + 1))) + b"]}"
    reader: Reader[Map] = Reader(Map)
    tracemalloc.start()
    try:
        with pytest.raises(Invalid) as caught:
            reader.read(raw)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert "$.seats[0]" in str(caught.value.extra["errors"])
    assert peak < 3_000_000, "no more than twice what was sent"


@pytest.mark.parametrize(
    "rest",
    [
        b"[1,]", b"01", b"nul", b'{"a" 1}', b'"\\x"', b'"\\ud800"', b'"\xff"', b'{"\xff": 1}',
        b'"\xed\xa0\x80"', b'"' + b"a" * 65_525 + b'\xc3"', b'"\xc3', b"[" * 100_000, b"1] [",
    ],
)  # fmt: skip
def test_what_is_no_json_behind_the_wrong_shape_is_malformed(rest: bytes) -> None:
    reader: Reader[Map] = Reader(Map)
    with pytest.raises(BadRequest):
        reader.read(b'{"seats":[1,' + rest + b"]}")
    with pytest.raises(Invalid):
        reader.read(b'{"seats":[1,"' + b"a" * 65_523 + b'\xc3\xa9"]}')
