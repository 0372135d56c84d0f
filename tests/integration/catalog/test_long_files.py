"""How much memory a long seat map takes; tracing memory is slow, so this is no unit test."""

import tracemalloc

import pytest

from boxoffice.catalog.rules import check_csv


@pytest.mark.parametrize("line", [b"A,1,1,R,1\n", b"A,1,1,R,1\r\n", b"\n", b",,,,\r", b'"a\n'])
def test_a_long_file_takes_little_more_memory_than_itself(line: bytes) -> None:
    raw = b"section,row,number,grade,price\n" + line * (2_000_000 // len(line))
    tracemalloc.start()
    try:
        check_csv(raw, 100_000, 100)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 2.5 * len(raw)
