"""The audit after each run: the shop's own, and the lock-per-request baseline's."""

import asyncpg

from bench.environment.processes import LOCK_PER_REQUEST
from bench.measurement.sample import CLEAN
from bench.scenarios.scenario import BenchScenario
from boxoffice.audit import audit
from boxoffice.platform.postgres import sql_files
from boxoffice.settings import Settings

_SQL = sql_files.load("bench.baselines.lock_per_request")


async def check(settings: Settings, scenario: BenchScenario) -> tuple[str, int]:
    """Return `clean` or the names of the broken invariants, and how many seats were sold twice."""
    report = await audit(settings)
    broken = [check.name for check in report.broken]
    violations, sold_twice = 0, 0
    if scenario.server == LOCK_PER_REQUEST:
        violations, sold_twice = await _lock_per_request(settings)
    if violations and not scenario.may_oversell:
        broken.append("lock_per_request")
    verdict = CLEAN if report.ok and not broken else "broken: " + ", ".join(broken)
    return verdict, sold_twice


async def _lock_per_request(settings: Settings) -> tuple[int, int]:
    connection = await asyncpg.connect(settings.database.database_url)
    try:
        violations = await connection.fetchval(_SQL["check"])
        return int(violations), int(await connection.fetchval(_SQL["sold_twice"]))
    finally:
        await connection.close()
