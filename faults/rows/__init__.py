"""The rows by part; a new module is added to `ALL`."""

from faults.matrix import AnyRow
from faults.rows import (
    api,
    clients,
    clock,
    contention,
    contract,
    disks,
    failover,
    guards,
    handing,
    logins,
    memory,
    money,
    overload,
    places,
    planted,
    postgres,
    queue,
    valkey,
)

ALL: tuple[AnyRow, ...] = (
    *api.ROWS,
    *postgres.ROWS,
    *contention.ROWS,
    *disks.ROWS,
    *failover.ROWS,
    *valkey.ROWS,
    *queue.ROWS,
    *places.ROWS,
    *clients.ROWS,
    *memory.ROWS,
    *logins.ROWS,
    *handing.ROWS,
    *contract.ROWS,
    *overload.ROWS,
    *money.ROWS,
    *clock.ROWS,
    *planted.ROWS,
    *guards.ROWS,
)
