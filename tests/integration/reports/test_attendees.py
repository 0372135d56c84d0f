"""Attendee lists and their files: who is on them, who may read them, and what a file may cost."""

import asyncio
import csv
import gc
import io
import random
import tempfile
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from decimal import Decimal
from uuid import uuid4

import psutil
import pytest
from openpyxl import load_workbook

from boxoffice.activity_log import ReadLog
from boxoffice.errors import Invalid, ScheduleNotFound
from boxoffice.platform.postgres.database import Database
from boxoffice.platform.spreadsheets.files import Row, harmless, major
from boxoffice.reports.attendee_store import AttendeePlace, AttendeeStore
from boxoffice.reports.attendees import COLUMNS, AttendeeList, Attendees
from boxoffice.reports.files import Format, make_file
from tests.support.hall import Hall
from tests.support.members import member

from .history import History

SEATS = 10_000
MEMORY_MAX_BYTES = 16_000_000
LOOP_HELD_MAX_S = 0.1
FORMULAS = ["=1+1", "+1", "-1", "@A1", "\t=1", "\r=1", "\n=1", "\uff1d1"]


def attendees(db: Database, batch_rows: int = 200) -> Attendees:
    return Attendees(AttendeeStore(db), ReadLog(db), batch_rows)


async def _parts(rows: Sequence[Row], batch: int = 200) -> AsyncGenerator[Sequence[Row]]:
    for at in range(0, len(rows), batch):
        yield rows[at : at + batch]


async def _content(rows: Sequence[Row], kind: Format) -> bytes:
    with await make_file(["a", "b"], _parts(rows), kind, 1_000) as file:
        file.seek(0)
        return file.read()


async def test_a_list_has_the_live_tickets_of_one_hall_in_the_order_of_its_seats(
    hall: Hall, beside: Hall
) -> None:
    history = History(hall, random.Random(1))
    await History(beside, random.Random(1)).sold("S001")
    payment = await history.sold("S003", "S001")
    await history.returned(payment, payment.ticket_ids[1])
    await history.given("S002")
    await history.at_the_door("S004")
    service, me = attendees(hall.db), member(hall.schedule_id)
    wanted = AttendeeList(hall.schedule_id)
    found = await service.page(me, wanted, None, 9)
    buyer = f"{hall.people[0]}@example.org"
    assert [(one.seat_id, one.name, one.email, one.source) for one in found] == [
        ("S002", "=Guest", "guest@example.org", "complimentary"),
        ("S003", "Buyer", buyer, "online"),
        ("S004", "", "", "box_office"),
    ]
    numbers = {one.order_number for one in found}
    assert None not in numbers
    assert len(numbers) == 3
    with_void = AttendeeList(hall.schedule_id, with_void=True)
    everything = await service.page(me, with_void, None, 9)
    assert (everything[0].seat_id, everything[0].status) == ("S001", "VOID")
    first = await service.page(me, wanted, None, 1)
    assert [one.seat_id for one in first] == ["S002", "S003"]
    after = AttendeePlace(first[0].ordinal, first[0].ticket_id)
    assert [one.seat_id for one in await service.page(me, wanted, after, 9)] == ["S003", "S004"]
    parts = [part async for part in attendees(hall.db, 2).rows(wanted)]
    assert [len(part) for part in parts] == [2, 1]
    assert all(len(row) == len(COLUMNS) for part in parts for row in part)
    await service.begin_export(me, with_void)
    await service.begin_export(me, wanted)
    log = await hall.db.fetch(
        "SELECT action, details->>'rows' AS rows FROM logbook"
        " WHERE organizer_id = $1 AND action LIKE 'attendees.%' ORDER BY entry_id",
        hall.schedule_id,
    )
    assert [tuple(row) for row in log] == [
        ("attendees.read", "3"), ("attendees.read", "4"), ("attendees.read", "1"),
        ("attendees.read", "2"), ("attendees.exported", "4"), ("attendees.exported", "3"),
    ]  # fmt: skip
    for call in (service.page(me, AttendeeList(beside.schedule_id), None, 9),
                 service.begin_export(me, AttendeeList(beside.schedule_id))):  # fmt: skip
        with pytest.raises(ScheduleNotFound):
            await call


@pytest.mark.parametrize("kind", ["csv", "xlsx"])
async def test_no_cell_is_a_formula(kind: Format) -> None:
    rows: list[Row] = [(text, 7) for text in FORMULAS] + [("김철수", Decimal("-12.50")), (None, 3)]
    content = await _content(rows, kind)
    if kind == "csv":
        assert content.startswith(b"\xef\xbb\xbf")
        read = list(csv.reader(io.StringIO(content.decode("utf-8-sig"), newline="")))
        assert [row[0] for row in read[1:9]] == [f"'{text}" for text in FORMULAS]
        assert read[9:] == [["김철수", "-12.50"], ["", "3"]]
        return
    sheet = load_workbook(io.BytesIO(content)).active
    cells = list(sheet.iter_rows(min_row=2))
    assert {cell.data_type for row in cells[:8] for cell in row[:1]} <= {"s", "inlineStr"}
    assert [row[0].value for row in cells[:4]] == FORMULAS[:4]
    assert [[cell.value for cell in row] for row in cells[8:]] == [["김철수", -12.5], [None, 3]]


def test_only_text_is_made_harmless() -> None:
    assert [harmless(cell) for cell in (-1, None, Decimal(-1), "a=b", "")] == [
        -1, None, Decimal(-1), "a=b", "",
    ]  # fmt: skip
    assert (major(165_000, "KRW"), major(-1_250, "USD")) == (Decimal(165_000), Decimal("-12.50"))


async def test_a_file_has_a_limit() -> None:
    with pytest.raises(Invalid):
        await make_file(["a"], _parts([("x",)] * 11, 5), "csv", 10)


async def _many(hall: Hall, count: int) -> None:
    """Give the hall tickets of one person for `count` more seats."""
    reservation_id, person = uuid4(), hall.people[0]
    async with hall.db.transaction() as connection:
        await connection.execute(
            "INSERT INTO seats (schedule_id, reservation_id, user_id, price_minor, ordinal, number,"
            " state, seat_id, section, row_label, grade)"
            " SELECT $1, $2, $3, 1000, n, n, 'SOLD', 'T' || n, 'T', '1', 'R'"
            " FROM generate_series(1, $4) n",
            hall.schedule_id, reservation_id, person, count,
        )  # fmt: skip
        await connection.execute(
            "INSERT INTO reservations (schedule_id, reservation_id, user_id, created_at, expires_at,"
            " amount_minor, status, currency, seat_ids, idempotency_key, fingerprint, closed_at)"
            " SELECT $1, gen_random_uuid(), $2, now(), now(), 2000, 'CONFIRMED', 'KRW',"
            " ARRAY['T' || n, 'T' || n + 1], 'many' || n, '', now() FROM generate_series(1, $3, 2) n",
            hall.schedule_id, person, count,
        )  # fmt: skip
        await connection.execute(
            "INSERT INTO tickets (schedule_id, ticket_id, reservation_id, payment_id, user_id, seat_id,"
            " position, issued_at)"
            " SELECT schedule_id, gen_random_uuid(), reservation_id, gen_random_uuid(), user_id,"
            " s.seat_id, s.at, now()"
            " FROM reservations, unnest(seat_ids) WITH ORDINALITY s (seat_id, at)"
            " WHERE schedule_id = $1",
            hall.schedule_id,
        )  # fmt: skip


async def _watch(stop: asyncio.Event) -> tuple[float, int]:
    """Return the most CPU time that the event loop took at once, and how much memory was added."""
    process = psutil.Process()
    before = most = process.memory_info().rss
    longest, last = 0.0, time.thread_time()
    while not stop.is_set():
        await asyncio.sleep(0.005)
        longest = max(longest, time.thread_time() - last)
        most = max(most, process.memory_info().rss)
        last = time.thread_time()
    return longest, most - before


@pytest.mark.parametrize(("kind", "times"), [("csv", 10), ("xlsx", 2)])
async def test_many_rows_take_little_memory_and_do_not_hold_the_event_loop(
    hall: Hall, kind: Format, times: int
) -> None:
    await _many(hall, SEATS)
    # A collection of what other tests left in this process would count as time that was held.
    gc.collect()
    gc.freeze()
    stop, begun = asyncio.Event(), time.monotonic()
    watching = asyncio.create_task(_watch(stop))
    wanted = AttendeeList(hall.schedule_id)

    async def repeated() -> AsyncGenerator[Sequence[Row]]:
        for _ in range(times):
            async with aclosing(attendees(hall.db).rows(wanted)) as parts:
                async for part in parts:
                    yield part

    with await make_file(COLUMNS, repeated(), kind, times * SEATS) as file:
        size = file.tell()
    stop.set()
    held_s, added = await watching
    gc.unfreeze()
    print(
        f"{kind}: {size} bytes, {added} more, {time.monotonic() - begun:.1f} s, {held_s:.3f} s held"
    )
    assert added < MEMORY_MAX_BYTES
    assert held_s < LOOP_HELD_MAX_S


async def test_a_cancelled_file_frees_its_snapshot_and_its_disk(
    db: Database, hall: Hall, monkeypatch: pytest.MonkeyPatch, tmp_path: object
) -> None:
    await _many(hall, 4_000)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    reached = asyncio.Event()

    async def slow() -> AsyncGenerator[Sequence[Row]]:
        async with aclosing(attendees(db, 10).rows(AttendeeList(hall.schedule_id))) as parts:
            async for part in parts:
                reached.set()
                yield part

    making = asyncio.create_task(make_file(COLUMNS, slow(), "xlsx", SEATS))
    await reached.wait()
    assert await _open_snapshots(db) == 1
    making.cancel()
    with pytest.raises(asyncio.CancelledError):
        await making
    assert await _open_snapshots(db) == 0
    assert list(tmp_path.iterdir()) == []  # type: ignore[attr-defined]


async def _open_snapshots(db: Database) -> int:
    [row] = await db.fetch(
        "SELECT count(*) AS n FROM pg_stat_activity WHERE datname = current_database()"
        " AND pid <> pg_backend_pid() AND xact_start IS NOT NULL AND backend_type = 'client backend'"
    )
    return int(row["n"])
