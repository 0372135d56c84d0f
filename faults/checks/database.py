"""Checks after a round: comparison with the database, seat histories, audit."""

import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from uuid import UUID

import asyncpg

from boxoffice.audit import Report, audit
from boxoffice.platform.postgres import sql_files
from boxoffice.settings import Settings
from boxoffice_loadtest.measurement.database_reader import open_reader
from boxoffice_loadtest.model import Finding
from faults.checks import linearizability
from faults.checks.comparison import (
    AUDIT_DOUBLE_CHARGES,
    AUDIT_IMBALANCE,
    AUDIT_LOST,
    AUDIT_SOLD_TWICE,
    DOUBLE_CHARGES,
    LOST,
    SOLD_TWICE,
    Stored,
    StoredTopUp,
    compare,
)
from faults.checks.record import Record
from faults.workload.fixtures import Fixtures

_SQL = sql_files.load("faults")


@dataclass(frozen=True)
class Checked:
    """Counts per kind of harm, and a sentence per kind of violation.

    Several checks may count the same violation, so the largest count stands. `late_holds`: holds
    made for buyers who had been refused meanwhile, where the scenario excuses that.
    """

    lost: int
    sold_twice: int
    imbalance: int
    double_charges: int
    broken: Sequence[str]
    late_holds: int
    took_s: float


async def check(
    settings: Settings,
    fixtures: Fixtures,
    record: Record,
    tag: str,
    *,
    excuses_late_holds: bool = False,
) -> Checked:
    """Check a schedule after its sale has ended."""
    began_s = time.monotonic()
    user_ids = [person.user_id for person in fixtures.people]
    stored = await _stored(settings, fixtures, tag)
    findings = compare(record, stored, user_ids, excuses_late_holds=excuses_late_holds)
    violations = linearizability.check(record.history(user_ids, fixtures.hold_ttl_s))
    report = await audit(settings)
    broken = [_sentence(one) for one in findings if one.is_broken]
    broken += [f"audit: {one.name} {one.violations} times" for one in report.broken]
    broken += [f"history: seat {one.seat} {one.reason}" for one in violations[:10]]
    return Checked(
        lost=max(_count(findings, LOST), _audited(report, AUDIT_LOST)),
        sold_twice=max(
            _count(findings, SOLD_TWICE), len(violations), _audited(report, AUDIT_SOLD_TWICE)
        ),
        imbalance=_audited(report, AUDIT_IMBALANCE),
        double_charges=max(
            _count(findings, DOUBLE_CHARGES), _audited(report, AUDIT_DOUBLE_CHARGES)
        ),
        broken=broken,
        late_holds=_count(findings, ("lost_hold",)),
        took_s=time.monotonic() - began_s,
    )


async def audit_now(settings: Settings) -> list[str]:
    """Return the audit's violations during a sale."""
    report = await audit(settings)
    return [f"audit: {one.name} {one.violations} times" for one in report.broken]


async def left_undone(settings: Settings) -> dict[str, int]:
    """Return the number of events awaiting the relay and of lapsed holds awaiting the sweeper."""
    connection = await asyncpg.connect(settings.database.database_url)
    try:
        return dict(await connection.fetchrow(_SQL["left_undone"]) or {})
    finally:
        await connection.close()


async def _stored(settings: Settings, fixtures: Fixtures, tag: str) -> Stored:
    async with open_reader(settings) as reader:
        # Only this run sells in this schedule, so every row must be explained, whatever its key.
        shop = await reader.state(UUID(fixtures.schedule_id), "", fixtures.hold_ttl_s)
    connection = await asyncpg.connect(settings.database.database_url)
    try:
        people = [UUID(person.user_id) for person in fixtures.people]
        rows = await connection.fetch(_SQL["top_ups"], people, tag)
    finally:
        await connection.close()
    top_ups = [
        StoredTopUp(
            str(row["transfer_id"]),
            str(row["user_id"]),
            row["amount_minor"],
            row["idempotency_key"],
        )
        for row in rows
    ]
    return Stored(shop, top_ups)


def _count(findings: Sequence[Finding], kinds: Sequence[str]) -> int:
    return sum(one.count for one in findings if one.kind in kinds)


def _audited(report: Report, names: Collection[str]) -> int:
    return sum(one.violations for one in report.broken if one.name in names)


def _sentence(finding: Finding) -> str:
    return f"{finding.kind} {finding.count} times: {', '.join(map(str, finding.samples[:3]))}"
