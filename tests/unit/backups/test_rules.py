"""Names of WAL files, chains, retention, and targets of a restore."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from boxoffice.backups import rules
from boxoffice.backups.creation import without_password
from boxoffice.backups.errors import BackupError, BackupNotFound
from boxoffice.backups.restoring import RestoreTarget, chosen, read_target
from boxoffice.backups.rules import BackupManifest, Segment

MIB = 1 << 20
SEGMENT = 16 * MIB
FIRST = BackupManifest(
    label="f1",
    kind="full",
    parent=None,
    system_identifier="7",
    timeline=1,
    start_position=2 * SEGMENT + 40,
    stop_position=2 * SEGMENT + 400,
    segment_bytes=SEGMENT,
    started_at=datetime(2026, 1, 1, tzinfo=UTC),
    finished_at=datetime(2026, 1, 1, 1, tzinfo=UTC),
    server_version=180_000,
    product_version="1",
    schema_version="0029",
    database="boxoffice",
    role="boxoffice",
    files=[],
)


@dataclass
class Backups:
    """A catalog of backups, an hour and ten segments apart."""

    made: list[BackupManifest] = field(default_factory=lambda: [FIRST])

    def add(self, label: str, parent: str | None = None) -> "Backups":
        """Add a full backup, or one that builds on another."""
        last, after = self.made[-1], timedelta(hours=1)
        self.made.append(
            msgspec.structs.replace(
                last,
                label=label,
                kind="full" if parent is None else "incremental",
                parent=parent,
                start_position=last.start_position + 10 * SEGMENT,
                stop_position=last.stop_position + 10 * SEGMENT,
                started_at=last.started_at + after,
                finished_at=last.finished_at + after,
            )
        )
        return self


def labels(backups: list[BackupManifest]) -> list[str]:
    return [one.label for one in backups]


@pytest.mark.parametrize("segment_bytes", [MIB, SEGMENT, 1 << 30])
def test_a_segment_has_one_name(segment_bytes: int) -> None:
    for number in (0, 1, 255, 256, 4_096, 70_000):
        name = Segment(3, number).name(segment_bytes)
        assert rules.segment_of(name, segment_bytes) == (3, number)
    assert Segment(1, 0x123).name(SEGMENT) == "000000010000000100000023"


def test_names_that_postgresql_archives() -> None:
    name = "000000010000000000000004"
    for good in (name, f"{name}.partial", f"{name}.00000028.backup", "00000002.history"):
        assert rules.is_archived_name(good)
    for bad in (f"{name}.tmp", name.lower().replace("0", "g"), "../x", f"{name}/..", ""):
        assert not rules.is_archived_name(bad)
    assert rules.segment_of(f"{name}.partial", SEGMENT) is None


def test_positions_are_read_as_they_are_written() -> None:
    assert rules.read_lsn("16/B374D848") == 0x16B374D848
    assert rules.shown_lsn(0x16B374D848) == "16/B374D848"
    assert rules.read_lsn("2026-01-01") is None


def test_a_chain_begins_with_its_full_backup() -> None:
    made = Backups().add("i1", "f1").add("i2", "i1").made
    assert labels(rules.chain_of(made, "i2")) == ["f1", "i1", "i2"]
    with pytest.raises(BackupNotFound):
        rules.chain_of([one for one in made if one.label != "i1"], "i2")


def test_a_chain_ends_at_its_bound_and_with_its_timeline() -> None:
    made = Backups().add("i1", "f1").made
    assert rules.parent_of_next(made, "7", 1, 3) == made[-1]
    assert rules.parent_of_next(made, "7", 1, 2) is None
    assert rules.parent_of_next(made, "7", 2, 3) is None
    assert rules.parent_of_next(made, "8", 1, 3) is None


def test_the_newest_full_backups_stay_with_all_that_build_on_them() -> None:
    made = Backups().add("i1", "f1").add("f2").add("i2", "f2").add("f3").made
    assert labels(rules.kept(made, 2)) == ["f2", "i2", "f3"]
    assert labels(rules.kept(made, 9)) == labels(made)


def test_wal_goes_with_the_backups_that_need_it() -> None:
    made = Backups().add("f2").made
    names = [Segment(1, number).name(SEGMENT) for number in (1, 2, 11, 12, 13)]
    names += ["00000002.history", Segment(1, 2).name(SEGMENT) + ".00000028.backup"]
    assert rules.unneeded_segments(names, made) == names[:1]
    assert rules.unneeded_segments(names, made[1:]) == [*names[:3], names[-1]]
    assert rules.unneeded_segments(names, []) == []


def test_a_gap_in_the_archive_is_named() -> None:
    names = [Segment(1, number).name(SEGMENT) for number in (0, 2, 3, 6)]
    wanted = [Segment(1, number).name(SEGMENT) for number in (4, 5)]
    assert rules.missing_segments(names, FIRST) == wanted
    # After a promotion the next timeline has them.
    after = [Segment(2, number).name(SEGMENT) for number in (4, 5)]
    assert rules.missing_segments([*names, *after], FIRST) == []
    assert rules.missing_segments([], FIRST) == []


def test_a_restore_begins_with_a_backup_before_its_target() -> None:
    made = Backups().add("i1", "f1").add("f2").made
    between = RestoreTarget(moment=made[1].finished_at + timedelta(minutes=1))
    assert labels(chosen(made, None, between)) == ["f1", "i1"]
    assert labels(chosen(made, None, RestoreTarget())) == ["f2"]
    position = RestoreTarget(position=made[1].stop_position - 1)
    assert labels(chosen(made, None, position)) == ["f1"]
    assert labels(chosen(made, "i1", RestoreTarget())) == ["f1", "i1"]
    with pytest.raises(BackupNotFound):
        chosen(made, None, RestoreTarget(moment=FIRST.started_at))


def test_a_target_is_a_time_with_its_zone_a_position_or_the_end() -> None:
    assert read_target("latest") == RestoreTarget()
    assert read_target("0/2000120").options() == {"recovery_target_lsn": "0/2000120"}
    moment = read_target("2026-01-01T12:00:00+09:00")
    assert moment.options() == {"recovery_target_time": "2026-01-01T12:00:00+09:00"}
    for wrong in ("2026-01-01T12:00:00", "yesterday", "1/2/3"):
        with pytest.raises(BackupError):
            read_target(wrong)


@pytest.mark.parametrize(
    ("url", "shown", "password"),
    [
        ("postgresql://me:a%3Ab@h:1/d", "postgresql://me@h:1/d", "a:b"),
        ("postgresql://me@h1,h2/d?password=x&sslmode=require",
         "postgresql://me@h1,h2/d?sslmode=require", "x"),
        ("postgresql:///d?host=/tmp", "postgresql:///d?host=/tmp", ""),
    ],
)  # fmt: skip
def test_a_password_is_taken_out_of_an_address(url: str, shown: str, password: str) -> None:
    assert without_password(url) == (shown, password)
