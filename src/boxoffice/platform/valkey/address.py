"""Reads the address of Valkey: one server, Sentinels and a master's name, or nodes of a Cluster.

`server_addresses.valkey_fault` has accepted the address.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit

from redis.asyncio.connection import parse_url

from boxoffice.settings import ValkeySettings

SENTINEL_PORT = 26_379
SERVER_PORT = 6_379
_SENTINEL_OPTIONS = {"sentinel_username": "username", "sentinel_password": "password"}

# Arguments of a connection of redis-py.
Connection = Mapping[str, Any]
HostPort = tuple[str, int]


class ValkeyMode(StrEnum):
    """What stands behind an address."""

    SERVER = "server"
    SENTINEL = "sentinel"
    CLUSTER = "cluster"


@dataclass(frozen=True)
class ValkeyAddress:
    """`hosts` are Sentinels or first nodes of a Cluster; `master` is the name that Sentinels know.

    `server` and `sentinel` are arguments of a connection, without host and port except for one server.
    """

    mode: ValkeyMode
    server: Connection
    hosts: tuple[HostPort, ...] = ()
    master: str = ""
    sentinel: Connection | None = None


def parse(settings: ValkeySettings) -> ValkeyAddress:
    """Return what the settings name, with the files for TLS."""
    parts = urlsplit(settings.valkey_url)
    base, _, mode = parts.scheme.partition("+")
    tls = _tls(settings) if base == "rediss" else {}
    if not mode:
        return ValkeyAddress(ValkeyMode.SERVER, {**parse_url(settings.valkey_url), **tls})
    login, _, hosts = parts.netloc.rpartition("@")
    master, _, number = parts.path.removeprefix("/").partition("/")
    options = dict(parse_qsl(parts.query))
    own = {new: options.pop(old) for old, new in _SENTINEL_OPTIONS.items() if old in options}
    at = f"{login}@" if login else ""
    query = urlencode(options)
    # A Cluster has no number, and what stands in its path is 0.
    server = dict(parse_url(f"{base}://{at}host/{number}?{query}")) | tls
    del server["host"]
    is_sentinel = mode == ValkeyMode.SENTINEL
    port = SENTINEL_PORT if is_sentinel else SERVER_PORT
    return ValkeyAddress(
        ValkeyMode(mode),
        server,
        tuple(_host_port(one, port) for one in hosts.split(",")),
        unquote(master) if is_sentinel else "",
        _of_sentinel(server, own) if is_sentinel else None,
    )


def _host_port(text: str, default: int) -> HostPort:
    host, colon, port = text.rpartition(":")
    if not colon or text.endswith("]"):
        host, port = text, ""
    return unquote(host.strip("[]")), int(port or default)


def _of_sentinel(server: Connection, own: Mapping[str, str]) -> Connection:
    """Return the connection of a Sentinel: TLS as of the servers, a login of its own."""
    login = {"username", "password", "db"}
    return {name: value for name, value in server.items() if name not in login} | dict(own)


def _tls(settings: ValkeySettings) -> dict[str, str]:
    files = {
        "ssl_ca_certs": settings.valkey_tls_ca_file,
        "ssl_certfile": settings.valkey_tls_cert_file,
        "ssl_keyfile": settings.valkey_tls_key_file,
    }
    return {name: path for name, path in files.items() if path}
