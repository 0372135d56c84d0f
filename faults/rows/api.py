"""What is done to API processes."""

import time
from random import Random

from faults.checks import audit_now
from faults.load import Load
from faults.matrix import AnyRow, Observations, Part, Row
from faults.world import World

RECOVERY_MAX_S = 2.0


async def kill_at_random(world: World, load: Load, random: Random, trials: int) -> Observations:
    """Kill one API process at a time, at any moment, while the other one sells on."""
    seen = Observations()
    for _ in range(trials):
        await load.sell_for(random.uniform(0.2, 1.0))
        victim = random.choice(world.api)
        with load.fault("api killed", grace_s=RECOVERY_MAX_S):
            at_s = time.monotonic()
            victim.kill()
            seen.recoveries_s.append(await load.next_sale(at_s))
            await world.wait_until_ready()
        seen.trials += 1
        seen.kills += 1
        seen.broken += await audit_now(world.settings)
    return seen


ROWS: tuple[AnyRow, ...] = (
    Row(
        name="api_sigkill",
        part=Part.API,
        does="SIGKILL of one of two API processes at a random moment; the supervisor restarts it",
        expects="the other one sells on; whoever was cut off gets one effect under the same key",
        run=kill_at_random,
        trials=150,
        quick_trials=2,
        trial_s=2.5,
        round_trials=25,
        recovery_p99_max_s=RECOVERY_MAX_S,
    ),
)
