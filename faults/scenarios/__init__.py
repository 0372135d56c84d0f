"""The rows by part; a new module is added to `ALL`."""

from faults.scenario import AnyRow
from faults.scenarios import (
    api,
    clock,
    guards,
    money,
    queue_passes,
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

ALL: tuple[AnyRow, ...] = (
    *api.ROWS,
    *server.ROWS,
    *contention.ROWS,
    *disks.ROWS,
    *failover.ROWS,
    *valkey.ROWS,
    *waiting_room.ROWS,
    *queue_passes.ROWS,
    *abusive.ROWS,
    *one_connection.ROWS,
    *logins.ROWS,
    *denial_of_inventory.ROWS,
    *contract.ROWS,
    *overload.ROWS,
    *money.ROWS,
    *clock.ROWS,
    *seeded_violations.ROWS,
    *guards.ROWS,
)
