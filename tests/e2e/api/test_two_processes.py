"""Settings and exits through one process, as seen by another.

The second process refreshes its caches as seldom as the settings allow, so a change that it shows at
once was read on demand.
"""

import asyncio
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pytest

from tests.conftest import Servers
from tests.integration.streams.stand import Reader
from tests.support.database import copied_database
from tests.support.waiting import until

from .client import Answer, Api, Person, Sale, expect
from .conftest import (
    Running,
    admin_of,
    check_books,
    draft,
    join,
    make_organizer,
    on_sale,
    rich,
    room_of,
    running,
)

PATIENCE_S = 20.0
# A process believes what it has read for so long (`rules.KNOWN_FOR_S`).
KNOWN_FOR_S = 1.0


async def _is(found: Callable[[], list[int]], wanted: list[int]) -> bool:
    """Whether the first answers match; caches follow within their lifetime."""
    return found()[: len(wanted)] == wanted


class Pair(NamedTuple):
    """Two processes on the same servers; the organizer uses the first one."""

    first: Running
    second: Running
    organizer: Person

    def at(self, number: int, person: Person) -> Person:
        """Return a user who alternates between the processes."""
        api = (self.first, self.second)[number % 2].api.of(person.api.token)
        return Person(person.user_id, person.email, api)


@pytest.fixture(scope="module")
def pair(
    servers: Servers, template: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Pair]:
    """Both processes; the audit must pass at the end."""
    logs = tmp_path_factory.mktemp("pair")
    seldom = {"queue_refresh_ms": "900", "catalog_cache_ms": "10000"}
    with (
        copied_database(servers.database_url, template) as database_url,
        running(database_url, servers.valkey_url, logs / "first.log") as first,
        running(database_url, servers.valkey_url, logs / "second.log", **seldom) as second,
    ):
        yield Pair(first, second, make_organizer(first))
        check_books(database_url)


def ask(api: Api, sale: Sale, ticket: str) -> dict[str, Any]:
    """Get the queue position."""
    return dict(expect(api.get(room_of(sale), headers={"Queue-Ticket": ticket}), 200).json)


def hold(person: Person, sale: Sale, seat_id: str, queue_pass: str | None = None) -> Answer:
    """Try to hold a seat."""
    headers = {"Queue-Pass": queue_pass} if queue_pass else {}
    return person.api.keyed(sale.holds, {"seat_ids": [seat_id]}, headers=headers)


def set_room(pair: Pair, sale: Sale, **change: Any) -> None:
    """Change a room through the first process."""
    expect(pair.organizer.api.post(admin_of(sale), change), 200)


def set_sale(pair: Pair, sale: Sale, what: str) -> None:
    """Open or close a sale through the first process."""
    path = f"/v1/admin/schedules/{sale.schedule_id}/{what}"
    expect(pair.organizer.api.post(path), 200)


async def admitted(person: Person, sale: Sale, ticket: str) -> dict[str, Any]:
    """Wait until the user is admitted."""
    said: dict[str, Any] = {}

    async def is_in() -> bool:
        said.update(ask(person.api, sale, ticket))
        return bool(said["state"] == "ADMITTED")

    await until(is_in, PATIENCE_S)
    return said


async def test_a_pass_ends_with_its_place(pair: Pair) -> None:
    """Six users enter and leave one at a time; only the one inside can hold seats."""
    sale = on_sale(pair.organizer, 20)
    set_room(pair, sale, mode="fifo", inside_max=1, rate_per_s=1000, inside_s=600, grace_s=600)
    people = [rich(pair.first.api) for _ in range(6)]
    passes: list[str] = []
    for at, person in enumerate(people):
        here = pair.at(at, person)
        ticket = join(here, sale)["queue_ticket"]
        passes.append((await admitted(here, sale, ticket))["queue_pass"])
        # A user whose place another one has can hold no seat, at either process.
        refused = [
            hold(pair.at(where, gone), sale, f"A-1-{1 + at}", queue_pass)
            for gone, queue_pass in zip(people[:at], passes[:at], strict=True)
            for where in range(2)
        ]
        assert {(one.status, one.code) for one in refused} <= {(403, "queue_pass_required")}
        leaver = pair.at(at + 1, person)
        if at < 5:
            expect(leaver.api.delete(room_of(sale), headers={"Queue-Ticket": ticket}), 204)
    expect(hold(pair.at(0, people[5]), sale, "A-2-1", passes[5]), 201)
    expect(hold(pair.at(1, people[5]), sale, "A-2-2", passes[5]), 201)


async def test_a_hold_is_told_again_to_who_has_left_since(pair: Pair) -> None:
    sale = on_sale(pair.organizer, 5)
    set_room(pair, sale, mode="fifo", grace_s=600)
    person = rich(pair.first.api)
    ticket = join(person, sale)["queue_ticket"]
    headers = {"Queue-Pass": (await admitted(person, sale, ticket))["queue_pass"]}
    body = {"seat_ids": ["A-1-1"]}
    made = expect(person.api.post(sale.holds, body, key="k", headers=headers), 201).json
    expect(person.api.delete(room_of(sale), headers={"Queue-Ticket": ticket}), 204)

    async def is_over() -> bool:
        return hold(person, sale, "A-1-2", headers["Queue-Pass"]).status == 403

    await until(is_over, PATIENCE_S)
    again = expect(person.api.post(sale.holds, body, key="k", headers=headers), 201).json
    assert again == made


async def test_a_room_is_read_before_a_join_is_refused(pair: Pair) -> None:
    for turn in range(3):
        sale = on_sale(pair.organizer, 5)
        person = pair.at(1, rich(pair.first.api))
        # A user has asked before the room was configured.
        expect(person.api.post(room_of(sale)), 409, "queue_closed")
        set_room(pair, sale, mode="fifo", rate_per_s=0.01)
        answer = person.api.post(room_of(sale))
        assert answer.code != "queue_closed", turn
        ticket = join(person, sale)["queue_ticket"]

        # Nor does a ticket lead through a room that this process does not know.
        set_room(pair, sale, mode="off")
        set_room(pair, sale, mode="fifo")
        assert ask(person.api, sale, ticket)["state"] == "WAITING"
        expect(pair.second.api.get(room_of(sale) + "/draw"), 200)


async def test_what_was_opened_again_is_open_at_once(pair: Pair) -> None:
    sale = on_sale(pair.organizer, 5)
    person, other = (pair.at(1, rich(pair.first.api)) for _ in range(2))
    set_room(pair, sale, mode="fifo", rate_per_s=0.01)
    join(person, sale)
    for change, back in (
        ({"closed": True}, {"closed": False}),
        ({"mode": "off"}, {"mode": "fifo"}),
    ):
        set_room(pair, sale, **change)

        async def is_closed() -> bool:
            return other.api.post(room_of(sale)).code == "queue_closed"

        await until(is_closed, PATIENCE_S)
        set_room(pair, sale, **back)
        join(other, sale)


async def test_a_room_that_was_switched_off_requires_no_pass(pair: Pair) -> None:
    sale = on_sale(pair.organizer, 5)
    person = pair.at(1, rich(pair.first.api))
    set_room(pair, sale, mode="fifo")

    async def is_known() -> bool:
        return hold(person, sale, "A-1-1").status == 403

    await until(is_known, PATIENCE_S)
    set_room(pair, sale, mode="off")
    expect(hold(person, sale, "A-1-2"), 201)


async def test_closing_the_sale_ends_its_waiting_room(pair: Pair) -> None:
    """Waiting users get the notice, no joins, no admissions; reopening continues the queue."""
    sale = on_sale(pair.organizer, 5)
    set_room(pair, sale, mode="fifo", inside_max=1, rate_per_s=1000, inside_s=600, grace_s=600)
    first, second, third = (rich(pair.first.api) for _ in range(3))
    tickets = [join(one, sale)["queue_ticket"] for one in (first, second)]
    inside = await admitted(first, sale, tickets[0])
    stream = await Reader.connect(
        pair.second.api.port, room_of(sale) + "/events", more=f"Queue-Ticket: {tickets[1]}\r\n"
    )
    expect(first.api.delete(room_of(sale), headers={"Queue-Ticket": tickets[0]}), 204)
    set_sale(pair, sale, "close")
    closed_at = time.monotonic()

    async def is_told() -> bool:
        said = [ask(api, sale, tickets[1]) for api in (pair.first.api, pair.second.api)]
        assert {one["state"] for one in said} == {"WAITING"}
        return [one.get("notice") for one in said] == ["sale_ended"] * 2

    await until(is_told, PATIENCE_S)
    heard = ""
    while heard != "sale_ended":
        one = await stream.next()
        assert one is not None
        heard = one.data.get("notice") or ""
    await stream.close()
    for at in range(2):
        expect(pair.at(at, third).api.post(room_of(sale)), 409, "queue_closed")
        refused = hold(pair.at(at, first), sale, "A-1-1", inside["queue_pass"])
        assert refused.code in ("not_on_sale", "queue_pass_required")
    # The place of the user who has left stays free, and no user gets it.
    await asyncio.sleep(max(0.0, closed_at + 2 * KNOWN_FOR_S - time.monotonic()))
    assert ask(pair.first.api, sale, tickets[1])["state"] == "WAITING"

    set_sale(pair, sale, "open")
    assert join(pair.at(1, third), sale)["number"] == 3
    said = await admitted(second, sale, tickets[1])
    expect(hold(second, sale, "A-1-1", said["queue_pass"]), 201)


async def test_what_is_opened_through_another_process_is_there_at_once(pair: Pair) -> None:
    sale = draft(pair.organizer, 5)
    here = pair.second.api
    person = pair.at(1, rich(pair.first.api))
    addresses = [
        f"/v1/schedules/{sale.schedule_id}",
        f"/v1/schedules/{sale.schedule_id}/seats",
        f"/v1/concerts/{sale.concert_id}",
        f"/v1/concerts/{sale.concert_id}/schedules",
    ]

    def found() -> list[int]:
        return [here.get(address).status for address in addresses]

    def refusals() -> list[str]:
        answers = [hold(person, sale, "A-1-1"), person.api.post(room_of(sale))]
        stream = here.get(f"/v1/schedules/{sale.schedule_id}/seats/events")
        return [one.code for one in (*answers, stream)]

    assert found() == [404] * 4
    expect(pair.organizer.api.post(f"/v1/admin/concerts/{sale.concert_id}/publish"), 200)
    await until(lambda: _is(found, [404, 404, 200, 200]), PATIENCE_S)
    # A draft of a published concert is none of a buyer's, whichever address they try.
    assert found() == [404, 404, 200, 200]
    assert here.get(addresses[3]).json["items"] == []
    assert refusals() == ["schedule_not_found"] * 3
    set_room(pair, sale, mode="fifo")
    assert refusals() == ["schedule_not_found"] * 3
    expect(here.get(room_of(sale) + "/draw"), 404, "schedule_not_found")
    set_sale(pair, sale, "open")
    await until(lambda: _is(found, [200, 200]), PATIENCE_S)
    assert found()[:2] == [200, 200]
    join(person, sale)
