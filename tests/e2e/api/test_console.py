"""What organizers see while a sale runs, and what they find afterwards; others see nothing of it."""

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import asyncpg
import pytest

from boxoffice.audit.auditor import audit_once
from boxoffice.audit.runs import AuditRuns
from boxoffice.audit.store import Snapshot
from boxoffice.platform.postgres.database import Database
from boxoffice.settings import Settings

from .client import Answer, Person, Sale, expect, refused
from .conftest import (
    Running,
    Start,
    draft,
    fingerprint,
    hold,
    make_organizer,
    on_sale,
    rich,
    running,
)

HEADER = "section,row,number,grade,price"
CSV = {"Content-Type": "text/csv"}
PATIENCE_S = 40.0


def until(look: Callable[[], bool]) -> None:
    """Return once `look` is true."""
    deadline = time.monotonic() + PATIENCE_S
    while not look():
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.2)


def watch(person: Person, sale: Sale, query: str = "") -> dict[str, Any]:
    """The stats of a sale."""
    path = f"/v1/admin/schedules/{sale.schedule_id}/stats?{query}"
    stats: dict[str, Any] = expect(person.api.get(path), 200).json
    return stats


def asked(stats: dict[str, Any]) -> tuple[int, Counter[str]]:
    """How many calls the series counts, and what was refused why."""
    calls = sum(round(point["requests"] * stats["step_s"]) for point in stats["series"])
    refusals: Counter[str] = Counter()
    for point in stats["series"]:
        refusals.update(point["refusals"])
    return calls, refusals


def test_stats_are_those_of_all_processes(start: Start) -> None:
    one, two = start(), start()
    organizer, buyer, other = make_organizer(one), rich(one.api), rich(one.api)
    sale = on_sale(organizer, 10)
    at_two = [Person(who.user_id, who.email, two.api.of(who.api.token)) for who in (buyer, other)]
    for number in range(1, 4):
        held = hold(buyer, sale, f"A-1-{number}").json["reservation_id"]
        refused(at_two[1].api.keyed(sale.holds, {"seat_ids": [f"A-1-{number}"]}), "seat_taken")
        order = {"reservation_id": held, "method": "wallet"}
        expect(at_two[0].api.keyed("/v1/payments", order), 201)
    expect(two.api.get(sale.seats), 200)
    missing = sale.schedule_id[:-4] + "0000"
    refused(two.api.get(f"/v1/schedules/{missing}/seats"), "schedule_not_found")

    until(lambda: asked(watch(organizer, sale))[0] >= 7)
    stats = watch(organizer, sale)
    assert asked(stats) == (7, Counter({"seat_taken": 3}))
    assert (sum(point["holds"] for point in stats["series"]), stats["sales"]) == (3, 3)
    assert sum(point["sales"] for point in stats["series"]) == 3
    assert stats["revenue"] == {"amount": 330_000, "currency": "KRW"}
    assert sum(point["revenue"] for point in stats["series"]) == 330_000
    assert stats["seats"] == {"available": 7, "held": 0, "sold": 3, "blocked": 0}
    assert any(point["p95_ms"] for point in stats["series"])
    assert len(stats["series"]) == 120
    # How busy the whole shop is, is for who runs it.
    assert stats["shop"] is None
    operator = make_organizer(one, "operator")
    assert watch(operator, sale)["shop"]["requests"] >= 0

    twin = Person(organizer.user_id, organizer.email, two.api.of(organizer.api.token))
    assert asked(watch(twin, sale)) == (7, Counter({"seat_taken": 3}))


@pytest.fixture
def alone(database_url: str, tmp_path: Path) -> Iterator[Running]:
    """A server that has no Valkey."""
    with running(database_url, "redis://127.0.0.1:1", tmp_path / "serve.log") as server:
        yield server


def test_without_valkey_what_was_asked_is_unknown_and_what_was_sold_is_not(alone: Running) -> None:
    server = alone
    organizer, buyer = make_organizer(server), rich(server.api)
    sale = on_sale(organizer, 2)
    order = {
        "reservation_id": hold(buyer, sale, "A-1-1").json["reservation_id"],
        "method": "wallet",
    }
    expect(buyer.api.keyed("/v1/payments", order), 201)
    stats = watch(organizer, sale)
    assert (stats["sales"], stats["seats"]["sold"], stats["shop"]) == (1, 1, None)
    assert {point["requests"] for point in stats["series"]} == {None}


def test_stats_are_for_the_organizer(
    organizer: Person, second_organizer: Person, buyer: Person, sale: Sale
) -> None:
    path = f"/v1/admin/schedules/{sale.schedule_id}/stats"
    refused(second_organizer.api.get(path), "schedule_not_found")
    refused(buyer.api.get(path), "forbidden")
    assert len(watch(organizer, sale, "window_s=60")["series"]) == 12
    for bad in ("window_s=59", "window_s=3601", "window_s=x"):
        refused(organizer.api.get(f"{path}?{bad}"), "invalid")


# The backoffice


@pytest.fixture(scope="module")
def shop(server: Running) -> tuple[Person, Person, Sale, str, str]:
    """An organizer, a buyer with a paid and a released reservation, their sale and the two ids."""
    organizer, buyer = make_organizer(server), rich(server.api)
    sale = on_sale(organizer, 20)
    paid = hold(buyer, sale, "A-1-1", "A-1-2").json["reservation_id"]
    order = {"reservation_id": paid, "method": "wallet"}
    expect(buyer.api.keyed("/v1/payments", order), 201)
    released = hold(buyer, sale, "A-1-3").json["reservation_id"]
    expect(buyer.api.delete(f"/v1/reservations/{released}"), 204)
    hold(rich(server.api), sale, "A-1-3")
    return organizer, buyer, sale, paid, released


def find(person: Person, sale: Sale, query: str = "") -> list[dict[str, Any]]:
    """Reservations of a sale."""
    path = f"/v1/admin/schedules/{sale.schedule_id}/reservations?{query}"
    items: list[dict[str, Any]] = expect(person.api.get(path), 200).json["items"]
    return items


def test_reservations_are_found(shop: tuple[Person, Person, Sale, str, str]) -> None:
    organizer, buyer, sale, paid, released = shop
    everything = find(organizer, sale)
    assert [one["status"] for one in everything] == ["HELD", "CANCELLED", "CONFIRMED"]
    ids = [one["reservation_id"] for one in everything]
    assert ids[1:] == [released, paid]
    upper = buyer.email.upper()
    assert [one["reservation_id"] for one in find(organizer, sale, f"email={upper}")] == ids[1:]
    assert [one["reservation_id"] for one in find(organizer, sale, "seat_id=A-1-3")] == ids[:2]
    both = find(organizer, sale, f"seat_id=A-1-3&email={buyer.email}")
    assert [one["reservation_id"] for one in both] == [released]
    [found] = find(organizer, sale, f"reservation_id={paid}")
    assert (found["email"], found["seat_ids"], found["amount"]) == (
        buyer.email,
        ["A-1-1", "A-1-2"],
        220_000,
    )
    for nothing in (
        "reservation_id=none",
        f"reservation_id={paid}&seat_id=A-1-9",
        f"reservation_id={paid}&email=nobody@example.test",
        "email=nobody@example.test",
        "seat_id=%27%20OR%20true--",
    ):
        assert find(organizer, sale, nothing) == [], nothing


def test_what_was_found_is_paged(shop: tuple[Person, Person, Sale, str, str]) -> None:
    organizer, _, sale, *_ = shop
    path = f"/v1/admin/schedules/{sale.schedule_id}/reservations?limit=2"
    first = expect(organizer.api.get(path), 200).json
    rest = expect(organizer.api.get(f"{path}&cursor={first['next_cursor']}"), 200).json
    assert first["items"] + rest["items"] == find(organizer, sale)
    assert rest["next_cursor"] is None
    for bad, code in (
        ("cursor=x", "cursor_invalid"),
        ("email=x", "invalid"),
        ("seat_id=%00", "invalid"),
    ):
        refused(organizer.api.get(f"{path}&{bad}"), code)


def test_a_seat_is_found_in_any_form(server: Running) -> None:
    """Its id was typed into a file in one form, and is typed into the search in another."""
    organizer, operator = make_organizer(server), make_organizer(server, "operator")
    buyer, sale = rich(server.api), draft(organizer, 0)
    seats = [{"section": "가", "row": "1", "number": 1, "grade": "R", "price": 1}]
    admin = f"/v1/admin/schedules/{sale.schedule_id}"
    expect(organizer.api.post(f"{admin}/seats", {"seats": seats}), 201)
    expect(organizer.api.post(f"/v1/admin/concerts/{sale.concert_id}/publish"), 200)
    expect(organizer.api.post(f"{admin}/open"), 200)
    held = hold(buyer, sale, "가-1-1").json["reservation_id"]
    for person in (organizer, operator):
        for typed in ("가-1-1", "\u1100\u1161-1-1", " 가-1-1 "):
            for about in ("", f"&email={buyer.email}", f"&reservation_id={held}"):
                found = find(person, sale, f"seat_id={quote(typed)}{about}")
                assert [one["reservation_id"] for one in found] == [held], (typed, about)
        assert find(person, sale, f"seat_id={quote('각-1-1')}") == []


def test_the_history_of_a_reservation(shop: tuple[Person, Person, Sale, str, str]) -> None:
    organizer, _, _, paid, released = shop
    history = expect(organizer.api.get(f"/v1/admin/reservations/{paid}"), 200).json
    events = [event["what"] for event in history["events"]]
    assert events == ["HELD", "PAID", "MONEY_MOVED", "CONFIRMED", "TICKET_ISSUED", "TICKET_ISSUED"]
    assert history["events"][1]["details"]["amount"] == 220_000
    assert {event["details"]["seat_id"] for event in history["events"][4:]} == {"A-1-1", "A-1-2"}
    given_back = expect(organizer.api.get(f"/v1/admin/reservations/{released}"), 200).json
    assert [event["what"] for event in given_back["events"]] == ["HELD", "CANCELLED"]
    assert given_back["closed_at"] == given_back["events"][1]["at"]


def test_the_backoffice_is_for_the_organizer(
    shop: tuple[Person, Person, Sale, str, str], second_organizer: Person
) -> None:
    _, buyer, sale, paid, _ = shop
    path = f"/v1/admin/schedules/{sale.schedule_id}/reservations"
    refused(second_organizer.api.get(path), "schedule_not_found")
    refused(second_organizer.api.get(f"/v1/admin/reservations/{paid}"), "reservation_not_found")
    refused(buyer.api.get(f"/v1/admin/reservations/{paid}"), "forbidden")


# Seat maps before they are added


def preview(organizer: Person, sale: Sale, text: str | bytes) -> Answer:
    """Ask what an upload would bring."""
    raw = text.encode() if isinstance(text, str) else text
    path = f"/v1/admin/schedules/{sale.schedule_id}/seats/preview"
    return organizer.api.post(path, body=raw, headers=CSV)


def test_a_preview_tells_what_would_be_and_writes_nothing(
    server: Running, organizer: Person
) -> None:
    sale = draft(organizer, 2)
    before = fingerprint(server.database_url)
    text = f"{HEADER}\nB,1,1,VIP,9\nB,1,2,VIP,7\nB,2,1,R,5\nC,1,1,R,5\n"
    shown = expect(preview(organizer, sale, text), 200).json
    assert shown["acceptable"] is True
    assert (shown["seats_read"], shown["seats_total"], shown["errors"]) == (4, 6, [])
    assert shown["sections"] == [
        {"section": "B", "rows": 2, "seats": 3},
        {"section": "C", "rows": 1, "seats": 1},
    ]
    grades = [
        (one["grade"], one["price_min"]["amount"], one["price_max"]["amount"])
        for one in shown["grades"]
    ]
    assert grades == [("VIP", 7, 9), ("R", 5, 5)]
    assert fingerprint(server.database_url) == before


def test_a_preview_names_every_line_at_fault(organizer: Person) -> None:
    sale = draft(organizer, 2)  # A-1-1 and A-1-2
    text = (
        f"{HEADER}\nA,1,1,VIP,9\nB,1,x,VIP,9\nB,1,1,VIP,9\nB,1,1,VIP,9\nB,1\n\n"
        "B,1,2,,9\nB,1,3,<script>,-1\n"
    )
    shown = expect(preview(organizer, sale, text), 200).json
    assert shown["acceptable"] is False
    assert [(one["line"], one["column"]) for one in shown["errors"]] == [
        (2, None),
        (3, "number"),
        (5, None),
        (6, None),
        (8, "grade"),
        (9, "price"),
    ]
    assert (shown["seats_read"], shown["ended_early"]) == (2, False)
    assert "already" in shown["errors"][0]["message"]


BROKEN: dict[str, tuple[str | bytes, int, bool]] = {
    "header only": (f"{HEADER}\n", 1, False),
    "missing column": ("section,row\nA,1\n", 1, True),
    "open quote": (f'{HEADER}\nA,1,9,VIP,1\n"A,1,8,VIP,1\n', 3, True),
    "not UTF-8": (HEADER.encode() + b"\n\xff\xfe,1,2,VIP,1\n", 2, True),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_file_is_told_by_line(organizer: Person, name: str) -> None:
    text, line, ended_early = BROKEN[name]
    shown = expect(preview(organizer, draft(organizer, 0), text), 200).json
    assert [error["line"] for error in shown["errors"]] == [line]
    assert (shown["acceptable"], shown["ended_early"]) == (False, ended_early)


def test_an_empty_file_is_refused(organizer: Person) -> None:
    problem = refused(preview(organizer, draft(organizer, 0), ""), "seat_map_invalid").json
    assert (problem["line"], problem["reason"]) == (1, "no_seats")


def test_errors_are_bounded(organizer: Person) -> None:
    text = f"{HEADER}\n" + "A,1,x,VIP,1\n" * 5_000
    shown = expect(preview(organizer, draft(organizer, 0), text), 200).json
    assert len(shown["errors"]) == 100
    assert shown["ended_early"] is True


def test_a_hundred_thousand_lines(organizer: Person) -> None:
    rows = (f"S{at // 5000},{at % 5000 // 50},{1 + at % 50},R,1000" for at in range(100_000))
    text = "\n".join([HEADER, *rows])
    sale = draft(organizer, 0)
    shown = expect(preview(organizer, sale, text), 200).json
    assert (shown["acceptable"], shown["seats_read"], shown["sections_total"]) == (
        True,
        100_000,
        20,
    )
    over = expect(preview(organizer, sale, f"{text}\nT,1,1,R,1000\n"), 200).json
    assert [error["line"] for error in over["errors"]] == [100_002]
    added = organizer.api.post(
        f"/v1/admin/schedules/{sale.schedule_id}/seats", body=text.encode(), headers=CSV
    )
    assert expect(added, 201).json["seats_total"] == 100_000


def test_a_preview_is_for_the_organizer_of_a_draft(
    organizer: Person, second_organizer: Person, buyer: Person
) -> None:
    sale = draft(organizer, 0)
    text = f"{HEADER}\nA,1,1,VIP,1\n"
    refused(preview(second_organizer, sale, text), "schedule_not_found")
    refused(preview(buyer, sale, text), "forbidden")
    path = f"/v1/admin/schedules/{sale.schedule_id}/seats/preview"
    refused(organizer.api.post(path, {"seats": []}), "media_type_unsupported")
    refused(preview(organizer, on_sale(organizer, 1), text), "seat_map_locked")


# The audit's last result


def audited(database_url: str, *statements: str, auditors: int = 1) -> list[bool]:
    """Run `statements`, then run the auditors once."""

    async def run() -> list[bool]:
        settings = Settings.of(database_url=database_url, valkey_url="redis://127.0.0.1:1")
        connection = await asyncpg.connect(database_url)
        for statement in statements:
            await connection.execute(statement)
        await connection.close()
        db = Database(settings)
        await db.open()
        try:
            runs = AuditRuns(db, settings.audit.audit_request_min_interval_s)
            return await asyncio.gather(*(audit_once(runs, settings) for _ in range(auditors)))
        finally:
            await db.close()

    return asyncio.run(run())


async def _yes(_: Snapshot) -> bool:
    return True


TryLock = Callable[[Snapshot], Awaitable[bool]]


def _meeting(auditors: int, try_lock: TryLock) -> TryLock:
    """Let auditors try the lock when all of them have found an audit due."""
    have_come = asyncio.Barrier(auditors)

    async def meet(snapshot: Snapshot) -> bool:
        await have_come.wait()
        return await try_lock(snapshot)

    return meet


def test_the_last_audit_is_shown_and_can_be_requested(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = start()
    operator = make_organizer(server, "operator")
    nothing = expect(operator.api.get("/v1/admin/audit"), 200).json
    assert (nothing["ok"], nothing["finished_at"], nothing["checks"]) == (None, None, [])

    # All of them find this request; of several that make one, only the first would come to the lock.
    due = "INSERT INTO audit_runs (asked_by) VALUES (NULL)"
    with monkeypatch.context() as patched:
        # Negative control: without the lock several auditors work.
        patched.setattr(Snapshot, "try_lock", _meeting(3, _yes))
        assert sum(audited(server.database_url, due, auditors=3)) > 1
    aged = "UPDATE audit_runs SET finished_at = finished_at - interval '2 h'"
    with monkeypatch.context() as patched:
        patched.setattr(Snapshot, "try_lock", _meeting(3, Snapshot.try_lock))
        assert sum(audited(server.database_url, aged, due, auditors=3)) == 1
    shown = expect(operator.api.get("/v1/admin/audit"), 200).json
    assert (shown["ok"], shown["broken"], shown["failure"]) == (True, 0, None)
    assert shown["invariants"] == len(shown["checks"]) > 20
    assert shown["started_at"] <= shown["finished_at"]

    # Nothing is due, and a request beside a recent result does nothing.
    assert expect(operator.api.post("/v1/admin/audit"), 202).json["requested_at"] is None
    assert audited(server.database_url) == [False]

    old = "UPDATE audit_runs SET finished_at = finished_at - interval '61 s'"
    assert audited(server.database_url, old) == [False]
    first = expect(operator.api.post("/v1/admin/audit"), 202).json["requested_at"]
    assert first is not None
    assert expect(operator.api.post("/v1/admin/audit"), 202).json["requested_at"] == first
    broken = "ALTER TABLE wallets DROP CONSTRAINT wallets_never_negative"
    assert audited(server.database_url, broken) == [True]
    shown = expect(operator.api.get("/v1/admin/audit"), 200).json
    assert (shown["ok"], shown["broken"], shown["requested_at"]) == (False, 1, None)
    for person in (rich(server.api), make_organizer(server)):
        refused(person.api.post("/v1/admin/audit"), "forbidden")
        refused(person.api.get("/v1/admin/audit"), "forbidden")


def test_an_audit_that_does_not_end_is_told(start: Start) -> None:
    server = start()
    operator = make_organizer(server, "operator")
    assert audited(server.database_url, "ALTER TABLE tickets RENAME TO lost_tickets") == [True]
    shown = expect(operator.api.get("/v1/admin/audit"), 200).json
    assert (shown["ok"], shown["checks"]) == (None, [])
    assert "one_live_ticket_per_seat" in shown["failure"]
