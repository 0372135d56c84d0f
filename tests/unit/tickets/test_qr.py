"""The QR codes of tickets, read back by a reader that is not the writer's."""

import pytest

from boxoffice.platform.ids import ScopedId, new_id, parse_scoped
from boxoffice.tickets import qr
from tests.support.qr_reader import read


@pytest.mark.parametrize("attempt", range(20))
def test_a_reader_reads_the_ticket(attempt: int) -> None:
    ticket = ScopedId(new_id(), new_id())
    rows = qr.rows(str(ticket))
    assert {len(row) for row in rows} == {len(rows)}
    (text,) = read(rows)
    assert parse_scoped(text) == ticket


def test_a_reader_does_not_read_what_is_spoilt() -> None:
    rows = qr.rows(str(ScopedId(new_id(), new_id())))
    middle = len(rows) // 2
    spoilt = [*rows[: middle - 8], *["1" * len(rows)] * 16, *rows[middle + 8 :]]
    assert read(spoilt) == []
