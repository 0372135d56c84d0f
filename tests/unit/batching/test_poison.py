"""A command that the database refuses fails alone."""

import asyncpg
import pytest

from boxoffice.batching import Retry
from boxoffice.errors import IntegrityError
from tests.unit.batching.scripted import Call, Harness, results

POISON = asyncpg.UniqueViolationError("poison")


def answer(call: Call, poison: str) -> None:
    """Accept the batch, unless one of its commands is poison."""
    if set(call.names) & set(poison):
        call.fail(POISON)
    else:
        call.accept()


async def test_the_batch_is_halved_until_the_culprit_stands_alone() -> None:
    harness = Harness()
    tasks = harness.ask("a b c d e f g h")
    asked = []
    for _ in range(7):
        call = await harness.handler.next()
        asked.append("".join(call.names))
        answer(call, "f")
    assert asked == ["abcdefgh", "abcd", "efgh", "ef", "e", "f", "gh"]
    outcomes = await results(tasks)
    assert repr(outcomes.pop(5)) == repr(POISON)
    assert outcomes == [f"did {name}" for name in "abcdegh"]


async def test_several_culprits_are_found() -> None:
    harness = Harness()
    tasks = harness.ask("a b c d")
    for _ in range(7):
        answer(await harness.handler.next(), "ad")
    first, *fine, last = await results(tasks)
    assert repr(first) == repr(last) == repr(POISON)
    assert fine == ["did b", "did c"]


async def test_a_half_can_be_retried() -> None:
    harness = Harness()
    tasks = harness.ask("a b")
    (await harness.handler.next()).fail(POISON)
    (await harness.handler.next()).say(Retry("in the way"))
    (await harness.handler.next()).fail(POISON)
    again = await harness.handler.next()
    assert again.names == ["a"]
    again.accept()
    fine, culprit = await results(tasks)
    assert (fine, repr(culprit)) == ("did a", repr(POISON))


async def test_a_lone_culprit_is_not_tried_again() -> None:
    harness = Harness()
    tasks = harness.ask("a")
    (await harness.handler.next()).fail(POISON)
    (culprit,) = await results(tasks)
    assert repr(culprit) == repr(POISON)
    assert harness.is_empty


@pytest.mark.parametrize("outcomes", [[], ["one"], ["one", "two", "three"]])
async def test_a_handler_that_miscounts_fails_its_own_batch_only(outcomes: list[str]) -> None:
    harness = Harness(batch_max=2, batches_in_flight=1)
    tasks = harness.ask("a b c")
    (await harness.handler.next()).say(*outcomes)
    (await harness.handler.next()).accept()
    first, second, third = await results(tasks)
    assert isinstance(first, IntegrityError)
    assert isinstance(second, IntegrityError)
    assert first is not second
    assert third == "did c"
