"""Wrong and jumping clocks: each API process has another time.

libfaketime changes the wall clock of a process that loads it, by an offset that it reads from a
file. It is looked for where Debian's package `libfaketime` puts it; `scripts/faketime` installs
that where it can.
"""

import asyncio
import os
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from itertools import cycle
from pathlib import Path
from random import Random

import aiohttp
import jwt

from faults.cluster.cluster import Cluster, Topology
from faults.scenario import AnyScenario, Component, NotRun, Observations, Scenario
from faults.workload.calls import ApiCall, ClientAnswer
from faults.workload.load import LoadGenerator

_LIBRARIES = sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))
_FOLDER = Path(tempfile.gettempdir())
_FILES = [_FOLDER / f"boxoffice-faults-clock-{os.getpid()}-{at}" for at in range(2)]
# The library reads its file again after a second; a busy machine takes longer.
_NOTICED_AFTER_S = 1.3
_NOTICED_WITHIN_S = 20.0
_AHEAD_S, _BEHIND_S = 300, -300
# Offsets of the two clocks in turn: each change is a jump under load.
_CLOCKS = ((_AHEAD_S, _BEHIND_S), (_BEHIND_S, _AHEAD_S), (0, _AHEAD_S), (_AHEAD_S, 0), (0, 0))
_TRUE_WITHIN_S = 3.0
_BEFORE_THE_END_S = 0.25
_RECOVERY_MAX_S = 2.0
_TTL_S = 2


def _env(file: Path) -> Mapping[str, str]:
    """Environment of a process with another wall clock; durations stay true, as on a real machine."""
    return {
        "LD_PRELOAD": str(_LIBRARIES[0]),
        "FAKETIME_TIMESTAMP_FILE": str(file),
        "FAKETIME_CACHE_DURATION": "1",
        "DONT_FAKE_MONOTONIC": "1",
    }


async def live_at_other_times(
    cluster: Cluster, load: LoadGenerator, random: Random, trials: int
) -> Observations:
    """Set the clocks of two processes five minutes off, let them jump, and start one so."""
    if not _LIBRARIES:
        raise NotRun("there is no libfaketime; on Debian or Ubuntu: apt-get install libfaketime")
    seen = Observations()
    clocks = cycle(_CLOCKS)
    try:
        for _ in range(trials):
            offsets_s = next(clocks)
            _set(offsets_s)
            await load.sell_for(_NOTICED_AFTER_S)
            seen.broken += await _are_off(cluster, offsets_s)
            if seen.trials % len(_CLOCKS) == 0:
                seen.recoveries_s.append(await _start_one_anew(cluster, load, random))
                seen.kills += 1
            seen.broken += await _tokens_are_good(cluster, f"{load.tag}-{seen.trials}")
            seen.broken += await _holds_last_as_long_as_they_say(load, random)
            seen.trials += 1
    finally:
        for file in _FILES:
            file.unlink(missing_ok=True)
    return seen


def _set(offsets_s: Sequence[int]) -> None:
    for file, offset_s in zip(_FILES, offsets_s, strict=True):
        new = file.with_suffix(".new")
        new.write_text(f"{offset_s:+d}\n", encoding="ascii")
        new.replace(file)


async def _start_one_anew(cluster: Cluster, load: LoadGenerator, random: Random) -> float:
    """A process whose clock is off from its start."""
    victim = random.choice(cluster.api)
    with load.fault("api killed", grace_s=_RECOVERY_MAX_S, affected=[victim.name]):
        at_s = time.monotonic()
        victim.kill()
        recovery_s = await load.next_sale(at_s)
        await cluster.wait_until_ready()
    return recovery_s


async def _are_off(cluster: Cluster, offsets_s: Sequence[int]) -> list[str]:
    """The control: the `Date` headers show the other times."""
    wrong = []
    async with aiohttp.ClientSession() as session:
        for api, offset_s in zip(cluster.api, offsets_s, strict=True):
            until_s = time.monotonic() + _NOTICED_WITHIN_S
            while abs((off_s := await _off_s(session, api.url)) - offset_s) > _TRUE_WITHIN_S:
                if time.monotonic() > until_s:
                    wrong.append(f"the clock of {api.name} is {off_s:.0f} s off, not {offset_s} s")
                    break
                await asyncio.sleep(0.1)
    return wrong


async def _off_s(session: aiohttp.ClientSession, url: str) -> float:
    async with session.get(f"{url}/healthz") as answer:
        date = parsedate_to_datetime(answer.headers["Date"])
    return (date - datetime.now(UTC)).total_seconds()


async def _tokens_are_good(cluster: Cluster, tag: str) -> list[str]:
    """A token of one process is valid at the other, for as long as it says."""
    wrong = []
    async with aiohttp.ClientSession() as session:
        for at, api in enumerate(cluster.api):
            token, lives_s = await _log_in(session, api.url, f"{tag}-{at}@example.test")
            claims = jwt.decode(token, options={"verify_signature": False})
            if abs(claims["exp"] - lives_s - time.time()) > _TRUE_WITHIN_S:
                wrong.append(f"a token of {api.name} begins at another time than now")
            for other in cluster.api:
                headers = {"Authorization": f"Bearer {token}"}
                async with session.get(f"{other.url}/v1/me/wallet", headers=headers) as answer:
                    if answer.status != 200:
                        wrong.append(f"a token of {api.name} is {answer.status} at {other.name}")
    return wrong


async def _log_in(session: aiohttp.ClientSession, url: str, email: str) -> tuple[str, int]:
    """Return a new person's token and its lifetime in seconds."""
    account = {"email": email, "password": "a long enough one"}
    async with session.post(f"{url}/v1/users", json={**account, "name": "Clock"}) as answer:
        answer.raise_for_status()
    async with session.post(f"{url}/v1/sessions", json=account) as answer:
        answer.raise_for_status()
        token = await answer.json()
    return token["access_token"], token["expires_in"]


async def _holds_last_as_long_as_they_say(load: LoadGenerator, random: Random) -> list[str]:
    """Hold at one process, repeat at the other, with rivals just before and after the end.

    The seat histories judge the refusals of the rivals.
    """
    holder, early, late = random.sample(range(len(load.fixtures.people)), 3)
    seats = load.next_seats()
    call = load.hold_call(holder, seats)
    await load.conclude(call)
    held = next((one for one in load.record.holds if one.key == call.key), None)
    if held is None:
        return []
    again = await load.call(replace(call, turn=call.turn + 1))
    wrong = _same(again, held.reservation_id)
    ends_s = held.end_s + load.fixtures.hold_ttl_s
    await asyncio.sleep(ends_s - _BEFORE_THE_END_S - time.monotonic())
    await load.conclude(_at_the_other(load.hold_call(early, seats), call))
    await asyncio.sleep(ends_s + _BEFORE_THE_END_S - time.monotonic())
    await load.conclude(_at_the_other(load.hold_call(late, seats), call))
    return wrong


def _at_the_other(rival: ApiCall, call: ApiCall) -> ApiCall:
    """Send a call to the process that did not get the other call."""
    return replace(rival, turn=call.person + call.turn + 1 - rival.person)


def _same(again: ClientAnswer | None, reservation_id: str) -> list[str]:
    if again is None or again.status != 201:
        return ["a repetition at the other process was not answered"]
    if again.body["reservation_id"] != reservation_id:
        return ["one key made two reservations"]
    ends = datetime.fromisoformat(again.body["expires_at"])
    lasts_s = (ends - datetime.now(UTC)).total_seconds()
    if not _TTL_S - _TRUE_WITHIN_S < lasts_s <= _TTL_S:
        return [f"a hold of {_TTL_S} s ends in {lasts_s:.1f} s"]
    return []


SCENARIOS: tuple[AnyScenario, ...] = (
    Scenario(
        name="clock_five_minutes_off",
        component=Component.CLOCK,
        does="two API processes whose clocks are five minutes ahead and behind (libfaketime) and "
        "jump during the sale; one starts so",
        expects="tokens, holds, their ends, keys and histories are unaffected; no request fails. "
        "Needs libfaketime, which `make faults` installs on Debian and Ubuntu as root",
        run=live_at_other_times,
        trials=10,
        quick_trials=2,
        trial_s=5.0,
        round_trials=10,
        recovery_p99_max_s=_RECOVERY_MAX_S,
        hold_ttl_s=_TTL_S,
        topology=Topology(
            api_env=[_env(file) for file in _FILES] if _LIBRARIES else (),
            # Every trial signs people up from one address.
            settings={"sign_ups_per_address_max": 10_000},
        ),
    ),
)
