"""Reports by mail: each period's mail is queued once, with its figures, for members only."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, Literal
from zoneinfo import ZoneInfo

import asyncpg
import pytest
from msgspec.structs import replace

from boxoffice.errors import Invalid, OrganizationNotFound, Unavailable
from boxoffice.notifications import messenger
from boxoffice.notifications.mail.reports import report_mail
from boxoffice.notifications.mail.rules import Shop
from boxoffice.notifications.mail.store import ClaimedMail, MailQueue
from boxoffice.platform.postgres.database import Database, Record
from boxoffice.reports.composition import compose_report_mailer
from boxoffice.reports.mailing.rules import due_at, first_day, period
from boxoffice.reports.mailing.service import ReportChoice, ReportMailer, ReportMails
from boxoffice.reports.mailing.store import ReportSubscription, SubscriptionStore
from boxoffice.settings import Settings
from tests.support.hall import Hall
from tests.support.members import member
from tests.support.refunds import sold
from tests.support.shared_database import other
from tests.support.waiting import until

__all__ = ["other"]

SEOUL = "Asia/Seoul"
NOON = datetime(2026, 11, 18, 3, tzinfo=UTC)


@pytest.fixture
async def mailer(db: Database, settings: Settings) -> ReportMailer:
    """One process."""
    return compose_report_mailer(settings, db)


@pytest.fixture
async def second(settings: Settings) -> AsyncIterator[ReportMailer]:
    """Another process."""
    database = Database(settings)
    await database.open()
    yield compose_report_mailer(settings, database)
    await database.close()


async def choose(
    hall: Hall,
    frequency: Literal["none", "daily", "weekly"] = "daily",
    now: datetime | None = None,
    **changed: Any,
) -> list[ReportSubscription]:
    at = (now or datetime.now(UTC)).timestamp()
    wanted = {"report": "sales", "hour": 8, "time_zone": SEOUL, "frequency": frequency, **changed}
    mails = ReportMails(SubscriptionStore(hall.db), lambda: at)
    return await mails.choose(member(hall.schedule_id), hall.schedule_id, ReportChoice(**wanted))


async def make_due(hall: Hall) -> None:
    await hall.db.fetch(
        "UPDATE report_subscriptions SET due_at = clock_timestamp()"
        " WHERE organization_id = $1 AND user_id = $1",
        hall.schedule_id,
    )


async def queued(hall: Hall) -> list[tuple[str, date, date, int, str]]:
    rows = await hall.db.fetch(
        "SELECT r.report, r.first_day, r.last_day, count(m.mail_id)::int AS mails, r.totals::text"
        " FROM report_mails r LEFT JOIN mails m"
        " ON m.user_id = r.user_id AND m.kind = 'report' AND m.subject_id = r.report_mail_id"
        " AND m.scope_id = r.organization_id"
        " WHERE r.organization_id = $1"
        " GROUP BY r.organization_id, r.user_id, r.report, r.frequency, r.first_day"
        " ORDER BY r.report, r.first_day",
        hall.schedule_id,
    )
    return [tuple(row) for row in rows]


async def test_each_period_is_mailed_once_by_two_processes(
    hall: Hall, beside: Hall, mailer: ReportMailer, second: ReportMailer
) -> None:
    three_days_ago = datetime.now(UTC) - timedelta(days=3)
    await choose(hall, now=three_days_ago, hour=1)
    await choose(beside)
    for _ in range(5):
        await asyncio.gather(*(one.queue_due() for one in (mailer, second, mailer, second)))
    found = await queued(hall)
    days = [first for _, first, *_ in found]
    assert len(days) == len(set(days)) >= 2
    assert days == [days[0] + timedelta(days=at) for at in range(len(days))]
    assert all((first, mails) == (last, 1) for _, first, last, mails, _ in found)
    assert await queued(beside) == []


async def test_the_messengers_send_it_once_though_one_is_killed(
    hall: Hall, settings: Settings, tmp_path: Path
) -> None:
    await choose(hall, "weekly")
    await make_due(hall)
    quick = settings.replace(
        report_mails_interval_ms=20,
        messenger_interval_ms=10,
        # A process that does not run for so long would lose the lease and send it once more.
        messenger_lease_ms=2_500,
        mailbox_dir=str(tmp_path),
        public_url="https://shop.example",
    )
    stop = asyncio.Event()
    killed, heir = (asyncio.create_task(messenger.run(quick, stop)) for _ in range(2))

    async def is_queued() -> bool:
        return bool(await queued(hall))

    async def is_sent() -> bool:
        query = "SELECT FROM mails WHERE user_id = $1 AND state = 'SENT'"
        return bool(await hall.db.fetch(query, hall.schedule_id))

    await until(is_queued)
    killed.cancel()
    await until(is_sent)
    stop.set()
    await asyncio.gather(killed, heir, return_exceptions=True)
    files = await asyncio.to_thread(lambda: [one.read_text() for one in tmp_path.iterdir()])
    assert len([one for one in files if str(hall.schedule_id) in one]) == 1
    assert len(await queued(hall)) == 1


async def test_a_mail_that_was_not_committed_is_queued_later(
    hall: Hall, mailer: ReportMailer, other: "asyncpg.Connection[Record]"
) -> None:
    await choose(hall, now=datetime.now(UTC) - timedelta(days=2))
    due = await SubscriptionStore(hall.db).due(99)
    [mine] = [one for one in due if one.organization_id == hall.schedule_id]
    for table in ("report_mails", "mails"):
        async with other.transaction():
            await other.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")
            with pytest.raises((Unavailable, asyncpg.PostgresError)):
                await mailer._queue(mine)
        assert await queued(hall) == []
    await mailer.queue_due()
    assert [mails for *_, mails, _ in await queued(hall)][:1] == [1]


async def test_a_choice_that_was_changed_meanwhile_is_kept(
    hall: Hall, mailer: ReportMailer
) -> None:
    monday = NOON - timedelta(days=2)
    await choose(hall, "daily", monday)
    due = await SubscriptionStore(hall.db).due(99)
    [mine] = [one for one in due if one.organization_id == hall.schedule_id]
    chosen = await choose(hall, "weekly", monday)
    assert [one.next_day for one in chosen] == [mine.next_day]
    assert not await mailer._queue(mine)
    assert await SubscriptionStore(hall.db).of_person(hall.schedule_id, hall.schedule_id) == chosen
    assert await queued(hall) == []


async def neighbours(hall: Hall, beside: Hall) -> list[ReportSubscription]:
    """What the person gets of another organization, and another person of this one."""
    here, there = hall.schedule_id, beside.schedule_id
    store = SubscriptionStore(hall.db)
    return [*await store.of_person(there, here), *await store.of_person(here, there)]


async def test_a_mail_has_the_totals_and_no_personal_data(
    hall: Hall, beside: Hall, mailer: ReportMailer
) -> None:
    here, there = hall.schedule_id, beside.schedule_id
    mails = ReportMails(SubscriptionStore(hall.db), lambda: datetime.now(UTC).timestamp())
    weekly = ReportChoice(report="sales", frequency="weekly", hour=8, time_zone=SEOUL)
    await mails.choose(member(here, there), there, weekly)
    await mails.choose(member(there, here), here, weekly)
    await hall.db.fetch(
        "INSERT INTO organization_members (organization_id, user_id, role)"
        " VALUES ($1, $2, 'manager'), ($2, $1, 'manager')",
        here,
        there,
    )
    before = await neighbours(hall, beside)
    assert len(before) == 2
    await hall.db.fetch(
        "UPDATE organizations SET name = 'Mine' WHERE organization_id = $1", hall.schedule_id
    )
    await sold(hall, hall.people[0], "S001", "S002")
    today = datetime.now(ZoneInfo(SEOUL)).date()
    monday = today - timedelta(days=today.weekday())
    for report in ("sales", "settlement"):
        await choose(hall, "weekly", report=report)
    await make_due(hall)
    await mailer.queue_due()
    assert await neighbours(hall, beside) == before
    sunday = monday + timedelta(days=6)
    assert [one[:4] for one in await queued(hall)] == [
        ("sales", monday, sunday, 1), ("settlement", monday, sunday, 1),
    ]  # fmt: skip
    [row, _] = await hall.db.fetch(
        "SELECT m.* FROM mails m JOIN report_mails r ON r.report_mail_id = m.subject_id"
        " WHERE m.user_id = $1 ORDER BY r.report",
        hall.schedule_id,
    )
    facts = await MailQueue(hall.db).report(row["subject_id"])
    assert facts is not None
    assert (facts.report, facts.organization_name) == ("sales", "Mine")
    shop = Shop("Shop <shop@example.org>", "https://shop.example", ZoneInfo(SEOUL))
    for language, net in (("en", "Net: KRW 2,000"), ("ko", "순 판매액: KRW 2,000")):
        mail = ClaimedMail(
            user_id=row["user_id"], mail_id=row["mail_id"], scope_id=row["scope_id"],
            subject_id=row["subject_id"], kind="report", queued_at=row["queued_at"],
            attempts=1, tries=0, to_address="ann@example.org", language=language,
            message_id="m@shop.example", name="Ann",
        )  # fmt: skip
        message = report_mail(mail, facts, shop)
        body = message.get_body(("plain",))
        assert body is not None
        text = body.get_content()
        assert net in text
        assert f"/organizer/reports?report=sales&since={monday}&until={sunday}" in text
        assert str(hall.people[0]) not in str(message)
        assert [one.get_content_type() for one in message.iter_attachments()] == []


async def test_a_choice_is_ones_own_and_ends_with_the_membership(
    hall: Hall, beside: Hall, mailer: ReportMailer
) -> None:
    here, there = hall.schedule_id, beside.schedule_id
    store = SubscriptionStore(hall.db)
    mails = ReportMails(store, lambda: datetime.now(UTC).timestamp())
    choice = ReportChoice(report="sales", frequency="daily", hour=7, time_zone=SEOUL)
    await mails.choose(member(here, there), there, choice)
    await mails.choose(member(there, here), here, choice)
    [one] = await choose(hall, "weekly", NOON)
    assert (one.next_day, one.due_at) == (
        date(2026, 11, 16),
        datetime(2026, 11, 22, 23, tzinfo=UTC),
    )
    [one] = await choose(hall, "weekly", NOON + timedelta(days=9), hour=9)
    assert (one.next_day, one.hour) == (date(2026, 11, 16), 9)
    [one] = await choose(hall, "daily", NOON)
    assert one.next_day == date(2026, 11, 18)
    both = await choose(hall, "daily", NOON, report="settlement")
    assert [one.report for one in both] == ["sales", "settlement"]
    await choose(beside)
    assert [one.report for one in await choose(hall, "none", report="sales")] == ["settlement"]
    with pytest.raises(Invalid):
        await choose(hall, time_zone="Mars/Olympus")
    with pytest.raises(OrganizationNotFound):
        await mails.of(member(here), there)
    for organization_id, person, hour in ((there, there, 8), (there, here, 7), (here, there, 7)):
        [kept] = await store.of_person(organization_id, person)
        assert kept.hour == hour
    for actor, place in ((member(here, there), there), (member(there, here), here)):
        await mails.choose(actor, place, replace(choice, report="settlement"))
    before = await neighbours(hall, beside)
    await hall.db.fetch(
        "UPDATE organization_members SET role = 'door' WHERE organization_id = $1", hall.schedule_id
    )
    await mailer.queue_due()
    assert await queued(hall) == []
    assert await store.of_person(here, here) == []
    assert await neighbours(hall, beside) == before
    assert len(before) == 4


def test_periods_are_days_and_weeks_of_a_zone() -> None:
    wednesday = date(2026, 11, 18)
    assert first_day("daily", wednesday) == wednesday
    assert period("weekly", first_day("weekly", wednesday)) == (
        date(2026, 11, 16), date(2026, 11, 22),
    )  # fmt: skip
    zone = ZoneInfo("America/New_York")
    # Clocks go forward at 2:00 on 8 March.
    before, after = (due_at(period("daily", date(2026, 3, day)), 8, zone) for day in (6, 7))
    assert (before.hour, after.hour) == (13, 12)
