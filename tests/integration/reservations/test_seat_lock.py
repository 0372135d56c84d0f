"""The seat lock on a real Valkey: who is sent on, who is sent away, and what is left behind."""

import asyncio
import socket
import time
from collections.abc import AsyncIterator
from uuid import UUID, uuid4

import pytest

from boxoffice.platform.valkey import Valkey
from boxoffice.platform.valkey.node import VALKEY_FAILURES
from boxoffice.reservations.seat_lock import Claim, ClaimResult, SeatLock, Settlement
from boxoffice.settings import Settings
from tests.support.waiting import until

TTL_MS = 9_000


@pytest.fixture
def deadlines(settings: Settings) -> Settings:
    """The deadline of the shop, and a breaker that tries again soon."""
    return settings.replace(valkey_timeout_ms=100, breaker_open_ms=50)


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """A deadline that a busy machine does not miss: what is asked here is who is sent on."""
    return settings.replace(valkey_timeout_ms=5_000)


@pytest.fixture
def lock(valkey: Valkey) -> SeatLock:
    """The lock as the shop has it."""
    return SeatLock(valkey, TTL_MS)


@pytest.fixture
def schedule() -> UUID:
    """A schedule that no other test uses."""
    return uuid4()


def _key(schedule: UUID, seat: str) -> str:
    return f"{{{schedule}}}:seat:{seat}"


async def _value(valkey: Valkey, schedule: UUID, seat: str) -> str | None:
    value: bytes | None = await valkey.command("GET", _key(schedule, seat))
    return None if value is None else value.decode()


async def _left_ms(valkey: Valkey, schedule: UUID, seat: str) -> int:
    return int(await valkey.command("PTTL", _key(schedule, seat)))


async def _answers(lock: SeatLock, schedule: UUID, *claims: Claim) -> list[ClaimResult]:
    return [one.answer for one in await lock.claim(schedule, claims)]


async def test_a_claim_is_pending_then_taken_then_given_up(
    lock: SeatLock, valkey: Valkey, schedule: UUID
) -> None:
    assert await _answers(lock, schedule, Claim("me", ["A"])) == [ClaimResult.CLEAR]
    assert await _value(valkey, schedule, "A") == "P:me"
    assert await _answers(lock, schedule, Claim("you", ["A"])) == [ClaimResult.BUSY]
    await lock.settle(schedule, [Settlement("me", ["A"], 299_000)])
    assert await _value(valkey, schedule, "A") == "C:me"
    [taken] = await lock.claim(schedule, [Claim("you", ["B", "A", "C"])])
    assert (taken.answer, list(taken.taken)) == (ClaimResult.TAKEN, ["A"])
    await lock.settle(schedule, [Settlement("me", ["A"])])
    assert await _answers(lock, schedule, Claim("you", ["A"])) == [ClaimResult.CLEAR]


async def test_all_or_nothing(lock: SeatLock, valkey: Valkey, schedule: UUID) -> None:
    await lock.claim(schedule, [Claim("a", ["A"]), Claim("b", ["B"]), Claim("c", ["C"])])
    await lock.settle(schedule, [Settlement("a", ["A"], 99_000), Settlement("c", ["C"], 99_000)])
    refused = await lock.claim(
        schedule,
        [Claim("x", ["X", "B"]), Claim("y", ["Y", "A", "B", "C"]), Claim("z", ["X", "Y"])],
    )
    assert [one.answer for one in refused] == [
        ClaimResult.BUSY,
        ClaimResult.TAKEN,
        ClaimResult.CLEAR,
    ]
    assert list(refused[1].taken) == ["A", "C"]
    assert [await _value(valkey, schedule, seat) for seat in "XY"] == ["P:z", "P:z"]


async def test_the_same_request_passes_its_own_claim(lock: SeatLock, schedule: UUID) -> None:
    await lock.claim(schedule, [Claim("me", ["A", "B"])])
    await lock.settle(schedule, [Settlement("me", ["B"], 99_000)])
    assert await _answers(lock, schedule, Claim("me", ["A", "B", "C"])) == [ClaimResult.CLEAR]


async def test_requests_of_one_batch_do_not_refuse_each_other(
    lock: SeatLock, valkey: Valkey, schedule: UUID
) -> None:
    claims = [Claim("a", ["A"]), Claim("b", ["A", "B"]), Claim("c", ["B"])]
    assert await _answers(lock, schedule, *claims) == [ClaimResult.CLEAR] * 3
    assert [await _value(valkey, schedule, seat) for seat in "AB"] == ["P:a", "P:b"]
    # The first one has won; what the loser claimed for itself is free, the winner's is not.
    await lock.settle(schedule, [Settlement("a", ["A"], 99_000), Settlement("b", ["A", "B"])])
    assert [await _value(valkey, schedule, seat) for seat in "AB"] == ["C:a", None]


async def test_nothing_is_asked_for_nothing(lock: SeatLock, schedule: UUID) -> None:
    assert await _answers(lock, schedule, Claim("a", []), Claim("b", [])) == [ClaimResult.CLEAR] * 2
    await lock.settle(schedule, [])


async def test_a_late_call_touches_no_newer_claim(
    lock: SeatLock, valkey: Valkey, schedule: UUID
) -> None:
    await lock.claim(schedule, [Claim("old", ["A", "B"])])
    await lock.settle(schedule, [Settlement("old", ["A", "B"])])
    await lock.claim(schedule, [Claim("new", ["A"])])
    await lock.settle(schedule, [Settlement("old", ["A", "B"], 99_000)])
    assert [await _value(valkey, schedule, seat) for seat in "AB"] == ["P:new", None]
    await lock.settle(schedule, [Settlement("old", ["A"])])
    assert await _value(valkey, schedule, "A") == "P:new"


async def test_no_mark_lives_longer_than_a_claim_or_than_the_hold(
    lock: SeatLock, valkey: Valkey, schedule: UUID
) -> None:
    await lock.claim(schedule, [Claim("me", ["A", "B", "C", "D"])])
    assert 0 < await _left_ms(valkey, schedule, "A") <= TTL_MS
    settlements = [
        Settlement("me", ["A"], SeatLock.taken_ms(300)),
        Settlement("me", ["B"], SeatLock.taken_ms(8)),
        Settlement("me", ["C"], SeatLock.taken_ms(1)),
    ]
    await lock.settle(schedule, settlements)
    assert 0 < await _left_ms(valkey, schedule, "A") <= TTL_MS
    assert 0 < await _left_ms(valkey, schedule, "B") <= 7_000
    assert await _value(valkey, schedule, "C") is None, "too short to be worth a mark"


async def test_a_mark_of_a_delayed_call_ends_with_its_hold(valkey: Valkey, schedule: UUID) -> None:
    lock = SeatLock(valkey, 10_000)
    await lock.claim(schedule, [Claim("me", ["A", "B"])])

    async def is_some_time_gone() -> bool:
        return await _left_ms(valkey, schedule, "A") < 9_500

    await until(is_some_time_gone)
    await lock.settle(schedule, [Settlement("me", ["A"], 99_000), Settlement("me", ["B"], 400)])
    assert await _value(valkey, schedule, "A") == "C:me"
    assert await _left_ms(valkey, schedule, "A") < 9_500, "it does not begin anew"
    assert await _value(valkey, schedule, "B") is None, "its time is over already"


async def test_keys_of_a_schedule_share_a_slot(
    lock: SeatLock, valkey: Valkey, schedule: UUID
) -> None:
    await lock.claim(schedule, [Claim("me", ["A", "{odd}", "석"])])
    slots = {
        await valkey.command("CLUSTER", "KEYSLOT", _key(schedule, seat))
        for seat in ("A", "{odd}", "석")
    }
    assert len(slots) == 1
    assert await _value(valkey, schedule, "석") == "P:me"


async def test_a_batch_may_have_more_seats_than_the_stack_of_lua(
    lock: SeatLock, valkey: Valkey, schedule: UUID
) -> None:
    claims = [Claim(f"o{at}", [f"{at}-{seat}" for seat in range(60)]) for at in range(140)]
    assert set(await _answers(lock, schedule, *claims)) == {ClaimResult.CLEAR}
    assert await _answers(lock, schedule, Claim("x", ["139-59"])) == [ClaimResult.BUSY]
    await lock.settle(schedule, [Settlement(claim.owner, claim.seat_ids) for claim in claims])
    assert await _value(valkey, schedule, "139-59") is None


async def test_a_server_that_forgot_its_scripts_is_taught_them_again(
    lock: SeatLock, valkey: Valkey, schedule: UUID
) -> None:
    await lock.claim(schedule, [Claim("me", ["A"])])
    await valkey.command("SCRIPT", "FLUSH")
    assert await _answers(lock, schedule, Claim("you", ["A"])) == [ClaimResult.BUSY]
    await valkey.command("SCRIPT", "FLUSH")
    await lock.settle(schedule, [Settlement("me", ["A"])])
    assert await _value(valkey, schedule, "A") is None
    assert not valkey.is_breaker_open


async def test_a_server_out_of_memory_stops_no_request(
    lock: SeatLock, valkey: Valkey, schedule: UUID
) -> None:
    _, before = await _config(valkey, "maxmemory")
    await valkey.command("CONFIG", "SET", "maxmemory", "1")
    try:
        assert await _answers(lock, schedule, Claim("me", ["A"])) == [ClaimResult.CLEAR]
        await lock.settle(schedule, [Settlement("me", ["A"], 99_000)])
    finally:
        await valkey.command("CONFIG", "SET", "maxmemory", before)
    assert await _answers(lock, schedule, Claim("me", ["A"])) == [ClaimResult.CLEAR]
    assert await _answers(lock, schedule, Claim("you", ["A"])) == [ClaimResult.BUSY]


async def _config(valkey: Valkey, name: str) -> tuple[str, str]:
    reply = await valkey.command("CONFIG", "GET", name)
    words = [word for pair in reply.items() for word in pair] if isinstance(reply, dict) else reply
    return words[0].decode(), words[1].decode()


@pytest.fixture
async def prompt(deadlines: Settings) -> AsyncIterator[Valkey]:
    """A client with the deadline of the shop."""
    client = Valkey(deadlines.valkey)
    yield client
    await client.close()


@pytest.fixture
async def unreachable(deadlines: Settings) -> AsyncIterator[Valkey]:
    """A client of a port without a listener."""
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        url = f"redis://127.0.0.1:{reserved.getsockname()[1]}/0"
        client = Valkey(deadlines.replace(valkey_url=url).valkey)
        yield client
        await client.close()


async def test_every_request_is_clear_while_valkey_is_away(
    unreachable: Valkey, schedule: UUID
) -> None:
    lock = SeatLock(unreachable, TTL_MS)
    for _ in range(4):
        assert await _answers(lock, schedule, Claim("me", ["A"])) == [ClaimResult.CLEAR]
        await lock.settle(schedule, [Settlement("me", ["A"], 99_000)])
    assert unreachable.is_breaker_open


async def test_a_paused_server_is_waited_for_no_longer_than_the_deadline_and_then_spared(
    lock: SeatLock, valkey: Valkey, prompt: Valkey, deadlines: Settings, schedule: UUID
) -> None:
    await lock.claim(schedule, [Claim("me", ["A"])])
    deadlined = SeatLock(prompt, TTL_MS)
    # A pause of what writes, which scripts count as, can be ended before its time.
    await valkey.command("CLIENT", "PAUSE", 60_000, "WRITE")
    took_s = []
    try:
        for _ in range(deadlines.valkey.breaker_failures_max):
            asked = time.monotonic()
            assert await _answers(deadlined, schedule, Claim("you", ["A"])) == [ClaimResult.CLEAR]
            took_s.append(time.monotonic() - asked)
        assert prompt.is_breaker_open
    finally:
        await valkey.command("CLIENT", "UNPAUSE")
    assert min(took_s) < 1, "the deadline is 100 ms and the pause a minute; a busy machine is late"

    async def in_force_again() -> bool:
        return await _answers(deadlined, schedule, Claim("you", ["A"])) == [ClaimResult.BUSY]

    await until(in_force_again)
    assert not prompt.is_breaker_open


def _failed_calls() -> float:
    [found] = VALKEY_FAILURES.collect()
    return sum(one.value for one in found.samples if one.name.endswith("_total"))


async def test_an_open_breaker_costs_no_time(
    unreachable: Valkey, deadlines: Settings, schedule: UUID
) -> None:
    lock = SeatLock(unreachable, TTL_MS)
    while not unreachable.is_breaker_open:
        await lock.claim(schedule, [Claim("me", ["A"])])
    began, before = time.monotonic(), _failed_calls()
    for _ in range(200):
        await lock.claim(schedule, [Claim("me", ["A"])])
        await asyncio.sleep(0)
    # A closed breaker would call each time; an open one probes once per `breaker_open_ms`.
    probes_max = 1 + (time.monotonic() - began) * 1000 / deadlines.valkey.breaker_open_ms
    assert _failed_calls() - before <= probes_max
    assert unreachable.is_breaker_open
