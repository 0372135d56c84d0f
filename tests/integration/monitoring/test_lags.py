"""Lags and ages are read from the database, by its clock."""

from datetime import timedelta

from prometheus_client import REGISTRY

from boxoffice.audit import metrics as audit_metrics
from boxoffice.audit.report import Check, Report
from boxoffice.audit.runs import AuditRuns
from boxoffice.notifications.mail.store import MailQueue
from boxoffice.outbox.store import OutboxStore
from boxoffice.platform.postgres.database import Database
from boxoffice.reservations.store import ReservationStore
from boxoffice.reservations.sweeper import sweep_once
from boxoffice.waiting_list.store import WaitingListStore
from tests.support.hall import open_hall


def _value(name: str) -> float | None:
    return REGISTRY.get_sample_value(name)


async def test_the_outbox_is_as_old_as_its_oldest_event(db: Database) -> None:
    outbox = OutboxStore(db)
    assert await outbox.oldest_age_s() == 0
    hall = await open_hall(db)
    await hall.held(hall.people[0], "S001")
    assert 0 <= await outbox.oldest_age_s() < 30
    await db.fetch("UPDATE outbox SET created_at = created_at - interval '90 seconds'")
    await hall.held(hall.people[1], "S002")
    assert 90 <= await outbox.oldest_age_s() < 120
    await outbox.delete(await outbox.oldest(100), [])
    assert await outbox.oldest_age_s() == 0


async def test_the_lag_of_the_sweeper_is_that_of_the_oldest_lapsed_hold(db: Database) -> None:
    store = ReservationStore(db)
    hall = await open_hall(db)
    await hall.lapse(await hall.held(hall.people[0], "S001"))
    (before,) = await store.lapsed_schedules()
    assert await sweep_once(store, 100) == 1
    measured = _value("boxoffice_sweep_lag_seconds")
    assert measured is not None
    assert before.lag_s <= measured < before.lag_s + 30
    assert await sweep_once(store, 100) == 0
    assert _value("boxoffice_sweep_lag_seconds") == 0


async def test_the_last_audit_is_measured_with_its_result(db: Database) -> None:
    runs = AuditRuns(db, 1.0)
    assert await runs.measure() is None
    for result, violated in (
        (Report([Check("a", "", 0, []), Check("b", "", 3, []), Check("c", "", 1, [])]), 2),
        (Report([Check("a", "", 0, [])]), 0),
        ("it took too long", None),
    ):
        run_id = await runs.due(0.0)
        assert run_id is not None
        await runs.finish(run_id, await runs.now() - timedelta(seconds=5), result, 100)
        await db.fetch(
            "UPDATE audit_runs SET finished_at = finished_at - interval '2 minutes',"
            " started_at = started_at - interval '2 minutes',"
            " asked_at = asked_at - interval '3 minutes' WHERE run_id = $1",
            run_id,
        )
        figures = await runs.measure()
        assert figures is not None
        assert figures.violated == violated
        assert 120 <= figures.age_s < 150
        assert 5 <= figures.duration_s < 30
        audit_metrics.show(figures)
        assert _value("boxoffice_audit_violated_checks") == (violated or 0)
        assert _value("boxoffice_audit_failed") == (violated is None)


async def test_overdue_mail_and_entries_that_wait_are_counted(db: Database) -> None:
    hall = await open_hall(db)
    queue, lists = MailQueue(hall.db), WaitingListStore(hall.db)
    assert await queue.backlog() == (0, 0)
    assert await lists.waiting() == 0
    await hall.db.fetch(
        "INSERT INTO mails (user_id, scope_id, subject_id, kind, due_at)"
        " VALUES ($1, $2, $2, 'receipt', clock_timestamp() - interval '1 minute')",
        hall.people[0],
        hall.schedule_id,
    )
    waiting, overdue_s = await queue.backlog()
    assert waiting == 1
    assert 60 <= overdue_s < 90
    await hall.db.fetch(
        "INSERT INTO waiting_list_entries (schedule_id, entry_id, user_id, place, joined_at, seats,"
        " status, ended_at, idempotency_key, fingerprint)"
        " SELECT $1, gen_random_uuid(), $2, n, now(), 1, s, e, s, decode(repeat('00', 32), 'hex')"
        "   FROM (VALUES (1, 'WAITING', NULL), (2, 'LEFT', now())) v (n, s, e)",
        hall.schedule_id,
        hall.people[0],
    )
    assert await lists.waiting() == 1
