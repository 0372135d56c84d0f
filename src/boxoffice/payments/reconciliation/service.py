"""The use cases of reconciliation: compare a window, catch up, show, resolve."""

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Literal
from uuid import UUID
from zoneinfo import ZoneInfo

from boxoffice.activity_log import Action, record
from boxoffice.errors import (
    FindingNotFound,
    FindingResolved,
    IntegrityError,
    StatementNotFound,
)
from boxoffice.observability.logs import log
from boxoffice.payments.providers.port import Provider, ProviderError
from boxoffice.payments.reconciliation import report, rules, store
from boxoffice.payments.reconciliation.errors import StatementQueued
from boxoffice.payments.reconciliation.rules import (
    HEALING,
    Books,
    StatementFinding,
    StatementWindow,
    day_window,
)
from boxoffice.payments.reconciliation.store import (
    FindingFilter,
    KeptFinding,
    RunKey,
    StatementRun,
    StatementStore,
)

# The calendar of each provider's statement; UTC for others.
ZONES = {"toss": ZoneInfo("Asia/Seoul")}
_UTC = ZoneInfo("UTC")
_COMPARED_SINCE = timedelta(days=9)
_REPORT_FINDINGS_MAX = 10_000


class Reconciliation:
    """Compares providers' statements with our books; for the cashier and for operators.

    `overlap` is read on both sides of a window. A movement is expected in a statement after `lag`.
    """

    def __init__(
        self,
        statements: StatementStore,
        providers: Mapping[str, Provider],
        overlap: timedelta,
        lag: timedelta,
    ) -> None:
        self._store = statements
        self._providers = providers
        self._overlap = overlap
        self._lag = lag

    async def run_due(self) -> int:
        """Compare every window that has ended and was not compared; return how many were.

        A provider that does not answer delays its own windows only: the next call goes on. A payment
        that a look-up booked after the last run of its window ends its finding here.
        """
        await self._store.heal_booked()
        compared = 0
        for name in self._providers:
            try:
                compared += await self._run_due(name)
            except ProviderError as error:
                log.warning("statement_not_read", provider=name, error=repr(error))
        return compared

    async def _run_due(self, provider: str) -> int:
        now = datetime.fromtimestamp(await self._store.now_s(), UTC)
        lost_since = await self._store.lost_since()
        first = min(now, lost_since or now) - _COMPARED_SINCE
        done = await self._store.compared(provider, first)
        due = rules.due_runs(now, done, zone_of(provider), self._lag, lost_since)
        due += [one for one in await self._store.unfinished(provider) if one not in due]
        for one in due:
            await self.compare(provider, one.kind, one.window)
        return len(due)

    async def ask(self, provider: str, day: date) -> StatementRun:
        """Have the cashier compare a day, also one that it has compared.

        Raises `StatementNotFound` for a provider that is not connected, or a day to come.
        """
        window = day_window(day, zone_of(provider))
        # guard: statement_of_a_provider_that_is_connected => if False:
        if provider not in self._providers:
            raise StatementNotFound
        # guard: statement_of_a_day_that_has_begun => if False:
        if window.since.timestamp() > await self._store.now_s():
            raise StatementNotFound
        key = RunKey(provider, "day", window.since)
        await self._store.ask(key, window.until)
        run = await self._store.run(key)
        if run is None:
            raise IntegrityError(f"the run of {day} is gone")
        return run

    async def compare(
        self,
        provider: str,
        kind: Literal["hour", "day"],
        window: StatementWindow,
    ) -> None:
        """Read a window of a statement and compare it, unless that is done.

        Another process goes on after a crash from the last page. Raises `ProviderError`.
        """
        key = RunKey(provider, kind, window.since)
        started = await self._store.start(key, window.until)
        if started is None:
            return
        wide = window.widened(self._overlap)
        await self._read(key, wide, started.cursor)
        lines = await self._store.lines(provider, wide, started.started_at)
        movements = await self._store.movements(provider, wide)
        known = await self._store.known(provider, lines)
        books = Books(movements, await self._store.awaited(provider), known)
        findings = rules.compare(lines, books, window, started.now - self._lag)
        await self._store.finish(key, window, findings, rules.totals(lines, movements, window))
        _log(key, findings)

    async def _read(self, key: RunKey, window: StatementWindow, cursor: str | None) -> None:
        provider = self._providers[key.provider]
        while True:
            found = await provider.statement(window.since, window.until, cursor)
            await self._store.save(key, found.lines, found.next_cursor)
            cursor = found.next_cursor
            if cursor is None:
                return

    async def runs(
        self,
        provider: str | None,
        kind: str | None,
        before: tuple[datetime, str, str] | None,
        count: int,
    ) -> list[StatementRun]:
        """Return at most `count` runs, the newest first; None means every provider or kind."""
        return await self._store.runs(provider, kind, before, count)

    async def day(self, provider: str, day: date) -> tuple[StatementRun, list[KeptFinding]]:
        """Return the run of a day, finished or not, and its findings; raise `StatementNotFound`."""
        window = day_window(day, zone_of(provider))
        run = await self._store.run(RunKey(provider, "day", window.since))
        if run is None:
            raise StatementNotFound
        wanted = FindingFilter(provider=provider, window=window)
        return run, await self._store.findings(None, wanted, _REPORT_FINDINGS_MAX)

    async def day_as_csv(self, provider: str, day: date) -> str:
        """Return the lines of a day beside our bookings, with the findings.

        Raises `StatementNotFound`, and `StatementQueued` before the day has been compared.
        """
        run, findings = await self.day(provider, day)
        # guard: report_of_what_was_compared => if False:
        if run.finished_at is None:
            raise StatementQueued
        window = day_window(day, zone_of(provider))
        booked = await self._store.movements(provider, window.widened(self._overlap))
        lines = await self._store.lines(provider, window, run.started_at)
        return report.as_csv(lines, booked, findings)

    async def findings(
        self, after: UUID | None, wanted: FindingFilter, count: int
    ) -> list[KeptFinding]:
        """Return at most `count` findings, the oldest first."""
        return await self._store.findings(after, wanted, count)

    async def resolve(
        self, operator_id: UUID, finding_id: UUID, note: str, *, request_id: str = ""
    ) -> KeptFinding:
        """End a finding that waits for a person; raise `FindingNotFound` or `FindingResolved`."""
        async with self._store.transaction() as connection:
            found = await store.resolve(connection, finding_id, operator_id, note)
            if found is not None:
                action = Action(
                    organization_id=operator_id,
                    actor_id=operator_id,
                    action="finding.resolved",
                    request_id=request_id,
                    details={
                        "finding_id": str(finding_id),
                        "kind": found.kind,
                        "transaction_key": found.transaction_key,
                        "note": note,
                    },
                )
                await record(connection, action)
        if found is not None:
            return found
        known = await self._store.finding(finding_id)
        if known is None:
            raise FindingNotFound
        raise FindingResolved


def zone_of(provider: str) -> ZoneInfo:
    """Return the time zone of a provider's calendar."""
    return ZONES.get(provider, _UTC)


def _log(key: RunKey, findings: list[StatementFinding]) -> None:
    for_people = sum(one.kind not in HEALING for one in findings)
    level = log.error if for_people else log.info
    level(
        "statement_compared",
        provider=key.provider,
        kind=key.kind,
        since=key.since.isoformat(),
        findings=len(findings),
        for_people=for_people,
    )
