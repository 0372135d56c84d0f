"""A flood of log-ins and sign-ups from one address, in a process of its own.

Every connection sends again when it is answered, and half a second later when it is refused. Responses
are counted by status.
"""

import asyncio
import sys
import time
from collections import Counter
from pathlib import Path

import aiohttp
import msgspec

_TIMEOUT_S = 20.0
# 160 connections still refill the queue within milliseconds. The scenario is about turns in the queue,
# not about the CPU of refusals, which the flood would take from the log-ins it is compared with.
_REFUSED_PAUSE_S = 0.5
_PASSWORD = "a long enough one"  # noqa: S105 - of no account


class LoginFloodPlan(msgspec.Struct, kw_only=True):
    """Connections of each kind, source address, duration."""

    url: str
    address: str
    log_ins: int
    sign_ups: int
    seconds: float
    tag: str


class LoginFloodResult(msgspec.Struct, kw_only=True):
    """Counts by response, such as `POST /v1/users 429`."""

    answers: dict[str, int]


async def flood(plan: LoginFloodPlan) -> LoginFloodResult:
    """Send until the time is over, and return the counts."""
    until_s = time.monotonic() + plan.seconds
    answers: Counter[str] = Counter()
    connector = aiohttp.TCPConnector(limit=0, local_addr=(plan.address, 0))
    timeout = aiohttp.ClientTimeout(total=_TIMEOUT_S)
    async with aiohttp.ClientSession(plan.url, connector=connector, timeout=timeout) as session:

        async def ask(at: int, path: str) -> None:
            turn = 0
            while time.monotonic() < until_s:
                turn += 1
                account = {"email": f"{plan.tag}-{at}-{turn}@example.test", "password": _PASSWORD}
                body = account if path == "/v1/sessions" else {**account, "name": "Flood"}
                try:
                    async with session.post(path, json=body) as answer:
                        await answer.read()
                        answers[f"POST {path} {answer.status}"] += 1
                        if answer.status in (429, 503):
                            await asyncio.sleep(_REFUSED_PAUSE_S)
                except (aiohttp.ClientError, TimeoutError, OSError):
                    answers[f"POST {path} cut"] += 1

        async with asyncio.TaskGroup() as tasks:
            for at in range(plan.log_ins):
                tasks.create_task(ask(at, "/v1/sessions"))
            for at in range(plan.log_ins, plan.log_ins + plan.sign_ups):
                tasks.create_task(ask(at, "/v1/users"))
    return LoginFloodResult(answers=dict(answers))


def main() -> None:
    """Run a plan from a file."""
    asked, answered = sys.argv[1:]
    plan = msgspec.msgpack.decode(Path(asked).read_bytes(), type=LoginFloodPlan)
    Path(answered).write_bytes(msgspec.msgpack.encode(asyncio.run(flood(plan))))


if __name__ == "__main__":
    main()
