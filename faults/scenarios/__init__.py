"""All scenarios by component; a new module is added to `ALL`."""

from faults.scenario import AnyScenario
from faults.scenarios import (
    api,
    cancelled_hall,
    clock,
    collectors,
    guards,
    money,
    queue_passes,
    restarts,
    seeded_violations,
    valkey,
    waiting_room,
)
from faults.scenarios.clients import (
    abusive,
    contract,
    denial_of_inventory,
    logins,
    one_connection,
    overload,
)
from faults.scenarios.postgres import contention, disks, failover, server
from faults.scenarios.providers import away, sales

ALL: tuple[AnyScenario, ...] = (
    *api.SCENARIOS,
    *restarts.SCENARIOS,
    *collectors.SCENARIOS,
    *server.SCENARIOS,
    *contention.SCENARIOS,
    *disks.SCENARIOS,
    *failover.SCENARIOS,
    *valkey.SCENARIOS,
    *waiting_room.SCENARIOS,
    *queue_passes.SCENARIOS,
    *abusive.SCENARIOS,
    *one_connection.SCENARIOS,
    *logins.SCENARIOS,
    *denial_of_inventory.SCENARIOS,
    *contract.SCENARIOS,
    *overload.SCENARIOS,
    *money.SCENARIOS,
    *cancelled_hall.SCENARIOS,
    *sales.SCENARIOS,
    *away.SCENARIOS,
    *clock.SCENARIOS,
    *seeded_violations.SCENARIOS,
    *guards.SCENARIOS,
)
