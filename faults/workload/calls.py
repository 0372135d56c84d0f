"""Calls of buyers, and their responses. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import aiohttp
import msgspec

from faults.checks.record import CallEnding, Unsettled


@dataclass(frozen=True)
class ClientAnswer:
    """The final response to a call."""

    status: int
    body: Any
    begin_s: float
    end_s: float

    @property
    def code(self) -> str:
        """The problem code, empty for a success."""
        return str(self.body.get("code", "")) if isinstance(self.body, dict) else ""


@dataclass(frozen=True)
class ApiCall:
    """One call of one buyer, repeated unchanged until it is answered."""

    what: str
    method: str
    path: str
    person: int
    key: str = ""
    body: Any = None
    seats: tuple[str, ...] = ()
    reservation_id: str = ""
    # Offset of the process that is tried first.
    turn: int = 0

    @property
    def mark(self) -> str:
        """What identifies the call: its key, or what it is about."""
        return self.key or f"{self.what} {self.reservation_id}"

    def unsettled(self, begin_s: float) -> Unsettled:
        """Return the record of its open outcome."""
        return Unsettled(self.what, self.key, self.person, self.seats, self.reservation_id, begin_s)


def ending_of(error: Exception) -> CallEnding:
    """Return how an attempt without a response ended."""
    if isinstance(error, aiohttp.ClientConnectorError):
        return CallEnding.UNREACHED
    return CallEnding.SILENT if isinstance(error, TimeoutError) else CallEnding.CUT


def decode(raw: bytes, headers: Mapping[str, str]) -> Any:
    """Return a JSON body decoded, None for any other."""
    is_json = "json" in headers.get("Content-Type", "")
    return msgspec.json.decode(raw) if raw and is_json else None
