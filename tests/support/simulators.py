"""The simulated payment providers: a process each for the whole run, and their control ports."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import msgspec

from boxoffice.settings import Settings

TOSS_KEYS = {
    "toss_secret_key": "test_sk_simulator00000000",
    "toss_client_key": "test_ck_simulator00000000",
}
STRIPE_KEYS = {
    "stripe_secret_key": "sk_test_simulator00000000",
    "stripe_publishable_key": "pk_test_simulator00000000",
    "stripe_webhook_secrets": "whsec_simulator00000000",
}


@dataclass(frozen=True)
class Simulator:
    """A running simulator; each method is a call of its control port."""

    url: str
    control_url: str

    async def reset(self) -> None:
        """Forget everything: cheap, so each test begins with it."""
        await self.post("/reset", {})

    async def do(self, command: str, **values: object) -> Any:
        """Let something happen at the provider, as `authorize`; raise `AssertionError` if it can't."""
        return await self.post(f"/do/{command}", values)

    async def set_faults(self, *rules: dict[str, object]) -> None:
        """Set what goes wrong from now on; nothing, without rules."""
        await self.post("/faults", list(rules))

    async def set_mix(self, **shares: object) -> None:
        """Let shares of payments go wrong: seed, declined, lost, duplicates, decline_code."""
        await self.post("/mix", shares)

    async def set_notices(self, **style: object) -> None:
        """Set where notices go (`url`) and what is wrong with them."""
        await self.post("/notices/style", style)

    async def flush_notices(self) -> list[int]:
        """Send the notices that wait; return the receiver's statuses."""
        found: list[int] = await self.post("/notices/flush", {})
        return found

    async def post_notice(self, body: str) -> int:
        """Send a notice of the test's own, signed as the style says; return the receiver's status."""
        status: int = await self.post("/notices/post", {"body": body})
        return status

    async def advance(self, seconds: float) -> None:
        """Let time pass at the provider."""
        await self.post("/clock", {"advance_s": seconds})

    async def set_statement_lag(self, seconds: float) -> None:
        """Let movements stand in the statement later."""
        await self.post("/statement", {"lag_s": seconds})

    async def movements(self) -> list[dict[str, Any]]:
        """Return every movement in the provider's book, oldest first."""
        found: list[dict[str, Any]] = (await self.get("/book"))["movements"]
        return found

    async def payments(self) -> list[dict[str, Any]]:
        """Return every payment, in the provider's form."""
        found: list[dict[str, Any]] = (await self.get("/book"))["payments"]
        return found

    async def calls(self, operation: str = "") -> list[dict[str, str]]:
        """Return the calls that the provider received, of one operation or all."""
        found = await self.get("/calls")
        return [one for one in found if operation in ("", one["operation"])]

    async def notices(self) -> list[dict[str, Any]]:
        """Return every notice, sent or not."""
        found: list[dict[str, Any]] = await self.get("/notices")
        return found

    async def get(self, path: str) -> Any:
        """Ask the control port."""
        return await self._call("GET", path, None)

    async def post(self, path: str, body: object) -> Any:
        """Tell the control port."""
        return await self._call("POST", path, body)

    async def _call(self, method: str, path: str, body: object) -> Any:
        async with (
            aiohttp.ClientSession() as session,
            session.request(method, self.control_url + path, json=body) as response,
        ):
            raw = await response.read()
            assert response.status == 200, (response.status, raw)
            return msgspec.json.decode(raw)


@dataclass(frozen=True)
class Simulators:
    """Both providers."""

    toss: Simulator
    stripe: Simulator

    @property
    def values(self) -> dict[str, str]:
        """The settings, by flat name, of a shop at both providers."""
        return {
            **TOSS_KEYS,
            **STRIPE_KEYS,
            "toss_api_url": self.toss.url,
            "toss_sdk_url": f"{self.toss.url}/v2/standard",
            "stripe_api_url": self.stripe.url,
            "stripe_sdk_url": f"{self.stripe.url}/v3/",
        }

    def settings(self, **values: object) -> Settings:
        """Return the settings of a shop at both providers."""
        return Settings.of(**{**self.values, **values})

    async def reset(self) -> None:
        """Forget everything."""
        await self.toss.reset()
        await self.stripe.reset()


@contextmanager
def running_simulator(
    provider: str, data: Path, *, port: int = 0, ends_by: int = signal.SIGTERM
) -> Iterator[Simulator]:
    """Run a simulator on a folder; a second one on the same folder continues its book."""
    command = [sys.executable, "-m", "boxoffice", "simulate", provider, "--data", str(data)]
    process = subprocess.Popen(
        [*command, "--port", str(port)], stdout=subprocess.PIPE, env=dict(os.environ)
    )
    try:
        assert process.stdout is not None
        ready = msgspec.json.decode(process.stdout.readline())
        yield Simulator(ready["url"], ready["control_url"])
    finally:
        process.send_signal(ends_by)
        process.wait(10)
        if process.stdout is not None:
            process.stdout.close()


@contextmanager
def running_simulators(data: Path) -> Iterator[Simulators]:
    """Run both providers."""
    with running_simulator("toss", data) as toss, running_simulator("stripe", data) as stripe:
        yield Simulators(toss, stripe)
