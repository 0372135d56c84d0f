"""Runs the real proxies on free ports, with a certificate of their own."""

import os
import re
import signal
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from boxoffice.platform.processes.supervisor import wrapped_command
from boxoffice_embedded.servers.home import free_port
from drills.drill import program

DEPLOY = Path(__file__).parents[2] / "deploy"
_START_TIMEOUT_S = 10.0
_STOP_TIMEOUT_S = 10.0
_VARIABLE = re.compile(r"\$\{(\w+)\}")
# Values of the variables of the template, without those of a run.
_NGINX_DEFAULTS = {
    "EDGE_FOLDER": str(DEPLOY / "edge"),
    "EDGE_REAL_IP": "",
    "EDGE_HSTS": "max-age=31536000",
    "EDGE_TIMEOUT": "45s",
    "EDGE_SLOW": "8s",
    "EDGE_ADDRESS_CONNECTIONS": "1000",
    "EDGE_ADDRESS_REQUESTS": "300r/s",
    "EDGE_ADDRESS_BURST": "3000",
}


class EdgeFailed(Exception):
    """A proxy refused its configuration, did not start or did not stop."""


@dataclass(frozen=True)
class EdgeCertificate:
    """A certificate of 127.0.0.1 that signs itself: `pem` has its key, too."""

    pem: Path
    ca_file: Path

    def trusted(self) -> ssl.SSLContext:
        """Return a client's context that trusts it."""
        return ssl.create_default_context(cafile=str(self.ca_file))


@dataclass(frozen=True)
class EdgeProxy:
    """A running proxy, and what it has printed."""

    name: str
    process: subprocess.Popen[bytes]
    http_port: int
    https_port: int
    certificate: EdgeCertificate
    log: Path
    admin: Path

    @property
    def url(self) -> str:
        """Where clients reach it."""
        return f"https://127.0.0.1:{self.https_port}"

    def command(self, line: str) -> str:
        """Send HAProxy a command on its admin socket, and return the answer."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(str(self.admin))
            connection.sendall(line.encode() + b"\n")
            return b"".join(iter(lambda: connection.recv(65_536), b"")).decode()


def make_certificate(folder: Path) -> EdgeCertificate:
    """Make a certificate with openssl; raise `EdgeFailed` if it cannot."""
    key, ca_file, pem = (folder / name for name in ("edge.key", "edge.crt", "edge.pem"))
    options = (
        "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 30 -subj /CN=edge"
    )
    names = "subjectAltName=IP:127.0.0.1,DNS:localhost"
    # It is its own CA; Python 3.13 wants to know what the key is for.
    uses = "keyUsage=critical,digitalSignature,keyCertSign"
    written = ["-addext", names, "-addext", uses, "-keyout", str(key), "-out", str(ca_file)]
    _run([program("openssl") or "openssl", *options.split(), *written])
    pem.write_bytes(ca_file.read_bytes() + key.read_bytes())
    return EdgeCertificate(pem, ca_file)


def haproxy_variables(
    pods: Sequence[str], certificate: EdgeCertificate, folder: Path, **changed: str
) -> dict[str, str]:
    """Return the environment of HAProxy in front of `pods`, each host:port; empty ones are left out."""
    named = {f"EDGE_POD_{number}": pod for number, pod in enumerate(pods, start=1)}
    variables = named | {
        "EDGE_HTTP": f"127.0.0.1:{free_port(0)}",
        "EDGE_HTTPS": f"127.0.0.1:{free_port(0)}",
        "EDGE_CERTIFICATE": str(certificate.pem),
        "EDGE_FOLDER": str(DEPLOY / "edge"),
        "EDGE_ADMIN": str(folder / "haproxy.sock"),
        **changed,
    }
    return {name: value for name, value in variables.items() if value}


def haproxy_command(*options: str) -> list[str]:
    """Return the command that runs or checks HAProxy with our configuration."""
    return [
        program("haproxy") or "haproxy",
        *options,
        "-f",
        str(DEPLOY / "haproxy" / "haproxy.cfg"),
    ]


@contextmanager
def haproxy(
    pods: Sequence[str], certificate: EdgeCertificate, folder: Path, **changed: str
) -> Iterator[EdgeProxy]:
    """Run HAProxy until the block is left; without `EDGE_CERTIFICATE` it speaks plain HTTP."""
    env = haproxy_variables(pods, certificate, folder, **changed)
    ports = [int(env[name].rpartition(":")[2]) for name in ("EDGE_HTTP", "EDGE_HTTPS")]
    with _running("haproxy", haproxy_command(), env, ports, certificate, folder) as proxy:
        yield proxy


def nginx_files(
    pods: Sequence[str], certificate: EdgeCertificate, folder: Path, **changed: str
) -> tuple[list[str], list[int]]:
    """Write nginx's configuration; return the command that runs it, and its ports."""
    ports = [free_port(0), free_port(0)]
    values = {
        **_NGINX_DEFAULTS,
        "EDGE_PODS": "".join(f"server {pod} max_fails=1 fail_timeout=2s; " for pod in pods),
        "EDGE_HTTP": f"127.0.0.1:{ports[0]}",
        "EDGE_HTTPS": f"127.0.0.1:{ports[1]}",
        "EDGE_CERTIFICATE": str(certificate.pem),
        "EDGE_CACHE": str(folder / "cache"),
        **changed,
    }
    template = (DEPLOY / "nginx" / "boxoffice.conf.template").read_text(encoding="utf-8")
    # Only root may write nginx's own log.
    template = template.replace("/var/log/nginx/access.log", "/dev/stdout")
    (folder / "boxoffice.conf").write_text(filled_in(template, values), encoding="utf-8")
    main = (DEPLOY / "nginx" / "nginx.conf").read_text(encoding="utf-8")
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    temporary = "".join(f"    {kind}_temp_path {folder}/{kind};\n" for kind in kinds)
    # Main files of Debian and of nginx's image have a log, with queries; it must stay empty.
    logged = f"    access_log {folder}/main.log;\n"
    main = main.replace("http {\n", "http {\n" + temporary + logged)
    (folder / "nginx.conf").write_text(main, encoding="utf-8")
    # Its workers would be another user, who cannot enter this folder.
    user = "user root; " if os.geteuid() == 0 else ""
    directives = f"{user}daemon off; pid {folder}/nginx.pid;"
    configuration = str(folder / "nginx.conf")
    command = [program("nginx") or "nginx", "-p", str(folder), "-e", "stderr"]
    return [*command, "-c", configuration, "-g", directives], ports


@contextmanager
def nginx(
    pods: Sequence[str], certificate: EdgeCertificate, folder: Path, **changed: str
) -> Iterator[EdgeProxy]:
    """Run nginx until the block is left; `changed` are variables of its template."""
    command, ports = nginx_files(pods, certificate, folder, **changed)
    with _running("nginx", command, {}, ports, certificate, folder) as proxy:
        yield proxy


def filled_in(template: str, values: Mapping[str, str]) -> str:
    """Replace the variables that have a value, as envsubst does in nginx's image."""
    return _VARIABLE.sub(lambda found: values.get(found[1], found[0]), template)


@contextmanager
def _running(
    name: str,
    command: Sequence[str],
    env: Mapping[str, str],
    ports: Sequence[int],
    certificate: EdgeCertificate,
    folder: Path,
) -> Iterator[EdgeProxy]:
    log = folder / f"{name}.log"
    # It has to end with this process, however that ends.
    argv = wrapped_command(
        command, identity="same", death_signal=signal.SIGKILL, directory=Path.cwd()
    )
    with log.open("wb") as out:
        process = subprocess.Popen(
            argv, env={**os.environ, **env}, stdout=out, stderr=subprocess.STDOUT
        )
    proxy = EdgeProxy(name, process, ports[0], ports[1], certificate, log, folder / "haproxy.sock")
    try:
        _wait_until_open(proxy)
        yield proxy
    finally:
        process.terminate()
        try:
            process.wait(_STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_until_open(proxy: EdgeProxy) -> None:
    until = time.monotonic() + _START_TIMEOUT_S
    while time.monotonic() < until and proxy.process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", proxy.http_port), timeout=1).close()
        except OSError:
            time.sleep(0.02)
        else:
            return
    raise EdgeFailed(f"{proxy.name} did not start: {proxy.log.read_text(errors='replace')}")


def _run(command: Sequence[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise EdgeFailed(f"{command[0]}: {done.stderr}")
