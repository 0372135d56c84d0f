"""Trials without one guard each: a test must fail."""

import asyncio
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from random import Random

from boxoffice.audit import store
from boxoffice_embedded import EmbeddedServers
from faults.guards.markers import Removal, known
from faults.guards.mutation import SourceCopy, TrialBroken, copied_tree
from faults.scenario import AnyScenario, Component, Observations, StandaloneScenario

# Two at a time: a trial waits for its servers as often as it computes.
_WORKERS = 2
# Guards of the schema have a refusal and its control each.
_SCHEMA = ("tests/integration/guards/schema/test_schema.py",)


def _known() -> dict[str, Removal]:
    return known(store.names())


async def take_each_away(random: Random, trials: int) -> Observations:
    """Take away `trials` random guards, one at a time, and run the tests that must fail.

    Guards that notice the same are taken away first, and no test may fail until the last is gone.
    """
    guards = _known()
    chosen = random.sample(sorted(guards), min(trials, len(guards)))
    tests = {test.partition(" ")[0] for name in chosen for test in guards[name].red}
    seen = Observations()
    seen.broken += await _unchanged(sorted({*tests, *_SCHEMA}))
    await asyncio.gather(*(_work(chosen, guards, seen) for _ in range(_WORKERS)))
    seen.figures["guards_noticed_count"] = seen.trials - len(seen.broken)
    seen.figures["guards_declared_count"] = len(guards)
    return seen


@contextmanager
def _served_tree() -> Iterator[SourceCopy]:
    """A copy of the tree with servers of its own: some tests pause theirs or fill their memory."""
    with (
        tempfile.TemporaryDirectory(prefix="boxoffice-guards-") as home,
        EmbeddedServers(Path(home), say=lambda _: None) as servers,
        copied_tree() as tree,
    ):
        tree.servers = {
            "BOXOFFICE_TEST_DATABASE_URL": servers.database_url,
            "BOXOFFICE_TEST_VALKEY_URL": servers.valkey_url,
            "BOXOFFICE_TEST_TEMPLATE": "boxoffice_template_of_guards",
        }
        yield tree


async def _work(queue: list[str], guards: Mapping[str, Removal], seen: Observations) -> None:
    with _served_tree() as tree:
        try:
            while queue:
                removal = guards[queue.pop()]
                masks = [guards[name] for name in removal.behind]
                seen.broken += await asyncio.to_thread(_missed, tree, removal, masks)
                seen.trials += 1
        finally:
            tree.stop()


async def _unchanged(tests: Sequence[str]) -> list[str]:
    """The control: with every guard in place, the same tests pass."""
    with _served_tree() as tree:
        try:
            trial = await asyncio.to_thread(tree.trial, [], tests)
        except TrialBroken as error:
            return [str(error)[:500]]
        finally:
            tree.stop()
    return [f"{trial.red} fails though every guard is in place"] if trial.red else []


def _missed(tree: SourceCopy, removal: Removal, masks: Sequence[Removal]) -> list[str]:
    """Return what is wrong: no test failed, or one failed too early."""
    try:
        if masks and (early := tree.trial(masks, removal.red)).red:
            return [f"{removal.name!r} stands behind what {early.red} notices already"]
        if not tree.trial([*masks, removal], removal.red).red:
            return [f"no test fails without {removal.name!r} is gone"]
    except TrialBroken as error:
        return [str(error)[:500]]
    return []


SCENARIOS: tuple[AnyScenario, ...] = (
    StandaloneScenario(
        name="guards",
        component=Component.GUARDS,
        does="each guard and each check of the audit is taken away, one at a time, in a copy of "
        "the source tree",
        expects="a test fails, every time",
        run=take_each_away,
        trials=len(_known()),
        quick_trials=4,
        trial_s=0.6,
    ),
)
