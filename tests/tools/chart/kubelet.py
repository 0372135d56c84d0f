"""Runs rendered pods as processes of this machine: their command, arguments, environment and probes.

A container adds what is missing here: a network of its own (ports are mapped to free ones),
a read-only root, and limits.
"""

import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import psutil

from tests.support.shop import dying_with_us, free_port
from tests.tools.chart.helm import Document, container_of

_PORTS = ("BOXOFFICE_PORT", "BOXOFFICE_METRICS_PORT", "BOXOFFICE_ROLE_METRICS_PORT")

# Values by name and key of a Secret.
Secrets = Mapping[tuple[str, str], str]


class PodFailed(AssertionError):
    """A pod did not start, was not ready in time, or did not stop; the sentence has its output."""


@dataclass
class LocalPod:
    """One pod: its only container as a process."""

    role: str
    container: Document
    grace_s: float
    ports: dict[int, int]
    process: "subprocess.Popen[bytes]"
    output: IO[bytes]

    def url(self, port: int | str) -> str:
        """The address of a container's port, by number or name."""
        named = {one["name"]: one["containerPort"] for one in self.container.get("ports", [])}
        return f"http://127.0.0.1:{self.ports[named[port] if isinstance(port, str) else port]}"

    def probe(self, name: str) -> int:
        """Return the status that a probe gets; 0 without an answer."""
        found = self.container[f"{name}Probe"]
        get = found["httpGet"]
        return status(self.url(get["port"]) + get["path"], found["timeoutSeconds"])

    def wait_until_started(self) -> None:
        """Repeat the startup probe as often as the kubelet does before it kills the container."""
        found = self.container["startupProbe"]
        until = time.monotonic() + found["failureThreshold"] * found["periodSeconds"]
        while self.probe("startup") != 200:
            if self.process.poll() is not None or time.monotonic() > until:
                raise PodFailed(f"{self.role} has not started: {self.said()}")
            time.sleep(0.05)

    def remote_ports(self) -> set[int]:
        """The ports that its process is connected to."""
        opened = psutil.Process(self.process.pid).net_connections("tcp")
        return {one.raddr.port for one in opened if one.status == psutil.CONN_ESTABLISHED}

    def terminate(self) -> None:
        """Send SIGTERM, as a deletion does."""
        self.process.send_signal(signal.SIGTERM)

    def wait_until_stopped(self) -> float:
        """Wait for its end within the grace period; return how long that took."""
        started = time.monotonic()
        try:
            code = self.process.wait(self.grace_s)
        except subprocess.TimeoutExpired:
            raise PodFailed(f"{self.role} was killed after {self.grace_s:g} s") from None
        if code != 0:
            raise PodFailed(f"{self.role} ended with {code}: {self.said()}")
        return time.monotonic() - started

    def said(self) -> str:
        """The end of its output."""
        self.output.seek(0)
        return self.output.read()[-4_000:].decode(errors="replace")

    def kill(self) -> None:
        """End it by force, if it runs."""
        self.process.kill()
        self.process.wait()
        self.output.close()


def started(role: str, pod: Document, secrets: Secrets, folder: Path, **changed: str) -> LocalPod:
    """Start a pod; `changed` are variables that only a cluster could have as they are."""
    container = container_of(pod)
    variables = {one["name"]: _value(one, secrets) for one in container["env"]}
    ports = {int(variables[name]): free_port() for name in _PORTS if name in variables}
    mapped = {name: str(ports[int(variables[name])]) for name in _PORTS if name in variables}
    # Nothing of this process's own environment; the image's PATH finds the same programs.
    path = f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin"
    output = (folder / f"{role}-{len(list(folder.iterdir()))}.log").open("w+b")
    process = subprocess.Popen(
        dying_with_us([*container["command"], *container.get("args", [])]),
        env={"PATH": path, "HOME": str(folder)} | variables | mapped | changed,
        stdout=output,
        stderr=subprocess.STDOUT,
    )
    grace_s = pod["spec"]["terminationGracePeriodSeconds"]
    return LocalPod(role, container, grace_s, ports, process, output)


def _value(variable: Document, secrets: Secrets) -> str:
    if "value" in variable:
        return str(variable["value"])
    reference = variable["valueFrom"]["secretKeyRef"]
    # As in a cluster: without it the container is not created.
    return secrets[reference["name"], reference["key"]]


def status(url: str, timeout_s: float = 5) -> int:
    """Return the status of a GET; 0 without an answer."""
    try:
        with urllib.request.urlopen(url, timeout=timeout_s) as answer:  # noqa: S310 - our own address
            return int(answer.status)
    except urllib.error.HTTPError as refusal:
        return refusal.code
    except OSError:
        return 0


def wait_until(is_so: Callable[[], bool], within_s: float, sentence: str) -> None:
    """Wait for a condition; raise with the sentence after `within_s`."""
    until = time.monotonic() + within_s
    while not is_so():
        if time.monotonic() > until:
            raise PodFailed(sentence)
        time.sleep(0.02)
