"""What a page knows of a schedule's seats: it applies events and checks that none is missing."""

from dataclasses import dataclass
from typing import Any, Self

_STATES = {"AVAILABLE": 0, "HELD": 1, "SOLD": 2, "BLOCKED": 3}
_LETTERS = {"A": 0, "H": 1, "S": 2, "B": 3}


class Missed(AssertionError):
    """An event was missed, or came twice."""


@dataclass
class Watcher:
    """The seats as its events tell: a byte per seat; `state` is the id to come back with."""

    state: str = ""
    states: bytes = b""
    version: int = -1
    seq: int = -1
    seats_available: int = -1
    on_sale: bool = False
    sold_out: bool | None = None

    def reconnected(self) -> Self:
        """The same page on another connection: the first event sets the number."""
        return type(self)(self.state, self.states, self.version)

    def hear(self, name: str, data: Any, state: str) -> None:
        """Apply an event; raise `Missed` where it does not follow the last one."""
        if name == "alive":
            return
        if self.seq >= 0 and data["seq"] != self.seq + 1:
            raise Missed(f"{data['seq']} came after {self.seq}")
        if data["version"] < self.version:
            raise Missed(f"version {data['version']} came after {self.version}")
        self.seq, self.version = data["seq"], data["version"]
        self.seats_available, self.on_sale = data["seats_available"], data["on_sale"]
        self.state = state or self.state
        if name == "snapshot":
            self.states = bytes(_LETTERS[one] for one in data["states"])
        elif name == "changes":
            seats = bytearray(self.states)
            for status, places in data["seats"].items():
                for at in places:
                    seats[at] = _STATES[status]
            self.states = bytes(seats)
        else:
            self.sold_out = data["sold_out"]
