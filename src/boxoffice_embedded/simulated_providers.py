"""The simulated payment providers of the demo: their keys, addresses and processes.

They run where no provider has keys, so that a newcomer sees the whole way of a payment; no money moves.
"""

import secrets
import socket
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from boxoffice.settings import ProviderSettings, Settings, variable
from boxoffice_embedded.servers.home import free_port

_TOSS, _STRIPE = "toss", "stripe"
_SDK_PATHS = {_TOSS: "/v2/standard", _STRIPE: "/v3/"}


@dataclass(frozen=True)
class SimulatedProcess:
    """A simulator to run: its command, its keys in its environment, where it is asked and steered."""

    name: str
    command: tuple[str, ...]
    env: Mapping[str, str]
    port: int
    control_url: str

    def is_open(self) -> bool:
        """Whether it takes connections."""
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1):
                return True
        except OSError:
            return False


@dataclass(frozen=True)
class SimulatedProviders:
    """Settings of a shop at simulated providers, and their processes."""

    settings: Settings
    processes: tuple[SimulatedProcess, ...] = ()


def simulate(settings: Settings, data_dir: Path) -> SimulatedProviders:
    """Return the settings and processes of the demo; where any provider has keys, none is simulated."""
    given = settings.providers
    if given.payments_live or given.toss_secret_key or given.stripe_secret_key:
        return SimulatedProviders(settings)
    ports = {name: (free_port(0), free_port(0)) for name in _SDK_PATHS}
    keys = _new_keys()
    urls = {
        f"{name}_{part}_url": f"http://127.0.0.1:{port}{path if part == 'sdk' else ''}"
        for name, path in _SDK_PATHS.items()
        for port in ports[name][:1]
        for part in ("api", "sdk")
    }
    settings = settings.replace(**keys, **urls)
    processes = (
        _process(name, settings, data_dir, api_port, control_port)
        for name, (api_port, control_port) in ports.items()
    )
    return SimulatedProviders(settings, tuple(processes))


def _new_keys() -> dict[str, str]:
    """Return keys that only this run knows."""
    return {
        "toss_secret_key": f"test_sk_{secrets.token_hex(16)}",
        "toss_client_key": f"test_ck_{secrets.token_hex(16)}",
        "stripe_secret_key": f"sk_test_{secrets.token_hex(16)}",
        "stripe_publishable_key": f"pk_test_{secrets.token_hex(16)}",
        "stripe_webhook_secrets": f"whsec_{secrets.token_hex(16)}",
    }


def _process(
    name: str, settings: Settings, data_dir: Path, port: int, control_port: int
) -> SimulatedProcess:
    given = settings.providers
    is_toss = name == _TOSS
    host = settings.server.host
    shop = f"http://{f'[{host}]' if ':' in host else host}:{settings.server.port}"
    env = {
        "SIMULATOR_SECRET_KEY": given.toss_secret_key if is_toss else given.stripe_secret_key,
        "SIMULATOR_CLIENT_KEY": given.toss_client_key if is_toss else given.stripe_publishable_key,
        "SIMULATOR_WEBHOOK_SECRET": given.stripe_webhook_secrets,
        "SIMULATOR_WEBHOOK_URL": f"{shop}/v1/webhooks/{name}",
    }
    command = (sys.executable, "-m", "boxoffice", "simulate", name, "--quiet")
    ports = ("--port", str(port), "--control-port", str(control_port))
    data = ("--data", str(data_dir / "simulators"))
    control_url = f"http://127.0.0.1:{control_port}"
    return SimulatedProcess(name, (*command, *ports, *data), env, port, control_url)


def environment(settings: ProviderSettings) -> Iterator[tuple[str, str]]:
    """Yield the variables of the settings that differ from their defaults."""
    defaults = ProviderSettings()
    for name in settings.__struct_fields__:
        value = getattr(settings, name)
        if value != getattr(defaults, name):
            yield variable(name), str(value).lower() if isinstance(value, bool) else str(value)
