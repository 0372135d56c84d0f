"""Reads deploy/compose.yaml, and runs the product's services of it without Docker.

The containers have the network of this machine, so each service gets a port of its own.
"""

import os
import re
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

from boxoffice_embedded.servers.binaries import find_binaries
from boxoffice_embedded.servers.home import free_port
from drills.containers import Container, ContainersFailed, Engine

COMPOSE = Path(__file__).parents[1] / "deploy" / "compose.yaml"
RUNTIME_ROLE = "boxoffice_runtime"
_MAKE_ROLE = COMPOSE.parent / "postgres" / "runtime_role.sql"
_VARIABLE = re.compile(r"\$\$|\$\{(\w+)(?:(:-|:\?)([^}]*))?\}")


def services(given: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """Return the services by name, with the variables of `given` filled in.

    Raises:
        KeyError: a variable without a value and without a default.
    """
    text = COMPOSE.read_text(encoding="utf-8")
    parsed = yaml.safe_load(_VARIABLE.sub(lambda found: _value(found, given), text))
    found: dict[str, dict[str, Any]] = parsed["services"]
    return found


def _value(found: re.Match[str], given: Mapping[str, str]) -> str:
    name, sign, rest = found.groups()
    if name is None:
        return "$"
    return given.get(name, rest) if sign == ":-" else given[name]


def own(found: Mapping[str, dict[str, Any]]) -> list[str]:
    """Return the services that run our image, in the order of the file."""
    image = found["migrate"]["image"]
    return [name for name, service in found.items() if service["image"] == image]


def role_of(service: Mapping[str, Any]) -> str:
    """Return the role of PostgreSQL as which a service works."""
    return str(urlsplit(service["environment"]["BOXOFFICE_DATABASE_URL"]).username)


def make_runtime_role(database_url: str, password: str) -> None:
    """Run the script that the image of PostgreSQL runs when it makes its database."""
    psql = find_binaries().tool("psql")
    options = ["--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", f"--file={_MAKE_ROLE}"]
    env = {**os.environ, "POSTGRES_RUNTIME_PASSWORD": password}
    ran = subprocess.run(
        [psql, *options, database_url], env=env, capture_output=True, text=True, check=False
    )
    if ran.returncode:
        raise ContainersFailed(f"{_MAKE_ROLE.name}: {ran.stderr}")


def options(service: Mapping[str, Any]) -> Iterator[str]:
    """Yield podman's options of what a service may and what it is limited to."""
    if service["read_only"]:
        yield from ("--read-only", "--read-only-tmpfs=false")
    yield from (f"--tmpfs={one}" for one in service["tmpfs"])
    yield from (f"--cap-drop={one}" for one in service["cap_drop"])
    yield from (f"--security-opt={one.removesuffix(':true')}" for one in service["security_opt"])
    limits = service["deploy"]["resources"]["limits"]
    yield f"--cpus={limits['cpus']}"
    yield f"--memory={limits['memory']}"
    yield f"--pids-limit={limits['pids']}"


@dataclass(frozen=True)
class Installation:
    """The services of our image on one engine.

    `databases` has the address for each role of PostgreSQL; `settings` are those of the drill.
    """

    engine: Engine
    services: Mapping[str, Mapping[str, Any]]
    databases: Mapping[str, str]
    settings: Mapping[str, str]
    ports: Mapping[str, int]

    @classmethod
    def of(
        cls,
        engine: Engine,
        given: Mapping[str, str],
        databases: Mapping[str, str],
        settings: Mapping[str, str],
    ) -> "Installation":
        """Read the file; nothing is started yet."""
        found = services(given)
        names = own(found)
        ports = {name: free_port(0) for name in names}
        return cls(engine, {name: found[name] for name in names}, databases, settings, ports)

    def env(self, name: str) -> dict[str, str]:
        """Return the environment of a service, with the addresses of this machine."""
        is_api = name.startswith("serve")
        port = "BOXOFFICE_PORT" if is_api else "BOXOFFICE_ROLE_METRICS_PORT"
        service = self.services[name]
        address = {"BOXOFFICE_DATABASE_URL": self.databases[role_of(service)]}
        wanted = {**service["environment"], **self.settings, **address}
        return {**wanted, port: str(self.ports[name])}

    def run(self, *words: str) -> str:
        """Run a command to its end, with the environment of `migrate`."""
        return self.engine.run(*words, env=self.env("migrate"))

    def start(self, name: str) -> Container:
        """Start a service; it may not be healthy yet."""
        service = self.services[name]
        return self.engine.start(
            name, *service["command"], env=self.env(name), options=[*options(service)]
        )

    def is_healthy(self, name: str) -> bool:
        """Ask its own health check, in its container."""
        _cmd, *test = self.services[name]["healthcheck"]["test"]
        try:
            self.engine.podman("exec", name, *test)
        except ContainersFailed:
            return False
        return True
