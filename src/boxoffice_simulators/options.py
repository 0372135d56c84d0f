"""How a simulator is started."""

from pathlib import Path

import msgspec


class SimulatorKeys(msgspec.Struct, frozen=True):
    """The keys of the shop at the simulated provider."""

    secret_key: str
    client_key: str
    webhook_secret: str


class SimulatorOptions(msgspec.Struct, frozen=True):
    """Ports (0: any that is free), the folder of the book, where notices go, and the keys."""

    provider: str
    port: int
    control_port: int
    data: Path
    webhook_url: str
    keys: SimulatorKeys
    is_quiet: bool = False
