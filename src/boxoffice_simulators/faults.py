"""What goes wrong with a call, as the control port has asked for. Seeded, and the same for an order."""

import asyncio
import random
from collections import Counter
from contextlib import suppress
from typing import Literal

import msgspec

FaultKind = Literal[
    "delay_before",
    "delay_after",
    "drop_before",
    "drop_after",
    "error_before",
    "error_after",
    "too_many",
    "decline",
    "pending",
    "malformed",
    "huge",
    "cut",
    "redirect",
    "wrong_currency",
    "wrong_amount",
    "notice_first",
]


class FaultRule(msgspec.Struct, forbid_unknown_fields=True):
    """A fault of the next `times` calls (0: of all) of an operation, or of an order's."""

    fault: FaultKind
    operation: str = "*"
    order_id: str = ""
    times: int = 1
    seconds: float = 0.0
    status: int = 500
    code: str = ""


class FaultMix(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Shares of payments that are declined, whose answer is lost, whose notices come twice."""

    seed: int = 0
    declined: float = 0.0
    lost: float = 0.0
    duplicates: float = 0.0
    decline_code: str = ""


class CallPlan:
    """The faults of one call by their kind; `cleared` ends its delays, also those to come."""

    def __init__(self, rules: list[FaultRule], cleared: asyncio.Event) -> None:
        self._rules = {rule.fault: rule for rule in rules}
        self._cleared = cleared

    def has(self, kind: FaultKind) -> bool:
        """Say whether the call has this fault."""
        return kind in self._rules

    def of(self, kind: FaultKind) -> FaultRule | None:
        """Return the fault of this kind."""
        return self._rules.get(kind)

    async def delay(self, kind: FaultKind) -> None:
        """Return after the seconds of this fault, or as soon as the faults are cleared."""
        rule = self._rules.get(kind)
        with suppress(TimeoutError):
            async with asyncio.timeout(0.0 if rule is None else rule.seconds):
                await self._cleared.wait()


class FaultBoard:
    """The faults that are set; `declines` and `confirms` name the provider's operations."""

    def __init__(self, declines: str, confirms: str) -> None:
        self._declines = declines
        self._confirms = confirms
        self._cleared = asyncio.Event()
        self.clear()

    def clear(self) -> None:
        """Let everything go well again."""
        self.replace([])
        self.mix = FaultMix()
        self._calls: Counter[tuple[str, str]] = Counter()
        # What the mix has drawn: declined, lost and duplicates.
        self.drawn: Counter[str] = Counter()

    def replace(self, rules: list[FaultRule]) -> None:
        """Set the faults in place of those before; without any, delays end, too."""
        self.rules = rules
        if not rules:
            self._cleared.set()
            self._cleared = asyncio.Event()

    def plan(self, operation: str, order_id: str) -> CallPlan:
        """Return the faults of a call, and use up their turns."""
        found = [rule for rule in self.rules if _applies(rule, operation, order_id)]
        for rule in found:
            rule.times -= 1
        # A rule of all calls began at 0 and counts below it.
        spent = [rule for rule in found if rule.times == 0]
        self.rules = [rule for rule in self.rules if rule not in spent]
        return CallPlan(found + self._drawn(operation, order_id), self._cleared)

    def copies(self, order_id: str) -> int:
        """Return how often each notice about an order is sent."""
        draw = random.Random(f"{self.mix.seed}:notice:{order_id}")  # noqa: S311 — repeatable faults
        is_twice = draw.random() < self.mix.duplicates
        self.drawn["duplicates"] += is_twice
        return 2 if is_twice else 1

    def _drawn(self, operation: str, order_id: str) -> list[FaultRule]:
        if operation not in (self._declines, self._confirms):
            return []
        self._calls[operation, order_id] += 1
        seed = f"{self.mix.seed}:{operation}:{order_id}:{self._calls[operation, order_id]}"
        draw = random.Random(seed)  # noqa: S311 — repeatable faults
        if operation == self._declines and draw.random() < self.mix.declined:
            self.drawn["declined"] += 1
            return [FaultRule("decline", code=self.mix.decline_code)]
        if operation == self._confirms and draw.random() < self.mix.lost:
            self.drawn["lost"] += 1
            return [FaultRule("drop_after")]
        return []


def _applies(rule: FaultRule, operation: str, order_id: str) -> bool:
    return rule.operation in ("*", operation) and rule.order_id in ("", order_id)
