"""Full disks: a cluster whose tables or write-ahead log are on a small tmpfs."""

import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from pathlib import Path
from random import Random

import asyncpg

from faults.cluster.cluster import Cluster, start_cluster
from faults.interference.external_clients import (
    SQL,
    allow_traversal,
    external_connection,
    fill_disk,
    move_wal,
    small_disk,
)
from faults.scenario import AnyScenario, Observations
from faults.scenarios.postgres.server import note_largest, scenario
from faults.workload.load import LoadGenerator

_FULL_S = 4.0
_SMALL_DISK_MB = 192
_DISK = "small"
# Small enough that a disk of `_SMALL_DISK_MB` holds what the server keeps.
_LITTLE_LOG = {"max_wal_size": "48MB", "min_wal_size": "32MB", "shared_buffers": "32MB"}


@asynccontextmanager
async def _with_a_small_disk(*, is_log: bool) -> AsyncIterator[Cluster]:
    """Run a cluster with its tables, or its write-ahead log, on a small disk."""
    with tempfile.TemporaryDirectory(
        prefix="boxoffice-faults-", ignore_cleanup_errors=True
    ) as name:
        folder = allow_traversal(Path(name))
        with small_disk(folder / _DISK, _SMALL_DISK_MB) as disk:
            data_dir = (folder if is_log else disk) / "servers"
            move_wal(data_dir, disk if is_log else folder)
            async with start_cluster(
                folder, lambda _: None, data_dir=data_dir, postgres_options=_LITTLE_LOG
            ) as one:
                yield one


async def fill_data(
    cluster: Cluster, load: LoadGenerator, _random: Random, seen: Observations
) -> float:
    """Fill the disk of the tables."""
    with _full(cluster, load, seen):
        await load.sell_for(_FULL_S)
    return time.monotonic()


async def fill_log(
    cluster: Cluster, load: LoadGenerator, _random: Random, seen: Observations
) -> float:
    """Fill the disk of the write-ahead log: PostgreSQL stops and cannot restart."""
    with _full(cluster, load, seen):
        await _write_log(cluster, seen)
        await load.sell_for(_FULL_S)
    # The failed restarts are part of the scenario.
    cluster.problems[:] = [one for one in cluster.problems if not one.startswith("postgres")]
    return time.monotonic()


@contextmanager
def _full(cluster: Cluster, load: LoadGenerator, seen: Observations) -> Iterator[None]:
    before = len(load.record.attempts)
    filler = fill_disk(cluster.folder / _DISK)
    try:
        yield
    finally:
        filler.unlink()
    refused = sum(one.status == 503 for one in load.record.attempts[before:])
    if not refused:
        seen.broken.append("no request failed while the disk was full")
    note_largest(seen, "refused_503_count", refused)


async def _write_log(cluster: Cluster, seen: Observations) -> None:
    """Write until the disk is full, which ends the server."""
    try:
        async with external_connection(cluster.settings.database.database_url) as one:
            for _ in range(_SMALL_DISK_MB):
                await one.fetch(SQL["write_log"])
    except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError):
        return
    seen.broken.append("the log's disk was not full")


SCENARIOS: tuple[AnyScenario, ...] = (
    scenario(
        "pg_data_disk_full",
        "the disk of the tables is full for 4 s",
        "503 with Retry-After; with free space the sale goes on",
        fill_data,
        trials=5,
        trial_s=6.0,
        stage=partial(_with_a_small_disk, is_log=False),
    ),
    scenario(
        "pg_log_disk_full",
        "the disk of the write-ahead log is full for 4 s: PostgreSQL stops",
        "503 with Retry-After; with free space PostgreSQL recovers and the sale goes on",
        fill_log,
        trials=5,
        trial_s=7.0,
        stage=partial(_with_a_small_disk, is_log=True),
    ),
)
