"""Simulated payment providers beside the cluster: processes that can be killed, paused and steered."""

import secrets
import signal
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

from bench.environment.processes import clean_environment
from boxoffice.platform.processes.supervisor import wrapped_command
from boxoffice_embedded.servers.home import free_port
from faults.cluster.cluster import Cluster, ProcessFailed, start_cluster
from faults.cluster.inbox import open_inbox
from faults.interference.external_clients import allow_traversal, wait_for

_READY_WITHIN_S = 20.0
_TIMEOUT_S = 20.0
_KEPT_PATHS = frozenset({"/mix", "/notices/style"})
_SDK_PATHS = {"toss": "/v2/standard", "stripe": "/v3/"}


class ProviderProcess:
    """One provider; its book survives a kill."""

    def __init__(self, name: str, folder: Path, keys: Mapping[str, str]) -> None:
        self.name = name
        self.port, self.control_port = free_port(0), free_port(0)
        self._folder = folder
        self._keys = keys
        self._process: subprocess.Popen[bytes] | None = None
        self._session: aiohttp.ClientSession | None = None
        # What a new process has to be told again, by path.
        self._kept: dict[str, object] = {}

    @property
    def settings(self) -> dict[str, object]:
        """The settings of a shop at this provider, by flat name."""
        url = f"http://127.0.0.1:{self.port}"
        return {
            **self._keys,
            f"{self.name}_api_url": url,
            f"{self.name}_sdk_url": url + _SDK_PATHS[self.name],
        }

    async def start(self) -> None:
        """Start it, and wait until it answers."""
        secret, client, *webhook = self._keys.values()
        env = {
            "SIMULATOR_SECRET_KEY": secret,
            "SIMULATOR_CLIENT_KEY": client,
            "SIMULATOR_WEBHOOK_SECRET": webhook[0] if webhook else "",
        }
        command = [sys.executable, "-m", "boxoffice", "simulate", self.name, "--quiet"]
        command += ["--port", str(self.port), "--control-port", str(self.control_port)]
        command += ["--data", str(self._folder)]
        wrapped = wrapped_command(
            command, identity="same", death_signal=signal.SIGKILL, directory=Path.cwd()
        )
        self._spawn(wrapped, env)
        self._session = self._session or aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(total=_TIMEOUT_S)
        )
        await wait_for(self._answers, _READY_WITHIN_S, f"{self.name} did not start")
        for path, body in self._kept.items():
            await self._call("POST", path, body)

    def _spawn(self, command: Sequence[str], env: Mapping[str, str]) -> None:
        self._process = subprocess.Popen(command, env=clean_environment() | dict(env))

    async def _answers(self) -> bool:
        try:
            await self.get("/calls")
        except (aiohttp.ClientError, OSError, TimeoutError):
            return False
        return True

    def kill(self) -> None:
        """Kill it: connections are refused until it is started again."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    async def close(self) -> None:
        """Kill it for good."""
        self.kill()
        if self._session is not None:
            await self._session.close()

    async def get(self, path: str) -> Any:
        """Read from its control port."""
        return await self._call("GET", path, None)

    async def post(self, path: str, body: object) -> Any:
        """Steer it through its control port; mix and style of notices outlast a kill."""
        if path in _KEPT_PATHS:
            self._kept[path] = body
        return await self._call("POST", path, body)

    async def do(self, command: str, **values: object) -> Any:
        """Let something happen at the provider, as `authorize`."""
        return await self.post(f"/do/{command}", values)

    async def set_faults(self, *rules: Mapping[str, object]) -> None:
        """Set what goes wrong with every call from now on; nothing, without rules."""
        await self.post("/faults", [{"times": 0, **rule} for rule in rules])

    async def _call(self, method: str, path: str, body: object) -> Any:
        if self._session is None:
            raise ProcessFailed(f"{self.name} was never started")
        url = f"http://127.0.0.1:{self.control_port}{path}"
        async with self._session.request(method, url, json=body) as answer:
            found = await answer.json(content_type=None)
            if answer.status != 200:
                raise ProviderRefused(f"{self.name} {path}: {answer.status} {found}")
            return found


class ProviderRefused(Exception):
    """The control port refused, such as the authorization of a payment that has expired."""


def _new_providers(folder: Path) -> dict[str, ProviderProcess]:
    token = secrets.token_hex(8)
    toss = {"toss_secret_key": f"test_sk_{token}", "toss_client_key": f"test_ck_{token}"}
    stripe = {
        "stripe_secret_key": f"sk_test_{token}",
        "stripe_publishable_key": f"pk_test_{token}",
        "stripe_webhook_secrets": f"whsec_{token}",
    }
    return {
        "toss": ProviderProcess("toss", folder, toss),
        "stripe": ProviderProcess("stripe", folder, stripe),
    }


@asynccontextmanager
async def with_providers() -> AsyncIterator[Cluster]:
    """Run a cluster, both providers, and what receives its webhooks and mails."""
    with tempfile.TemporaryDirectory(
        prefix="boxoffice-faults-", ignore_cleanup_errors=True
    ) as name:
        folder = allow_traversal(Path(name))
        providers = _new_providers(folder / "simulators")
        async with start_cluster(folder, lambda _: None) as one, open_inbox() as inbox:
            one.inbox = inbox
            one.extra_settings |= inbox.settings
            try:
                for provider in providers.values():
                    await provider.start()
                    one.extra_settings |= provider.settings
                one.providers = providers
                yield one
            finally:
                for provider in providers.values():
                    await provider.close()
