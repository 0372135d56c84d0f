"""Thousands of requests, forged tickets, and two pods at the same time."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import uuid4

import asyncpg
import pytest

from boxoffice.accounts.tokens import TokenAuthority
from boxoffice.audit import store as audit_store
from boxoffice.errors import (
    QueuePassRequired,
    QueueTicketExpired,
    QueueTicketInvalid,
    TokenInvalid,
    TooMany,
)
from boxoffice.platform.postgres import sql_files
from boxoffice.platform.signing import SigningKey
from boxoffice.platform.valkey import Script
from boxoffice.settings import Settings
from boxoffice.waiting_room.anonymous.service import TicketBearer
from boxoffice.waiting_room.engine import queue_state as lines
from boxoffice.waiting_room.limits import RequestRateLimits
from boxoffice.waiting_room.queue_tickets import QueueTicketSigner
from boxoffice.waiting_room.rules import PositionState
from tests.integration.waiting_room.conftest import SECRET, Clock, MakePod, Queue


async def _sealer(settings: Settings, clock: Clock, *keys: SigningKey) -> TokenAuthority:
    async def load() -> list[SigningKey]:
        return list(keys)

    made = TokenAuthority(settings.accounts, load, clock)
    await made.refresh()
    return made


def _key(kid: str, secret: bytes, until: float | None = None) -> SigningKey:
    return SigningKey(kid=kid, secret=secret, created_at=0.0, verifies_until=until)


async def test_every_changed_character_of_a_ticket_and_a_pass_is_refused(
    settings: Settings, clock: Clock
) -> None:
    sealer = await _sealer(settings, clock, _key("k1", SECRET))
    tickets = QueueTicketSigner(sealer.keys, clock, ticket_ttl_s=100, cached_max=10)
    schedule_id, user_id = uuid4(), uuid4()
    ticket = tickets.issue_ticket(schedule_id, user_id, 1, 7)
    good_pass = tickets.issue_pass(schedule_id, user_id, 7, clock() + 10)
    assert tickets.read_ticket(ticket, schedule_id).number == 7
    assert tickets.read_pass(good_pass, schedule_id, user_id).number == 7
    for text in (ticket, good_pass):
        for at, letter in enumerate(text):
            for other in {"A", "B", "_", "."} - {letter}:
                forged = text[:at] + other + text[at + 1 :]
                with pytest.raises(QueueTicketInvalid):
                    tickets.read_ticket(forged, schedule_id)
                with pytest.raises(QueuePassRequired):
                    tickets.read_pass(forged, schedule_id, user_id)


async def test_one_kind_is_never_the_other(settings: Settings, clock: Clock) -> None:
    sealer = await _sealer(settings, clock, _key("k1", SECRET))
    tickets = QueueTicketSigner(sealer.keys, clock, ticket_ttl_s=100, cached_max=10)
    schedule_id, user_id = uuid4(), uuid4()
    ticket = tickets.issue_ticket(schedule_id, user_id, 1, 7)
    good_pass = tickets.issue_pass(schedule_id, user_id, 7, clock() + 10)
    access = sealer.mint(user_id, "buyer")
    for text in (good_pass, access, "", None, "a.b.c", "." * 9, "k1", "k1..", "é", "x" * 5_000):
        with pytest.raises(QueueTicketInvalid):
            tickets.read_ticket(text, schedule_id)
    for text in (ticket, access, "", None, "k1..", "é"):
        with pytest.raises(QueuePassRequired):
            tickets.read_pass(text, schedule_id, user_id)
    for text in (ticket, good_pass):
        with pytest.raises(TokenInvalid):
            sealer.verify(text)


async def test_a_pass_ends_and_so_does_a_retired_key(settings: Settings, clock: Clock) -> None:
    retired = await _sealer(settings, clock, _key("k1", SECRET, clock() + 50))
    tickets = QueueTicketSigner(retired.keys, clock, ticket_ttl_s=100, cached_max=10)
    schedule_id, user_id = uuid4(), uuid4()
    ticket = tickets.issue_ticket(schedule_id, user_id, 1, 7)
    good_pass = tickets.issue_pass(schedule_id, user_id, 7, clock() + 10)
    assert tickets.needs_renewal(tickets.read_ticket(ticket, schedule_id), 1)
    tickets.read_pass(good_pass, schedule_id, user_id)
    clock.pass_(10)
    with pytest.raises(QueuePassRequired):
        tickets.read_pass(good_pass, schedule_id, user_id)
    clock.pass_(40)
    with pytest.raises(QueueTicketInvalid):
        tickets.read_ticket(ticket, schedule_id)


async def test_a_foreign_ticket_is_no_ticket(queue: Queue) -> None:
    person = await queue.join()
    with pytest.raises(QueueTicketInvalid):
        await queue.pod.room.position(
            queue.schedule_id, queue.tickets[person], TicketBearer(uuid4()), "a"
        )
    with pytest.raises(QueueTicketInvalid):
        await queue.pod.room.position(uuid4(), queue.tickets[person], TicketBearer(person), "a")
    with pytest.raises(QueueTicketInvalid):
        await queue.pod.room.leave(
            queue.schedule_id, queue.tickets[person], TicketBearer(uuid4()), "a"
        )


async def test_a_ticket_grows_old_and_is_renewed_before(queue: Queue) -> None:
    person = await queue.join()
    await queue.set(paused=True)
    first = queue.tickets[person]
    queue.clock.pass_(50_000)
    assert (await queue.ask(person)).queue_ticket
    assert queue.tickets[person] != first
    queue.clock.pass_(50_000)
    assert (await queue.ask(person)).number == 1
    queue.tickets[person] = first
    with pytest.raises(QueueTicketExpired):
        await queue.ask(person)


async def test_thousands_of_joins_of_one_account_are_one_place(
    queue: Queue, settings: Settings
) -> None:
    person = await queue.join()
    decided = 0
    for _ in range(20):
        queue.pod.room._limits = RequestRateLimits(settings.waiting_room)
        joins = [queue.pod.room.join(queue.schedule_id, person, "a") for _ in range(100)]
        decided += len({one.number for one in await asyncio.gather(*joins)} & {1})
    assert decided == 20
    await queue.tick()
    assert queue.pod.rooms.counters(queue.schedule_id).joined == 1


def test_too_many_requests_are_refused(settings: Settings) -> None:
    clock = Clock()
    few = settings.replace(queue_account_requests_per_s_max=3, queue_address_requests_per_s_max=5)
    limits = RequestRateLimits(few.waiting_room, clock)
    person, other = uuid4(), uuid4()
    for _ in range(3):
        limits.count(person, "a")
    with pytest.raises(TooMany):
        limits.count(person, "b")
    limits.count(other, "a")
    limits.count(other, "a")
    with pytest.raises(TooMany):
        limits.count(uuid4(), "a")
    clock.pass_(1)
    limits.count(person, "a")


def test_an_address_of_ipv6_asks_as_its_64(settings: Settings) -> None:
    few = settings.replace(queue_address_requests_per_s_max=5)
    limits = RequestRateLimits(few.waiting_room, Clock())
    for host in range(5):
        limits.count(uuid4(), f"2001:db8:0:1::{host}")
    with pytest.raises(TooMany):
        limits.count(uuid4(), "2001:db8:0:1:ffff::1")
    for other in ("2001:db8:0:2::1", "192.0.2.1"):
        limits.count(uuid4(), other)


async def test_joins_polls_streams_and_leaves_count_alike(queue: Queue, settings: Settings) -> None:
    person = await queue.join()
    ticket = queue.tickets[person]
    one = settings.replace(queue_account_requests_per_s_max=1)
    room, schedule_id = queue.pod.room, queue.schedule_id
    ways: dict[str, Callable[[], Awaitable[object]]] = {
        "join": lambda: room.join(schedule_id, person, "a"),
        "ask": lambda: room.position(schedule_id, ticket, TicketBearer(person), "a"),
        "follow": lambda: room.authorize_stream(schedule_id, ticket, TicketBearer(person), "a"),
        "leave": lambda: room.leave(schedule_id, ticket, TicketBearer(person), "a"),
    }
    for first in ways.values():
        room._limits = RequestRateLimits(one.waiting_room, queue.clock)
        await first()
        for way in ways.values():
            with pytest.raises(TooMany):
                await way()


async def _crowd(queue: Queue, other: Any, seed: int) -> None:
    """Let users join, poll, leave and fall silent on two pods at the same time."""
    rng = random.Random(seed)
    people = [await queue.join() for _ in range(120)]
    pods = (queue.pod, other)
    gone: set[Any] = set()

    async def act(person: Any) -> None:
        try:
            said = await queue.ask(person, rng.choice(pods))
            if said.state is PositionState.ADMITTED and rng.random() < 0.4:
                await queue.leave(person)
        except QueueTicketExpired:
            gone.add(person)

    for _ in range(60):
        queue.clock.pass_(rng.choice([0.2, 0.2, 1, 4]))
        await queue.tick()
        await other.refresh(queue.schedule_id)
        queue.pod.room._limits = other.room._limits = RequestRateLimits(Settings().waiting_room)
        crowd = [one for one in people if one not in gone and rng.random() < 0.7]
        await asyncio.gather(*(act(person) for person in crowd))


async def _broken(queue: Queue) -> list[str]:
    names = [name for name in audit_store.names() if name.startswith("queue_")]
    statements = sql_files.load("boxoffice.audit")
    return [name for name in names if await queue.pod.db.fetch(statements[name])]


async def test_no_run_breaks_order_or_cap(queue: Queue, make_pod: MakePod) -> None:
    seed = random.randrange(1 << 30)
    print("seed", seed)
    await queue.set(inside_max=7, inside_s=30, grace_s=10)
    other = await make_pod()
    await _crowd(queue, other, seed)
    (row,) = await queue.pod.db.fetch(
        "SELECT count(*) AS n, max(inside) AS most FROM queue_admissions"
    )
    assert row["n"] > 40
    assert row["most"] <= 7
    assert await _broken(queue) == []


async def test_without_its_guard_the_cap_is_refused_by_the_schema(
    queue: Queue, make_pod: MakePod, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Negative control: the schema refuses admissions of a script without the cap."""
    source = lines._ENTER.source
    broken = source.replace("and used < cap and cap or nil", "and cap or nil")
    assert broken != source
    monkeypatch.setattr(lines, "_ENTER", Script("enter", broken))
    await queue.set(inside_max=2, grace_s=3)
    people = [await queue.join() for _ in range(8)]
    await queue.tick(4, seconds=4)

    async def all_ask() -> None:
        for person in people:
            await queue.ask(person)

    with pytest.raises(asyncpg.CheckViolationError, match="queue_admissions_within_cap"):
        await all_ask()
