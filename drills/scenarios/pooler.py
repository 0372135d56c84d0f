"""Two processes sell through PgBouncer, in each mode that its version keeps."""

import os
import random
import time
from collections.abc import Sequence
from pathlib import Path

import asyncpg

from boxoffice.errors import SettingsInvalid
from boxoffice.platform.postgres.database import Database
from boxoffice.settings import Settings
from drills.drill import Drill, DrillReport, program
from faults.checks.database import check
from faults.cluster.cluster import Cluster, Topology, start_cluster
from faults.cluster.pooler import PgBouncer, can_track, version
from faults.cluster.subprocesses import run
from faults.workload.load import LoadGenerator
from faults.workload.plan import WorkloadProfile

_SELLS_S = 6.0
_BACK_MAX_S = 10.0
_INSTALLS_WITHIN_S = 180.0
_PROFILE = WorkloadProfile(visits_per_s=25.0)
# What docs/high-availability.md has a role carry.
_ROLE = {
    "statement_timeout": "5s",
    "lock_timeout": "500ms",
    "idle_in_transaction_session_timeout": "10s",
    "synchronous_commit": "on",
    "client_min_messages": "notice",
    "jit": "off",
    "timezone": "UTC",
}
_IGNORED = ",".join(_ROLE)
_NEWER = {"max_prepared_statements": "200"}


async def play(report: DrillReport, folder: Path) -> None:
    """Sell behind the system's PgBouncer and behind one that tracks prepared statements."""
    own = [program("pgbouncer") or "pgbouncer"]
    newer = own if can_track(own) else await _of_trixie(folder)
    async with start_cluster(folder, report.say) as shop:
        await _set_role(shop.settings)
        untracked = {"max_prepared_statements": "0"} if can_track(own) else {}
        await _refusals(report, shop.settings, own, untracked)
        await _sell(report, shop, own, "transaction", untracked)
        await _sell(report, shop, newer, "transaction_prepared", _NEWER)


async def _of_trixie(folder: Path) -> list[str]:
    """Return the command of Debian trixie's PgBouncer, unpacked beside this system and run there."""
    root = folder / "trixie"
    argv = ["mmdebstrap", "--variant=extract", "--include=pgbouncer", "trixie", str(root)]
    ended = await run(argv, within_s=_INSTALLS_WITHIN_S)
    if ended.code:
        raise RuntimeError(f"no PgBouncer of trixie: {ended.output_end}")
    root.chmod(0o755)
    [libraries] = (root / "usr/lib").glob("*-linux-gnu")
    loader = next(libraries.glob("ld-linux-*"))
    paths = f"{libraries}:{libraries / 'systemd'}"
    return [str(loader), "--library-path", paths, str(root / "usr/sbin/pgbouncer")]


async def _set_role(settings: Settings) -> None:
    one = await asyncpg.connect(settings.database.database_url)
    try:
        for name, value in _ROLE.items():
            await one.execute(f"ALTER ROLE boxoffice SET {name} = '{value}'")
    finally:
        await one.close()


async def _refusals(
    report: DrillReport, settings: Settings, argv: Sequence[str], untracked: dict[str, str]
) -> None:
    """Check that what would answer wrongly does not start."""
    options = {"ignore_startup_parameters": _IGNORED, **untracked}
    async with PgBouncer(argv, settings.database.database_url, options) as pooler:
        for mode in ("none", "transaction_prepared"):
            db = Database(settings.replace(database_url=pooler.url, db_pooler=mode))
            refusal = ""
            try:
                await db.open()
            except SettingsInvalid as error:
                refusal = str(error)
            await db.close()
            report.check(f"{mode} is refused behind it", holds=bool(refusal), seen=refusal)


async def _sell(
    report: DrillReport, shop: Cluster, argv: Sequence[str], mode: str, options: dict[str, str]
) -> None:
    """Sell, restart the pooler in the middle, and compare the record with the database."""
    direct = shop.settings
    name = f"{mode}, PgBouncer {'.'.join(map(str, version(argv)))}"
    fixtures = await shop.create_fixtures(seats=6_000, people=400, hold_ttl_s=120)
    async with PgBouncer(argv, direct.database.database_url, options) as pooler:
        shop.settings = direct.replace(database_url=pooler.url)
        await shop.deploy(Topology(roles=("archive", "auditor"), settings={"db_pooler": mode}))
        load = LoadGenerator(fixtures, shop.api, random.Random(18), _PROFILE, mode)
        async with load.selling():
            per_s = await load.sell_for(_SELLS_S)
            with load.fault("PgBouncer", grace_s=_BACK_MAX_S):
                await pooler.restart()
                back_s = await load.next_sale(time.monotonic())
            await load.sell_for(_SELLS_S)
        await shop.clear()
    shop.settings = direct
    checked = await check(direct, fixtures, load.record, load.tag)
    seen = f"{len(load.record.holds)} holds, {len(load.record.payments)} payments"
    report.check(
        f"{name}: what was acknowledged is there, once", holds=not checked.broken, seen=seen
    )
    report.check(f"{name}: sold again after a restart", holds=back_s < _BACK_MAX_S, seen=back_s)
    report.measure(f"{name}: sales", per_s, "per second, of 25 visits")


def unfit() -> str:
    """Why there is no PgBouncer that tracks prepared statements; or nothing."""
    if can_track([program("pgbouncer") or "pgbouncer"]):
        return ""
    if program("mmdebstrap") is None:
        return "needs PgBouncer 1.21 or newer, or mmdebstrap, which unpacks one"
    return "needs PgBouncer 1.21 or newer, or root, who may unpack one" if os.geteuid() else ""


DRILL = Drill(
    name="pooler",
    title="two processes sell through PgBouncer 1.18 and 1.24, which are restarted meanwhile",
    minutes=1.5,
    play=play,
    programs=("pgbouncer",),
    unfit=unfit,
)
