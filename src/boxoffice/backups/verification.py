"""Proves a backup: restores it on a scratch server, replays the archive, and runs the audit."""

import asyncio
import shutil
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter

import msgspec

from boxoffice.audit import Report
from boxoffice.audit import audit as run_audit
from boxoffice.backups import rules
from boxoffice.backups.catalog import BackupCatalog
from boxoffice.backups.restoring import (
    Recovered,
    RestoreContext,
    RestoreTarget,
    recovered_server,
)
from boxoffice.settings import Settings


class Verification(msgspec.Struct, frozen=True, kw_only=True):
    """What a verification found; ages and durations in seconds.

    `rpo_s`: what would be lost if the server were lost now, at most: the age of the last commit that
    was replayed, or of the backup's end where none was. `rto_s`: from the first fetched byte to a
    server that takes connections. `missing_wal`: segments that the archive lacks before its newest.
    """

    ok: bool
    label: str
    chain: list[str]
    recovered_to: datetime | None
    position: str
    wal_files: int
    missing_wal: list[str]
    last_archived_at: datetime | None
    rpo_s: float
    rto_s: float
    audit_s: float
    broken: list[str]
    checks: int


def verify(
    context: RestoreContext,
    settings: Settings,
    chain: list[rules.BackupManifest],
    target: RestoreTarget,
) -> Verification:
    """Restore a chain of backups to a scratch server, and audit it; raise `BackupError` if it fails."""
    folder = Path(
        tempfile.mkdtemp(prefix="boxoffice-verify-", dir=settings.backups.backup_work_dir or None)
    )
    try:
        folder.chmod(0o711)
        began = perf_counter()
        with recovered_server(context, chain, target, folder, is_final=False) as (
            _,
            recovered,
            address,
        ):
            rto_s = perf_counter() - began
            context.say("checking every invariant")
            report = asyncio.run(run_audit(settings.replace(database_url=address)))
            audit_s = perf_counter() - began - rto_s
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return summarize(context.catalog, chain, recovered, report, rto_s, audit_s)


def summarize(
    catalog: BackupCatalog,
    chain: list[rules.BackupManifest],
    recovered: Recovered,
    report: Report,
    rto_s: float,
    audit_s: float,
) -> Verification:
    """Return what a recovery and an audit found, and what the archive lacks."""
    backup = chain[-1]
    names = [
        one.name.rpartition("/")[2].removesuffix(".gz")
        for one in catalog.wal(backup.system_identifier)
    ]
    missing = rules.missing_segments(names, backup)
    archived_at = recovered.last_archived_at
    last = recovered.last_commit_at or backup.finished_at
    return Verification(
        # guard: verify_fails_by_the_audit: report.ok and =>
        # guard: verify_fails_by_a_gap: and not missing =>
        ok=report.ok and not missing,
        label=backup.label,
        chain=[one.label for one in chain],
        recovered_to=recovered.last_commit_at,
        position=rules.shown_lsn(recovered.position),
        wal_files=recovered.wal_files,
        missing_wal=missing,
        last_archived_at=None if archived_at is None else datetime.fromtimestamp(archived_at, UTC),
        rpo_s=round((recovered.now - last).total_seconds(), 1),
        rto_s=round(rto_s, 1),
        audit_s=round(audit_s, 1),
        broken=[check.name for check in report.broken],
        checks=len(report.checks),
    )
