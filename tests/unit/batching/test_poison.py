"""A command that the database refuses fails alone."""

import asyncpg
import pytest

from boxoffice.batching import Retry
from boxoffice.errors import IntegrityError
from tests.unit.batching.scripted import Call, Desk, everybody

POISON = asyncpg.UniqueViolationError("poison")


def answer(call: Call, poison: str) -> None:
    """Accept the batch, unless one of its commands is poison."""
    if set(call.names) & set(poison):
        call.fail(POISON)
    else:
        call.accept()


async def test_the_batch_is_halved_until_the_culprit_stands_alone() -> None:
    desk = Desk()
    tasks = desk.ask("a b c d e f g h")
    asked = []
    for _ in range(7):
        call = await desk.handler.next()
        asked.append("".join(call.names))
        answer(call, "f")
    assert asked == ["abcdefgh", "abcd", "efgh", "ef", "e", "f", "gh"]
    outcomes = await everybody(tasks)
    assert repr(outcomes.pop(5)) == repr(POISON)
    assert outcomes == [f"did {name}" for name in "abcdegh"]


async def test_several_culprits_are_found() -> None:
    desk = Desk()
    tasks = desk.ask("a b c d")
    for _ in range(7):
        answer(await desk.handler.next(), "ad")
    first, *fine, last = await everybody(tasks)
    assert repr(first) == repr(last) == repr(POISON)
    assert fine == ["did b", "did c"]


async def test_a_half_can_be_told_to_try_again() -> None:
    desk = Desk()
    tasks = desk.ask("a b")
    (await desk.handler.next()).fail(POISON)
    (await desk.handler.next()).say(Retry("in the way"))
    (await desk.handler.next()).fail(POISON)
    again = await desk.handler.next()
    assert again.names == ["a"]
    again.accept()
    fine, culprit = await everybody(tasks)
    assert (fine, repr(culprit)) == ("did a", repr(POISON))


async def test_a_lone_culprit_is_not_tried_again() -> None:
    desk = Desk()
    tasks = desk.ask("a")
    (await desk.handler.next()).fail(POISON)
    (culprit,) = await everybody(tasks)
    assert repr(culprit) == repr(POISON)
    assert desk.has_forgotten_everything


@pytest.mark.parametrize("outcomes", [[], ["one"], ["one", "two", "three"]])
async def test_a_handler_that_miscounts_fails_its_own_batch_only(outcomes: list[str]) -> None:
    desk = Desk(batch_max=2, batches_in_flight=1)
    tasks = desk.ask("a b c")
    (await desk.handler.next()).say(*outcomes)
    (await desk.handler.next()).accept()
    first, second, third = await everybody(tasks)
    assert isinstance(first, IntegrityError)
    assert isinstance(second, IntegrityError)
    assert first is not second
    assert third == "did c"
