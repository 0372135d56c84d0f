"""Validates the addresses of servers; its errors show no password.

The drivers report an unknown part late, as an error of the first connection, or never: redis-py passes
it to a constructor, and takes a database that is not a number for number 0.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

POSTGRES_FORM = "postgresql://[user[:password]@]host[:port][,host[:port]…][/database][?parameter=…]"
VALKEY_FORM = (
    "redis://[[user]:password@]host[:port][/number], rediss://… for TLS, unix://[:password@]/path, "
    "redis+sentinel://[[user]:password@]host[:port][,host[:port]…]/master[/number], or "
    "redis+cluster://[[user]:password@]host[:port][,host[:port]…]"
)

SMTP_FORM = "smtp://[user:password@]host[:port], or smtps://… for TLS from the first byte"

_SSLMODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
_SESSIONS = ("any", "primary", "standby", "read-write", "read-only", "prefer-standby")
# The driver's parameters and their values; None for any text.
_POSTGRES_PARAMETERS: Mapping[str, tuple[str, ...] | None] = {
    **dict.fromkeys(("host", "port", "dbname", "database", "user", "password", "passfile")),
    **dict.fromkeys(("service", "krbsrvname", "gsslib", "sslnegotiation", "sslpassword")),
    **dict.fromkeys(("sslcert", "sslkey", "sslrootcert", "sslcrl")),
    **dict.fromkeys(("ssl_min_protocol_version", "ssl_max_protocol_version")),
    "sslmode": _SSLMODES,
    "target_session_attrs": _SESSIONS,
    # The driver passes the rest to the server as session settings.
    **dict.fromkeys(("application_name", "options", "search_path", "client_encoding", "role")),
}
_VALKEY_PARAMETERS: Mapping[str, tuple[str, ...] | None] = {
    **dict.fromkeys(("db", "username", "password", "client_name")),
    "socket_keepalive": ("true", "false"),
}
_VALKEY_TLS_PARAMETERS: Mapping[str, tuple[str, ...] | None] = {
    **dict.fromkeys(("ssl_ca_certs", "ssl_ca_path", "ssl_certfile", "ssl_keyfile", "ssl_password")),
    "ssl_cert_reqs": ("none", "optional", "required"),
    "ssl_check_hostname": ("true", "false"),
}
_VALKEY_SENTINEL_PARAMETERS: Mapping[str, tuple[str, ...] | None] = {
    **dict.fromkeys(("sentinel_username", "sentinel_password")),
}
_VALKEY_SCHEMES = (
    *("redis", "rediss", "unix"),
    *("redis+sentinel", "rediss+sentinel", "redis+cluster", "rediss+cluster"),
)
_SECRET = re.compile(r"(password=)[^&#]*", re.IGNORECASE)
_LOGIN = re.compile(r"(//[^:/@]*:).*@", re.DOTALL)
# Without its @, a password stands in the place of a port.
_NO_PORT = re.compile(r"((?://|,)(?:\[[^\]]*\]|[^:/@,\[]*):)(?!\d{1,5}(?:[/,?#]|$))[^/,?#@]*")
_PORT_MAX = 65_535
_DATABASE_MAX = 999_999


def shown(url: str) -> str:
    """Return an address, valid or not, without its secrets."""
    url = _SECRET.sub(r"\1***", _LOGIN.sub(r"\1***@", url))
    return url if "***@" in url else _NO_PORT.sub(r"\1***", url)


def postgres_fault(url: str) -> str | None:
    """Return the fault of an address of PostgreSQL, or None."""
    return _fault(url, _postgres_faults, ("postgresql", "postgres"))


def valkey_fault(url: str) -> str | None:
    """Return the fault of an address of Valkey, or None."""
    return _fault(url, _valkey_faults, _VALKEY_SCHEMES)


def smtp_fault(url: str) -> str | None:
    """Return the fault of an address of an SMTP server, or None."""
    return _fault(url, _smtp_faults, ("smtp", "smtps"))


def _fault(
    url: str, faults: Callable[[SplitResult], Iterator[str]], schemes: tuple[str, ...]
) -> str | None:
    if any(not one.isprintable() or one.isspace() for one in url):
        return "it has a blank or a character that does not print"
    try:
        parts = urlsplit(url)
    except ValueError:
        return "the square brackets of its host do not match"
    if parts.scheme not in schemes or not url.startswith(f"{parts.scheme}://"):
        begins = " or ".join(f"{scheme}://" for scheme in schemes)
        return f"it must begin with {begins}"
    if parts.fragment or url.endswith("#"):
        return "a # in a user or password is written as %23"
    return next(faults(parts), None)


def _postgres_faults(parts: SplitResult) -> Iterator[str]:
    login, at, hosts = parts.netloc.rpartition("@")
    if at and "@" in login:
        yield "an @ in a user or password is written as %40"
    for one in hosts.split(",") if hosts else ():
        yield from _host_faults(one)
    if "/" in parts.path.removeprefix("/"):
        yield "its database has a / in its name: written as %2F, or there is a part too many"
    yield from _parameter_faults(parts.query, _POSTGRES_PARAMETERS)
    given = dict(parse_qsl(parts.query))
    for port in given["port"].split(",") if "port" in given else ():
        yield from _port_faults(port)


def _valkey_faults(parts: SplitResult) -> Iterator[str]:
    login, at, hosts = parts.netloc.rpartition("@")
    if at and "@" in login:
        yield "an @ in a user or password is written as %40"
    base, _, mode = parts.scheme.partition("+")
    path = unquote(parts.path).removeprefix("/")
    if base == "unix":
        if hosts or not parts.path.strip("/"):
            yield "unix:// wants the path of a socket, which begins with a third /"
    elif not hosts:
        yield "it names no host"
    elif mode:
        for one in hosts.split(","):
            yield from _host_faults(one)
        yield from _sentinel_faults(path) if mode == "sentinel" else _cluster_faults(path)
    elif "," in hosts:
        yield "several hosts are of a redis+sentinel:// or redis+cluster:// address"
    else:
        yield from _host_faults(hosts)
        yield from _database_faults(path)
    yield from _valkey_parameter_faults(parts, base, mode)


def _valkey_parameter_faults(parts: SplitResult, base: str, mode: str) -> Iterator[str]:
    known = {**_VALKEY_PARAMETERS, **(_VALKEY_TLS_PARAMETERS if base == "rediss" else {})}
    if mode == "sentinel":
        known |= _VALKEY_SENTINEL_PARAMETERS
    if base == "redis" and re.search(r"(^|&)ssl(_|=|&|$)", parts.query):
        yield "TLS is asked for by its beginning, rediss://, and not by a parameter"
    yield from _parameter_faults(parts.query, known)
    number = dict(parse_qsl(parts.query)).get("db", "")
    yield from _database_faults(number)
    if mode == "cluster" and number not in ("", "0"):
        yield "a Cluster has one database, number 0"


def _sentinel_faults(path: str) -> Iterator[str]:
    master, _, number = path.partition("/")
    if not master:
        yield "it names no master, as in /mymaster"
    elif not re.fullmatch(r"[\w.-]+", master):
        yield "the name of its master has a character that Sentinel does not take"
    yield from _database_faults(number)


def _cluster_faults(path: str) -> Iterator[str]:
    if path not in ("", "0"):
        yield "a Cluster has one database, number 0"


def _smtp_faults(parts: SplitResult) -> Iterator[str]:
    login, at, host = parts.netloc.rpartition("@")
    if at and "@" in login:
        yield "an @ in a user or password is written as %40"
    if at and not all(login.partition(":")):
        yield "a user and a password come together"
    if not host or "," in host:
        yield "it names one host"
    else:
        yield from _host_faults(host)
    if parts.path.strip("/") or parts.query:
        yield "nothing follows its host and port"


def _host_faults(text: str) -> Iterator[str]:
    """Yield the faults of `host`, `host:port` or `[address]:port`."""
    matched = re.fullmatch(r"(\[[0-9a-fA-F:.%]+\]|[^\[\]:]*)(?::(.*))?", text)
    if matched is None or ":" in (matched[2] or ""):
        yield "an IPv6 address stands in square brackets, the port behind them"
        return
    if not matched[1]:
        yield "a host is missing before a comma, a port or the database"
    elif not re.fullmatch(r"\[.*\]|[\w.%-]+", unquote(matched[1])) and "/" not in unquote(
        matched[1]
    ):
        yield "its host has a character that no host has"
    if matched[2] is not None:
        yield from _port_faults(matched[2])


def _port_faults(text: str) -> Iterator[str]:
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= _PORT_MAX):
        yield f"its port is not a number from 1 to {_PORT_MAX}"


def _database_faults(text: str) -> Iterator[str]:
    if text and not (text.isascii() and text.isdigit() and int(text) <= _DATABASE_MAX):
        yield "its database is not a number, as in /0"


def _parameter_faults(query: str, known: Mapping[str, tuple[str, ...] | None]) -> Iterator[str]:
    try:
        given = parse_qsl(query, keep_blank_values=True, strict_parsing=bool(query))
    except ValueError:
        yield "behind its ? stand parameters as name=value, with & between them"
        return
    for name, text in given:
        allowed = known.get(name, ())
        if name not in known:
            yield f"it has a parameter {name!r}, and the known ones are {', '.join(sorted(known))}"
        elif not text:
            yield f"its parameter {name} is empty"
        elif allowed and text not in allowed:
            yield f"its parameter {name} is none of {', '.join(allowed)}"
