"""All drills, in the order in which they run."""

from drills.drill import Drill
from drills.scenarios import (
    compose,
    edge_batches,
    edge_drain,
    edge_slow_clients,
    point_in_time_restore,
    pooler,
    postgres_failover,
    python_3_13,
    upgrade,
    valkey,
)

ALL: tuple[Drill, ...] = (
    compose.DRILL,
    python_3_13.DRILL,
    edge_drain.DRILL,
    edge_slow_clients.DRILL,
    edge_batches.DRILL,
    *valkey.DRILLS,
    postgres_failover.DRILL,
    pooler.DRILL,
    point_in_time_restore.DRILL,
    upgrade.DRILL,
)
