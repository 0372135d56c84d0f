"""The durable book of a simulator: objects, movements of money, stored answers and notices.

One process writes it, from one thread; a change is committed before its answer is sent. The book
survives SIGKILL of the process, because what SQLite has committed is in the kernel. It does not survive
a power cut: a flush for each call limited a simulator to some dozens of payments a second.
"""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from boxoffice.platform.postgres import sql_files

_QUERIES = sql_files.load("boxoffice_simulators", "book.sql")
_CLOCK = "clock_offset_s"
_LAG = "statement_lag_s"


class BookMovement(msgspec.Struct, frozen=True):
    """Money that moved; `key` is what the port of the product calls it."""

    key: str
    kind: str
    order_id: str
    payment_key: str
    amount_minor: int
    currency: str
    transaction_key: str
    happened_at: float
    visible_at: float


class StoredAnswer(msgspec.Struct, frozen=True):
    """The first answer under an idempotency key, and the request that it answered."""

    request: str
    status: int
    body: str
    answered_at: float


class DueNotice(msgspec.Struct, frozen=True):
    """A notice that waits to be sent."""

    number: int
    id: str
    body: str
    tries: int


class SimulatorBook:
    """The book in a file; its clock may run ahead of the machine's."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._db = sqlite3.connect(path, isolation_level=None)
        self._db.row_factory = sqlite3.Row
        self._db.execute("PRAGMA journal_mode = WAL")
        # NORMAL with a WAL: commits reach the kernel; only checkpoints wait for the disk.
        self._db.execute("PRAGMA synchronous = NORMAL")
        self._db.executescript(_QUERIES["schema"])
        self._offset_s = float(self._value(_CLOCK, "0"))
        self._lag_s = float(self._value(_LAG, "0"))

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def now(self) -> float:
        """Return the simulated time in seconds since the Unix epoch."""
        return time.time() + self._offset_s

    @property
    def statement_lag_s(self) -> float:
        """How long a movement is missing in the statement."""
        return self._lag_s

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self._offset_s += seconds
        self._set_value(_CLOCK, repr(self._offset_s))

    def set_statement_lag(self, seconds: float) -> None:
        """Let later movements stand in the statement after so long."""
        self._lag_s = seconds
        self._set_value(_LAG, repr(seconds))

    def clear(self) -> None:
        """Forget everything, the clock's offset included."""
        with self.transaction():
            for statement in _QUERIES["clear"].split(";"):
                self._db.execute(statement)
        self._offset_s = self._lag_s = 0.0

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Commit what is done inside as one, or nothing of it."""
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    def get(self, kind: str, own_id: str) -> dict[str, Any] | None:
        """Return an object."""
        row = self._one("get_object", kind=kind, id=own_id)
        return None if row is None else msgspec.json.decode(row["body"])

    def put(self, kind: str, one: dict[str, Any], *, own_id: str, parent: str = "") -> None:
        """Keep an object; `parent` groups them."""
        body = msgspec.json.encode(one).decode()
        self._run("put_object", kind=kind, id=own_id, parent=parent, body=body)

    def objects(self, kind: str, parent: str = "") -> list[dict[str, Any]]:
        """Return the objects of a kind, oldest first."""
        rows = self._run("list_objects", kind=kind, parent=parent)
        return [msgspec.json.decode(row["body"]) for row in rows]

    def move(self, one: dict[str, Any], transaction_key: str = "") -> None:
        """Move money: key, kind, order_id, payment_key, amount_minor and currency."""
        at = self.now()
        own = transaction_key or one["key"]
        self._run(
            "add_movement", **one, transaction_key=own, happened_at=at, visible_at=at + self._lag_s
        )

    def unmove(self, key: str) -> None:
        """Take back a movement that was a mistake of the provider."""
        self._run("remove_movement", key=key)

    def movements(self) -> list[BookMovement]:
        """Return every movement, oldest first."""
        rows = [dict(row) for row in self._run("list_movements")]
        return [msgspec.convert(row, BookMovement) for row in rows]

    def answer(self, key: str) -> StoredAnswer | None:
        """Return the stored answer of an idempotency key."""
        row = self._one("get_answer", key=key)
        return None if row is None else msgspec.convert(dict(row), StoredAnswer)

    def store_answer(self, key: str, request: str, status: int, body: str) -> None:
        """Store the first answer of an idempotency key."""
        values = {"key": key, "request": request, "status": status, "body": body}
        self._run("put_answer", **values, answered_at=self.now())

    def add_notice(self, own_id: str, body: str, delay_s: float = 0.0) -> None:
        """Queue a notice; its time is the machine's."""
        self._run("add_notice", id=own_id, body=body, due_at=time.time() + delay_s)

    def due_notices(self, before: float) -> list[DueNotice]:
        """Return the notices that are due."""
        rows = [dict(row) for row in self._run("due_notices", now=before)]
        return [msgspec.convert(row, DueNotice) for row in rows]

    def settle_notice(self, one: DueNotice, status: str, due_at: float) -> None:
        """Note what became of an attempt to send a notice."""
        self._run(
            "settle_notice", number=one.number, status=status, due_at=due_at, tries=one.tries + 1
        )

    def notices(self) -> list[dict[str, Any]]:
        """Return every notice, sent or not."""
        return [dict(row) for row in self._run("list_notices")]

    def _value(self, name: str, default: str) -> str:
        row = self._one("get_value", name=name)
        return default if row is None else str(row["value"])

    def _set_value(self, name: str, value: str) -> None:
        self._run("set_value", name=name, value=value)

    def _one(self, statement: str, **values: object) -> sqlite3.Row | None:
        rows = self._run(statement, **values)
        return rows[0] if rows else None

    def _run(self, statement: str, **values: object) -> list[sqlite3.Row]:
        return self._db.execute(_QUERIES[statement], values).fetchall()
