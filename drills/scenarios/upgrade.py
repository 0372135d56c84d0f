"""The previous release sells while the new one migrates and rolls."""

import asyncio
import json
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID

from boxoffice.platform.ids import parse_scoped
from boxoffice.platform.postgres.database import Database
from boxoffice.settings import Settings
from boxoffice_embedded import EmbeddedServers
from boxoffice_embedded.servers.home import free_port
from drills.drill import Drill, DrillReport
from drills.releases.installation import InstalledRelease, RunningRole, install, ready
from drills.releases.sale import Acknowledged, ReadyPods, sell

_ROOT = Path(__file__).resolve().parents[2]
# Before the first release: the last commit that did not know how to be deployed.
_BEFORE_THE_FIRST = "b639b014"
_SEATS, _BUYERS = 20_000, 6_000
_BUYERS_AT_ONCE, _PAUSE_S = 16, 0.05
_PHASE_S = 6.0
_ROLES = ("sweep", "relay")
_COUNTED = """
    SELECT (SELECT count(*) FROM reservations WHERE reservation_id = ANY ($1::uuid[])) AS reservations,
           (SELECT count(*) FROM payments WHERE payment_id = ANY ($2::uuid[])) AS payments,
           (SELECT count(*) - count(DISTINCT (schedule_id, seat_id)) FROM tickets
             WHERE status <> 'VOID') AS twice
"""


def previous_release() -> str:
    """Return the newest tag before this commit; before the first release, a commit of its time."""
    command = ["git", "-C", str(_ROOT), "describe", "--tags", "--abbrev=0", "HEAD^"]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    return found.stdout.strip() or _BEFORE_THE_FIRST


def unfit() -> str:
    """Why the previous release cannot be built here, or nothing."""
    commit = previous_release()
    command = ["git", "-C", str(_ROOT), "cat-file", "-e", f"{commit}^{{commit}}"]
    is_known = subprocess.run(command, capture_output=True, check=False).returncode == 0
    return (
        "" if is_known else f"needs the history of git with {commit}: git fetch --unshallow --tags"
    )


@dataclass(slots=True)
class _Fleet:
    """Pods and roles that run; all are ended when the drill is."""

    folder: Path
    balancer: ReadyPods = field(default_factory=ReadyPods)
    pods: list[tuple[str, RunningRole]] = field(default_factory=list)
    roles: list[RunningRole] = field(default_factory=list)

    async def add_pod(self, release: InstalledRelease) -> None:
        port = free_port(0)
        url = f"http://127.0.0.1:{port}"
        pod = release.start("serve", self.folder / f"serve-{port}.log", BOXOFFICE_PORT=str(port))
        self.pods.append((url, pod))
        await ready(pod, url)
        self.balancer.ready.append(url)

    async def end_oldest_pod(self) -> int:
        """Drain the pod that has run longest, as an edge and an orchestrator do."""
        url, pod = self.pods.pop(0)
        self.balancer.ready.remove(url)
        return await pod.stop()

    def add_roles(self, release: InstalledRelease) -> None:
        for role in _ROLES:
            self.roles.append(release.start(role, self.folder / f"{role}.log"))

    async def replace_roles(self, release: InstalledRelease) -> list[int]:
        codes = [await role.stop() for role in self.roles]
        self.roles.clear()
        self.add_roles(release)
        return codes

    def kill(self) -> None:
        for process in (*(pod for _, pod in self.pods), *self.roles):
            process.kill()


@asynccontextmanager
async def _fleet(folder: Path) -> AsyncIterator[_Fleet]:
    fleet = _Fleet(folder)
    try:
        yield fleet
    finally:
        fleet.kill()


async def upgrade(report: DrillReport, folder: Path) -> None:
    """Sell with the old release, migrate with the new one, roll pod by pod, and compare."""
    commit = previous_release()
    with EmbeddedServers(folder / "data") as servers:
        environment = {
            "BOXOFFICE_DATABASE_URL": servers.database_url,
            "BOXOFFICE_VALKEY_URL": servers.valkey_url,
            "BOXOFFICE_LOG_LEVEL": "warning",
            # An edge looks at readyz; here the balancer is told.
            "BOXOFFICE_DRAIN_DELAY_MS": "500",
        }
        report.say(f"installing {commit} and the commit that is checked out")
        old = install(_ROOT, commit, folder / "old", environment)
        new = install(_ROOT, "HEAD", folder / "new", environment)
        await old.run("migrate")
        schedule_id, tokens = await _seeded(old, folder)
        told = Acknowledged()
        async with _fleet(folder) as fleet:
            exits = await _roll(report, fleet, old, new, (schedule_id, tokens), told)
        await _compare(report, Settings.of(database_url=servers.database_url), told, exits)
        await _audit(report, new)


async def _seeded(release: InstalledRelease, folder: Path) -> tuple[str, list[str]]:
    tokens = folder / "tokens"
    printed = await release.run(
        "seed", "--seats", str(_SEATS), "--users", str(_BUYERS), "--tokens", str(tokens)
    )
    lines = tokens.read_text().splitlines()
    schedule_id: str = json.loads(printed)["schedule_id"]
    return schedule_id, [json.loads(line)["access_token"] for line in lines]


async def _roll(
    report: DrillReport,
    fleet: _Fleet,
    old: InstalledRelease,
    new: InstalledRelease,
    sale: tuple[str, list[str]],
    told: Acknowledged,
) -> list[int]:
    """Go through the phases of an upgrade while buyers buy; return the exit codes of what was ended."""
    stop, exits = asyncio.Event(), []

    async def phase(name: str) -> None:
        told.phase = name
        report.say(f"{name}: {told.held.total()} held so far")
        await asyncio.sleep(_PHASE_S)

    fleet.add_roles(old)
    for _ in range(2):
        await fleet.add_pod(old)
    selling = asyncio.create_task(
        sell(fleet.balancer, *sale, told, stop, at_once=_BUYERS_AT_ONCE, pause_s=_PAUSE_S)
    )
    try:
        await phase("old release, old schema")
        await new.run("migrate")
        await phase("old release, new schema")
        await fleet.add_pod(new)
        exits.append(await fleet.end_oldest_pod())
        await phase("both releases")
        exits += await fleet.replace_roles(new)
        await fleet.add_pod(new)
        exits.append(await fleet.end_oldest_pod())
        await phase("new release")
    finally:
        stop.set()
        await selling
    # A rollback: a pod of the old release starts on the new schema.
    await fleet.add_pod(old)
    return exits


async def _compare(
    report: DrillReport, settings: Settings, told: Acknowledged, exits: list[int]
) -> None:
    db = Database(settings)
    await db.open()
    try:
        [row] = await db.fetch(_COUNTED, _own(told.reservations), _own(told.payments))
    finally:
        await db.close()
    lost = len(told.reservations) - row["reservations"], len(told.payments) - row["payments"]
    report.check("no acknowledged hold is lost", holds=lost[0] == 0, seen=lost[0])
    report.check("no acknowledged payment is lost", holds=lost[1] == 0, seen=lost[1])
    report.check("no seat is sold twice", holds=row["twice"] == 0, seen=row["twice"])
    report.check("no failure shows", holds=not told.failures, seen=sorted(set(told.failures)))
    report.check("each process ends with 0", holds=not any(exits), seen=exits)
    phases = dict(told.held)
    report.check(
        "seats are sold in each phase",
        holds=len(phases) == 4 and min(phases.values()) > 0,
        seen=phases,
    )
    report.measure("payments acknowledged", len(told.payments), "payments")
    report.measure("requests repeated under their key", told.repeated, "requests")
    report.measure("longest wait for an answer", told.longest_s, "s")


def _own(public: list[str]) -> list[UUID]:
    scoped = [parse_scoped(one) for one in public]
    return [one.own_id for one in scoped if one is not None]


async def _audit(report: DrillReport, release: InstalledRelease) -> None:
    found = json.loads(await release.run("audit", "--json"))
    report.check("the audit of the new release is clean", holds=found["ok"], seen=found["ok"])


DRILL = Drill(
    "upgrade",
    "the previous release sells while the new one migrates and rolls",
    1.5,
    upgrade,
    programs=("git",),
    unfit=unfit,
)
