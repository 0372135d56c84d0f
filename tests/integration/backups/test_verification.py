"""What a verification makes of a recovery, an audit and an archive."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from boxoffice.audit import Check, Report
from boxoffice.backups.archive import stored_name
from boxoffice.backups.catalog import BackupCatalog
from boxoffice.backups.restoring import Recovered
from boxoffice.backups.rules import Segment
from boxoffice.backups.stores.folder import FolderStorage
from boxoffice.backups.verification import Verification, summarize
from tests.unit.backups.test_rules import FIRST

NOW = datetime(2026, 1, 1, 2, tzinfo=UTC)


def verification(
    folder: Path, numbers: tuple[int, ...], violations: int, last_commit_at: datetime | None
) -> Verification:
    """Summarize a recovery from an archive with these segments."""
    storage = FolderStorage(folder)
    for number in numbers:
        name = Segment(1, number).name(FIRST.segment_bytes)
        storage.put_new(stored_name(FIRST.system_identifier, name), b"x")
    recovered = Recovered(
        last_commit_at, FIRST.stop_position, 2, NOW, len(numbers), NOW.timestamp()
    )
    report = Report([Check("one", "One.", violations, [])])
    return summarize(BackupCatalog(storage), [FIRST], recovered, report, 1.0, 2.0)


@pytest.mark.parametrize(
    ("numbers", "violations", "missing", "broken"),
    [
        ((2, 3, 4), 0, [], []),
        ((2, 4), 0, ["000000010000000000000003"], []),
        ((2, 3), 5, [], ["one"]),
    ],
)
def test_a_gap_and_a_violation_are_failures(
    tmp_path: Path,
    numbers: tuple[int, ...],
    violations: int,
    missing: list[str],
    broken: list[str],
) -> None:
    found = verification(tmp_path, numbers, violations, NOW - timedelta(seconds=30))
    assert (found.missing_wal, found.broken) == (missing, broken)
    assert found.ok is (not missing and not broken)
    assert found.rpo_s == 30


def test_without_a_commit_the_end_of_the_backup_counts(tmp_path: Path) -> None:
    found = verification(tmp_path, (2,), 0, None)
    assert found.recovered_to is None
    assert found.rpo_s == (NOW - FIRST.finished_at).total_seconds()
