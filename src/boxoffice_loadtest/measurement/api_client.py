"""The load test's own requests to the target, outside of any measurement."""

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
_METRIC = re.compile(r"boxoffice_batch_(commands|seconds)_(sum|count)\{kind=\"(\w+)\"\} (\S+)$")


@dataclass
class ApiResponse:
    """An answer; `body` is decoded JSON, or text."""

    status: int
    body: Any
    date: str = ""

    @property
    def code(self) -> str:
        """The problem code, else the status."""
        if isinstance(self.body, dict):
            return str(self.body.get("code", self.status))
        return str(self.status)


def request(base_url: str, method: str, path: str, *, token: str = "", **more: Any) -> ApiResponse:
    """Send one request, with `key` and `body` if given; raises `TargetUnfit` without an answer."""
    parts = urlsplit(base_url)
    connection_type = HTTPSConnection if parts.scheme == "https" else HTTPConnection
    connection = connection_type(parts.hostname or "", parts.port, timeout=_HTTP_TIMEOUT_S)
    body = msgspec.json.encode(more["body"]) if "body" in more else None
    headers = _headers(token, more.get("key"), has_body=body is not None)
    try:
        connection.request(method, parts.path.rstrip("/") + path, body=body, headers=headers)
        answer = connection.getresponse()
        raw, date = answer.read(), answer.getheader("Date", "")
    except (OSError, HTTPException) as error:
        raise TargetUnfit(f"{base_url} does not answer: {error}") from error
    finally:
        connection.close()
    with contextlib.suppress(msgspec.DecodeError):
        return ApiResponse(answer.status, msgspec.json.decode(raw) if raw else None, date)
    return ApiResponse(answer.status, raw.decode(errors="replace"), date)


def _headers(token: str, key: str | None, *, has_body: bool) -> dict[str, str]:
    headers = {"Accept": "application/json"}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    if key is not None:
        headers["Idempotency-Key"] = key
    if has_body:
        headers["Content-Type"] = "application/json"
    return headers


def server_time(base_url: str) -> datetime:
    """Return the time by the target's clock, in whole seconds."""
    return parsedate_to_datetime(request(base_url, "GET", "/healthz").date)


def parse_base_url(url: str) -> str:
    """Return the URL without a trailing slash; raise `TargetUnfit` if it is not an HTTP URL."""
    try:
        parts = urlsplit(url)
        is_http = parts.scheme in ("http", "https") and bool(parts.hostname)
        _ = parts.port
    except ValueError:
        is_http = False
    if not is_http:
        raise TargetUnfit(f"{url!r} is not an address like http://127.0.0.1:8000")
    return url.rstrip("/")


def batch_counters(base_url: str) -> dict[str, float]:
    """Return the counters of the group commit as `commands_sum.hold` and the like."""
    try:
        answer = request(base_url, "GET", "/metrics")
    except TargetUnfit:
        return {}
    counters: dict[str, float] = {}
    for line in str(answer.body).splitlines() if answer.status == 200 else ():
        match = _METRIC.match(line)
        if match:
            name = f"{match[1]}_{match[2]}.{match[3]}"
            counters[name] = counters.get(name, 0.0) + float(match[4])
    return counters
