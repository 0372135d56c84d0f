"""What a batch consists of: commands, their outcomes, and the handler that decides them."""

import math
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeAlias, TypeVar

import msgspec

from boxoffice.errors import Overloaded

K_contra = TypeVar("K_contra", bound=Hashable, contravariant=True)
C = TypeVar("C", bound="Command")
O_contra = TypeVar("O_contra", contravariant=True)
O = TypeVar("O")  # noqa: E741 — the outcome's type; the letter never stands for a number


class Command(Protocol):
    """One request to write.

    Commands with one `identity` are one request sent twice: with equal `fingerprint`s they share an
    outcome, otherwise the later one is refused. None stands for a request that is never repeated.
    """

    @property
    def identity(self) -> Hashable | None: ...

    @property
    def fingerprint(self) -> bytes: ...


@dataclass(frozen=True, slots=True)
class Retry:
    """Instead of an outcome: blocked by a concurrent transaction, to be decided again.

    `refusal` makes the error of a command that stays blocked for too long.
    """

    reason: str
    refusal: Callable[[], Exception] = Overloaded


Outcome: TypeAlias = O | Retry


class Pending(msgspec.Struct, Generic[C, O], eq=False):
    """A command without an outcome; `arrival` is its place in the order of arrival."""

    command: C
    arrival: int
    identity: Hashable | None = None
    waiting_since: float = 0.0
    attempts: int = 0
    give_up_at: float = math.inf
    # Whether an interrupted transaction may have done it.
    in_doubt: bool = False
    # Of a command that a peer handed over: the number under which the peer may forbid its decision.
    number: int | None = None
    # Makes the error of a command that is not decided in time.
    timeout_error: Callable[[], Exception] = Overloaded
    # One future per caller, so that cancelling one caller leaves the others alone.
    waiters: list["Waiter[O]"] = msgspec.field(default_factory=list)
    resolved: bool = False


class Waiter(Protocol[O_contra]):
    """Gets the outcome of a command: the future of a caller, or a peer that handed it over."""

    def done(self) -> bool: ...

    def set_result(self, result: O_contra, /) -> None: ...

    def set_exception(self, exception: Exception, /) -> None: ...


def numbers_of(batch: Sequence[Pending[Any, Any]]) -> list[int]:
    """Return the numbers under which peers may forbid the decision of this batch."""
    return list({pending.number for pending in batch if pending.number is not None})


class BatchHandler(Protocol[K_contra, C, O]):
    """Decides commands of one kind. Both calls must end within a deadline of their own."""

    @property
    def kind(self) -> str:
        """A short name for metrics; handlers of one kind share lanes."""

    async def handle(
        self, lane_key: K_contra, batch: Sequence[Pending[C, O]]
    ) -> Sequence[Outcome[O]]:
        """Decide all commands in one transaction and return their outcomes in the same order."""

    async def look_up(self, lane_key: K_contra, commands: Sequence[C]) -> Sequence[O | None]:
        """Return what an interrupted transaction did for each command, None where it did nothing."""


class HandOver(Protocol):
    """Gives commands to the process that collects for their schedule."""

    def take(self, handler: BatchHandler[Any, C, O], key: Hashable, pending: Pending[C, O]) -> bool:
        """Return whether another process decides the command; otherwise it is decided here."""


@dataclass(frozen=True)
class GroupCommitLimits:
    """The limits of one worker's group commit.

    A lane has two batches at the database at once when `concurrent_min` commands wait, or when the
    earlier batch has been there for `concurrent_after_s`.
    `queue_max` counts every command without an outcome, repetitions that wait for one included. A
    command whose estimated wait exceeds `wait_max_s` is refused with a `Retry-After` of at most
    `retry_after_max_s`; during a lasting overload, `retry_after_share_min` (0 to 1) of the throughput
    is reserved for retries. `retry_for_s` runs from a command's first failed try.
    `unknown_outcome_timeout_s` bounds the look-up of a lost answer, and `isolation_timeout_s` the time
    in which the commands of a failed batch are tried alone.
    """

    batch_max: int = 64
    batches_in_flight: int = 2
    concurrent_min: int = 32
    concurrent_after_s: float = 0.005
    queue_max: int = 5_000
    wait_max_s: float = math.inf
    retry_after_max_s: float = 10.0
    retry_after_share_min: float = 0.1
    retry_for_s: float = 1.5
    unknown_outcome_timeout_s: float = 4.0
    isolation_timeout_s: float = 4.0
