"""Schemathesis against the OpenAPI description: all phases, all checks."""

import os
import re
import signal
import sys
from random import Random

from faults.cluster import subprocesses
from faults.scenario import AnyScenario, Component, Observations, StandaloneScenario

_TEST = "tests/e2e/api/test_schemathesis.py::test_schemathesis_finds_nothing"
# Some 11,500 cases: these per operation, plus those of coverage and links.
_EXAMPLES = 240
_QUICK_EXAMPLES = 40
_CASES_MIN = 10_000
_TIMEOUT_S = 1_500
_COUNTED = re.compile(r"^schemathesis (cases|forgiven): (\d+)$", re.MULTILINE)


async def ask_everything(random: Random, trials: int) -> Observations:
    """Run schemathesis against its own installation; a trial is one example per operation."""
    counts, output = await _run(trials, seed=random.randrange(2**31))
    cases = counts.get("cases", 0)
    seen = Observations(trials=cases)
    # Forgiven findings (tests/e2e/api/schemathesis_hooks.py).
    if "forgiven" in counts:
        seen.figures["forgiven_count"] = counts["forgiven"]
    if output:
        seen.broken.append(output)
    if trials >= _EXAMPLES and cases < _CASES_MIN:
        seen.broken.append(f"only {cases} cases, {_CASES_MIN} are wanted")
    return seen


async def _run(examples: int, *, seed: int) -> tuple[dict[str, int], str]:
    """Return the counts, and the end of the output if something failed."""
    env = os.environ | {"BOXOFFICE_TEST_EXAMPLES": str(examples), "BOXOFFICE_TEST_SEED": str(seed)}
    ended = await subprocesses.run(
        # Longer than the limit of a test in the suite.
        [sys.executable, "-m", "pytest", "-q", "-s", f"--timeout={_TIMEOUT_S}", _TEST],
        env=env,
        within_s=_TIMEOUT_S,
        # It stops its servers and removes its folders.
        stop_signal=signal.SIGINT,
    )
    counts = {name: int(number) for name, number in _COUNTED.findall(ended.output)}
    return counts, "" if ended.code == 0 else ended.output_end


SCENARIOS: tuple[AnyScenario, ...] = (
    StandaloneScenario(
        name="schemathesis",
        component=Component.CLIENTS,
        does="at least 10,000 requests that schemathesis generates from the OpenAPI description",
        expects="every response is as described, in all phases, checks and operations. Forgiven "
        "and counted: a reservation that DELETE cancelled stays readable",
        run=ask_everything,
        trials=_EXAMPLES,
        quick_trials=_QUICK_EXAMPLES,
        trial_s=1.0,
    ),
)
