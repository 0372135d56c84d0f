"""Which windows of statements are due after a restore."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from boxoffice.payments.reconciliation.rules import due_runs

NOW = datetime(2026, 11, 30, 12, 30, tzinfo=UTC)
LAG = timedelta(hours=1)


def test_days_that_a_restore_lost_are_compared_however_many() -> None:
    zone = ZoneInfo("Asia/Seoul")

    def days(lost_since: datetime | None) -> int:
        due = due_runs(NOW, (), zone, LAG, lost_since)
        assert sum(one.kind == "hour" for one in due) == 48
        return sum(one.kind == "day" for one in due)

    assert days(None) == days(NOW) == days(NOW - timedelta(days=3)) == 7
    lost_since = NOW - timedelta(days=30)
    assert days(lost_since) == 30
    first = min(one.window.since for one in due_runs(NOW, (), zone, LAG, lost_since))
    assert first <= lost_since
