"""Our own questions to an installation, outside any measurement."""

import contextlib
import re
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Any
from urllib.parse import urlsplit

import msgspec

from boxoffice_loadtest.errors import TargetUnfit

_HTTP_TIMEOUT_S = 20.0


@dataclass
class Reply:
    """An answer to one of our own questions, outside any measurement."""

    status: int
    body: Any
    date: str = ""


def ask(base_url: str, method: str, path: str, *, token: str = "", **more: Any) -> Reply:
    """Ask once; `key` and `body` may be given. Raises `TargetUnfit` where nobody answers."""
    parts = urlsplit(base_url)
    kind = HTTPSConnection if parts.scheme == "https" else HTTPConnection
    connection = kind(parts.hostname or "", parts.port, timeout=_HTTP_TIMEOUT_S)
    headers = {"Accept": "application/json"}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    if "key" in more:
        headers["Idempotency-Key"] = more["key"]
    body = msgspec.json.encode(more["body"]) if "body" in more else None
    if body is not None:
        headers["Content-Type"] = "application/json"
    try:
        connection.request(method, parts.path.rstrip("/") + path, body=body, headers=headers)
        answer = connection.getresponse()
        raw, date = answer.read(), answer.getheader("Date", "")
    except (OSError, HTTPException) as error:
        raise TargetUnfit(f"{base_url} does not answer: {error}") from error
    finally:
        connection.close()
    with contextlib.suppress(msgspec.DecodeError):
        return Reply(answer.status, msgspec.json.decode(raw) if raw else None, date)
    return Reply(answer.status, raw.decode(errors="replace"), date)


def clock(base_url: str) -> datetime:
    """Return the time by the installation's clock, in whole seconds."""
    return parsedate_to_datetime(ask(base_url, "GET", "/healthz").date)


def check_url(url: str) -> str:
    """Return the address without a closing slash; raise `TargetUnfit` where it is none."""
    try:
        parts = urlsplit(url)
        is_address = parts.scheme in ("http", "https") and bool(parts.hostname)
        _ = parts.port
    except ValueError:
        is_address = False
    if not is_address:
        raise TargetUnfit(f"{url!r} is not an address like http://127.0.0.1:8000")
    return url.rstrip("/")


def code_of(reply: Reply) -> str:
    """Return the problem's code, else the status."""
    if isinstance(reply.body, dict):
        return str(reply.body.get("code", reply.status))
    return str(reply.status)


_METRIC = re.compile(r"boxoffice_batch_(commands|seconds)_(sum|count)\{kind=\"(\w+)\"\} (\S+)$")


def batches(base_url: str) -> dict[str, float]:
    """Return the counters of the group commit, by `commands_sum.hold` and the like."""
    try:
        told = ask(base_url, "GET", "/metrics")
    except TargetUnfit:
        return {}
    found: dict[str, float] = {}
    for line in str(told.body).splitlines() if told.status == 200 else ():
        match = _METRIC.match(line)
        if match:
            name = f"{match[1]}_{match[2]}.{match[3]}"
            found[name] = found.get(name, 0.0) + float(match[4])
    return found
