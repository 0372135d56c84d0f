"""A flood of log-ins and sign-ups from one address, in a process of its own.

Every connection sends again as soon as it is answered; responses are counted by status.
"""

import asyncio
import sys
import time
from collections import Counter
from pathlib import Path

import aiohttp
import msgspec

_TIMEOUT_S = 20.0
# A refused connection retries at once, without spinning.
_REFUSED_PAUSE_S = 0.01
_PASSWORD = "a long enough one"  # noqa: S105 - of nobody


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


async def flood(crowd: LoginFloodPlan) -> LoginFloodResult:
    """Send without pause, and return the counts."""
    until_s = time.monotonic() + crowd.seconds
    told: Counter[str] = Counter()
    connector = aiohttp.TCPConnector(limit=0, local_addr=(crowd.address, 0))
    timeout = aiohttp.ClientTimeout(total=_TIMEOUT_S)
    async with aiohttp.ClientSession(crowd.url, connector=connector, timeout=timeout) as session:

        async def ask(at: int, path: str) -> None:
            turn = 0
            while time.monotonic() < until_s:
                turn += 1
                who = {"email": f"{crowd.tag}-{at}-{turn}@example.test", "password": _PASSWORD}
                body = who if path == "/v1/sessions" else {**who, "name": "Flood"}
                try:
                    async with session.post(path, json=body) as answer:
                        await answer.read()
                        told[f"POST {path} {answer.status}"] += 1
                        if answer.status in (429, 503):
                            await asyncio.sleep(_REFUSED_PAUSE_S)
                except (aiohttp.ClientError, TimeoutError, OSError):
                    told[f"POST {path} cut"] += 1

        async with asyncio.TaskGroup() as tasks:
            for at in range(crowd.log_ins):
                tasks.create_task(ask(at, "/v1/sessions"))
            for at in range(crowd.log_ins, crowd.log_ins + crowd.sign_ups):
                tasks.create_task(ask(at, "/v1/users"))
    return LoginFloodResult(answers=dict(told))


def main() -> None:
    """Run a plan from a file."""
    asked, answered = sys.argv[1:]
    crowd = msgspec.msgpack.decode(Path(asked).read_bytes(), type=LoginFloodPlan)
    Path(answered).write_bytes(msgspec.msgpack.encode(asyncio.run(flood(crowd))))


if __name__ == "__main__":
    main()
