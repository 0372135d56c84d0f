"""Mail: what it says, in whose language, once per subject, through servers that misbehave."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest

from boxoffice.notifications.mail.store import MailLanguages, MailQueue, MailResult
from boxoffice.notifications.mail.texts import TEXTS
from boxoffice.notifications.messenger import ROLE
from boxoffice.order_numbers import rules as order_number
from boxoffice.platform.ids import ScopedId, new_id
from boxoffice.platform.lease.store import LeaseStore
from boxoffice.platform.postgres.database import Database, Record
from boxoffice.platform.valkey import Valkey
from boxoffice.settings import Settings
from tests.support.hall import Hall, open_hall
from tests.support.offers import FREE, YOUTH
from tests.support.offers import desk as offer_desk

from .mail_servers import MailServer
from .messengers import make_due, messenger, until

if TYPE_CHECKING:
    from .conftest import Deliver

SENDER = "표 파는 곳 <tickets@shop.example>"


@pytest.fixture
async def server() -> AsyncIterator[MailServer]:
    """A mail server that takes everything."""
    async with MailServer() as one:
        yield one


@pytest.fixture
def mailing(settings: Settings, server: MailServer) -> Settings:
    """Settings that send through the server."""
    return settings.replace(
        smtp_url=server.url,
        smtp_starttls="off",
        smtp_timeout_ms=1_000,
        mail_from=SENDER,
        public_url="https://shop.example/",
    )


async def buy(hall: Hall, person: UUID, *seat_ids: str) -> None:
    """Hold and pay seats."""
    await hall.pay(person, await hall.held(person, *seat_ids))


async def _sell_beside(db: Database, hall: Hall) -> None:
    """Sell what no mail of the test is about: another concert, and another seat of this schedule."""
    other = await open_hall(db, balance_minor=100_000)
    await buy(other, other.people[0], "S001")
    await buy(hall, hall.people[3], "S012")
    await db.fetch("DELETE FROM outbox")


async def rows(db: Database) -> list[Record]:
    return await db.fetch("SELECT * FROM mails ORDER BY queued_at, mail_id")


async def is_state(db: Database, *wanted: str) -> bool:
    return [row["state"] for row in await rows(db)] == list(wanted)


async def number_of(db: Database, person: UUID) -> str:
    """Return the number of the one order of a person, as it is shown."""
    query = """SELECT n.order_number FROM order_numbers n
                 JOIN reservations r USING (schedule_id, reservation_id) WHERE r.user_id = $1"""
    [row] = await db.fetch(query, person)
    return str(order_number.shown(row["order_number"]))


def text_of(mail: EmailMessage, kind: str = "plain") -> str:
    """Return the decoded text of a part."""
    part = mail.get_body((kind,))
    assert part is not None
    return str(part.get_content())


async def test_a_receipt_has_the_tickets_and_a_calendar_entry(
    db: Database, hall: Hall, relay: "Deliver", server: MailServer, mailing: Settings
) -> None:
    person = hall.people[0]
    await _sell_beside(db, hall)
    await db.fetch(
        "UPDATE concerts SET title = '밤의 노래; Encore, Seoul', venue = '올림픽홀'"
        " WHERE concert_id = $1",
        hall.schedule_id,
    )
    await db.fetch("UPDATE schedules SET starts_at = '2030-05-01T11:00:00Z'")
    await db.fetch("UPDATE users SET name = '홍길동' WHERE user_id = $1", person)
    await MailLanguages(db, "ko").choose(person, "en")
    await buy(hall, person, "S001", "S002")
    await relay()
    async with messenger(mailing):
        await until(lambda: is_state(db, "SENT"))
    [mail] = server.mails
    assert server.recipients == [f"{person}@example.org"]
    assert text_of(mail).count(", row 1, seat ") == 2
    assert mail["Subject"] == "Your tickets for 밤의 노래; Encore, Seoul"
    assert mail["From"] == SENDER
    assert mail["To"] == f"홍길동 <{person}@example.org>"
    [row] = await rows(db)
    assert mail["Message-ID"] == f"<{row['mail_id']}@shop.example>"
    assert mail["Auto-Submitted"] == "auto-generated"
    number = await number_of(db, person)
    for kind in ("plain", "html"):
        text = text_of(mail, kind)
        for part in (number, "홍길동", "올림픽홀", "Wednesday, 2030-05-01 20:00 KST", "KRW 2,000",
                     "S, row 1, seat 1 (R): KRW 1,000", "S, row 1, seat 2 (R)"):  # fmt: skip
            assert part in text, (kind, part)
        assert "https://shop.example/reservations/" in text
    [attached] = list(mail.iter_attachments())
    assert attached.get_content_type() == "text/calendar"
    entry = str(attached.get_content())
    unfolded = entry.replace("\r\n", "\n").replace("\n ", "")
    assert "DTSTART;TZID=Asia/Seoul:20300501T200000\n" in unfolded
    assert "TZOFFSETTO:+0900\n" in unfolded
    assert "SUMMARY:밤의 노래\\; Encore\\, Seoul\n" in unfolded
    assert f"DESCRIPTION:Order number: {number}\\n" in unfolded
    assert all(len(line) <= 998 for line in server.raw[0].splitlines())


async def test_a_receipt_of_offers_has_price_types_and_the_booking_fee(
    db: Database,
    hall: Hall,
    relay: "Deliver",
    server: MailServer,
    mailing: Settings,
    valkey: Valkey,
) -> None:
    person = hall.people[0]
    desk = offer_desk(hall, mailing, valkey)
    await desk.terms(YOUTH, FREE, fee_minor=50)
    elsewhere = offer_desk(await open_hall(db), mailing, valkey)
    await elsewhere.terms(replace(YOUTH, name_ko="다른 청소년"))
    held = (await desk.hold(person, "S002", "S001", types=("youth", ""))).held
    assert held is not None
    await hall.pay(person, held.reservation_id)
    await relay()
    async with messenger(mailing):
        await until(lambda: is_state(db, "SENT"))
    text = text_of(server.mails[0])
    for part in (
        "2번 (R), 청소년: KRW 670",
        "1번 (R): KRW 1,000",
        "예매 수수료: KRW 100",
        "KRW 1,770",
    ):
        assert part in text, (part, text)


async def test_without_a_choice_it_is_in_the_language_of_the_settings(
    db: Database, hall: Hall, relay: "Deliver", server: MailServer, mailing: Settings
) -> None:
    await MailLanguages(db, "ko").choose(hall.people[1], "en")
    await buy(hall, hall.people[0], "S001")
    await relay()
    async with messenger(mailing):
        await until(lambda: is_state(db, "SENT"))
    assert server.mails[0]["Subject"] == "Title 예매가 완료되었습니다"
    assert "S 구역 1열 1번 (R)" in text_of(server.mails[0])


@pytest.mark.parametrize(
    ("topic", "language", "subject", "note"),
    [
        ("succeeded", "en", "Your refund of KRW 900", "It is in your wallet."),
        ("failed", "en", "Your refund of KRW 900 is delayed", "We owe you the amount"),
        ("failed", "ko", "KRW 900 환불이 지연되고 있습니다", "잔액으로 지급하거나"),
    ],
)
async def test_a_refund_is_told_once_it_was_made_or_refused(
    db: Database, hall: Hall, server: MailServer, mailing: Settings,
    topic: str, language: str, subject: str, note: str,
) -> None:  # fmt: skip
    person = hall.people[0]
    await _sell_beside(db, hall)
    await db.fetch("UPDATE concerts SET title = 'Mine' WHERE concert_id = $1", hall.schedule_id)
    await buy(hall, person, "S001")
    [payment] = await db.fetch("SELECT * FROM payments WHERE user_id = $1", person)
    other_id, refund_id = new_id(), new_id()
    for one, amount in ((other_id, 1), (refund_id, 900)):
        await db.fetch(
            """
            INSERT INTO refunds (user_id, refund_id, schedule_id, payment_id, amount_minor, fee_minor,
                created_at, changed_at, closed_at, status, reason, destination, currency, is_whole,
                ticket_ids, seat_ids, idempotency_key, fingerprint)
            VALUES ($1, $2, $3, $4, $5, 100, now(), now(), now(), 'DONE', 'buyer', 'wallet', 'KRW',
                true, ARRAY[gen_random_uuid()], '{S001}', $2::uuid::text, '')
            """,
            person,
            one,
            hall.schedule_id,
            payment["payment_id"],
            amount,
        )
    await db.fetch(
        "SELECT notifications_queue_mails_v1($3, $1, ARRAY[$2::uuid], ARRAY[$1::uuid])",
        person,
        refund_id,
        f"refund.{topic}",
    )
    async with messenger(mailing.replace(mail_language=language)):
        await until(lambda: is_state(db, "SENT"))
    [mail] = server.mails
    assert mail["Subject"] == subject
    text = text_of(mail)
    assert f"{TEXTS[language]['fee']}: KRW 100" in text
    assert note in text
    assert f"{TEXTS[language]['order_number']}: {await number_of(db, person)}" in text
    assert f"{TEXTS[language]['concert']}: Mine" in text
    assert str(ScopedId(hall.schedule_id, payment["reservation_id"])) in text


@pytest.mark.parametrize(
    "name",
    ["Eve\r\nBcc: victim@example.org", "Eve\nX: y", "Eve\x00\x85", '"Eve" <a@b>, (c)', "님" * 200],
)
async def test_a_name_never_becomes_a_header(
    db: Database, hall: Hall, relay: "Deliver", server: MailServer, mailing: Settings, name: str
) -> None:
    person = hall.people[0]
    await db.fetch(
        "UPDATE users SET name = $2 WHERE user_id = $1", person, name.replace("\x00", "")
    )
    await db.fetch("UPDATE concerts SET title = $1", f"Title\r\nBcc: {person}@evil.example")
    await buy(hall, person, "S001")
    await relay()
    async with messenger(mailing):
        await until(lambda: is_state(db, "SENT"))
    [mail] = server.mails
    assert server.recipients == [f"{person}@example.org"]
    assert mail["Bcc"] is None
    assert mail["X"] is None
    assert [one.addr_spec for one in mail["To"].addresses] == [f"{person}@example.org"]


@pytest.mark.parametrize(
    ("rcpt", "answers", "states"),
    [
        (["550 unknown"], [], ["FAILED"]),
        ([], ["554 spam"], ["FAILED"]),
        (["450 busy"], [], ["WAITING", "SENT"]),
        ([], ["451 later"], ["WAITING", "SENT"]),
    ],
)
async def test_5xx_is_final_and_4xx_is_tried_again(
    db: Database,
    hall: Hall,
    relay: "Deliver",
    server: MailServer,
    mailing: Settings,
    rcpt: list[str],
    answers: list[str],
    states: list[str],
) -> None:
    server.rcpt, server.answers = rcpt, answers
    refusal = [*rcpt, *answers][0]
    await buy(hall, hall.people[0], "S001")
    await relay()
    async with messenger(mailing):
        await until(lambda: _was_tried(db, 1))
        [row] = await rows(db)
        assert (row["state"], row["last_error"]) == (states[0], refusal)
        if states[0] == "WAITING":
            await make_due(db)
            await until(lambda: is_state(db, "SENT"))
    assert len(server.mails) == len(states) - 1


# What a server sends, and how often: nothing, an endless greeting, a refusal, another protocol.
GREETINGS = [
    (b"", 0),
    (b"220-" + b"x" * 60_000, 10_000),
    (b"554 go away\r\n", 1),
    (b"HTTP/1.1 400 Bad Request\r\n\r\n", 1),
]


@pytest.mark.parametrize("greeting", GREETINGS, ids=["hangs", "giant", "refuses", "gibberish"])
async def test_a_server_that_misbehaves_costs_no_try(
    db: Database,
    hall: Hall,
    relay: "Deliver",
    mailing: Settings,
    server: MailServer,
    greeting: tuple[bytes, int],
) -> None:
    """Mails wait, uncounted, and leave when a server answers."""
    await buy(hall, hall.people[0], "S001")
    await relay()

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        part, count = greeting
        with contextlib.suppress(ConnectionError):
            for _ in range(count):
                writer.write(part)
                await writer.drain()
            await reader.read()
        writer.transport.abort()

    bad = await asyncio.start_server(behave, "127.0.0.1", 0)
    port = bad.sockets[0].getsockname()[1]
    started = time.monotonic()
    async with messenger(mailing.replace(smtp_url=f"smtp://127.0.0.1:{port}", smtp_timeout_ms=500)):
        await until(lambda: _has_error(db))
    assert time.monotonic() - started < 10
    bad.close()
    [row] = await rows(db)
    assert (row["state"], row["tries"]) == ("WAITING", 0)
    await make_due(db)
    async with messenger(mailing):
        await until(lambda: is_state(db, "SENT"))
    assert len(server.mails) == 1


async def test_starttls_is_required_by_default(
    db: Database, hall: Hall, relay: "Deliver", mailing: Settings, server: MailServer
) -> None:
    await buy(hall, hall.people[0], "S001")
    await relay()
    async with messenger(mailing.replace(smtp_starttls="required")):
        await until(lambda: _has_error(db))
    assert server.mails == []


async def test_without_a_server_mails_stay_queued(
    db: Database, hall: Hall, relay: "Deliver", settings: Settings
) -> None:
    await buy(hall, hall.people[0], "S001")
    await relay()
    async with messenger(settings):
        await asyncio.sleep(0.3)
    [row] = await rows(db)
    assert (row["state"], row["attempts"], row["to_address"]) == ("WAITING", 0, None)


async def test_the_mailbox_keeps_the_newest(
    db: Database, hall: Hall, relay: "Deliver", settings: Settings, tmp_path: Path
) -> None:
    for person, seat_id in zip(hall.people, hall.seat_ids, strict=False):
        await buy(hall, person, seat_id)
    await relay()
    box = tmp_path / "mailbox"
    async with messenger(settings.replace(mailbox_dir=str(box), mailbox_mails_max=3)):
        await until(lambda: is_state(db, *["SENT"] * 4))
    addresses = {row["user_id"]: row["to_address"] for row in await rows(db)}
    assert addresses == {one: f"{one}@example.org" for one in hall.people}
    files = list(box.glob("*.eml"))
    assert len(files) == 3
    mail = message_from_bytes(files[0].read_bytes(), policy=policy.default)
    assert mail["Message-ID"].strip("<>").split("@")[0] == files[0].stem
    assert oct(box.stat().st_mode)[-3:] == "700"


async def test_a_claim_fixes_the_mail_and_a_result_belongs_to_the_last_one(
    db: Database, hall: Hall, relay: "Deliver"
) -> None:
    person = hall.people[0]
    await buy(hall, person, "S001")
    await buy(hall, person, "S002")
    await relay()
    queue = MailQueue(db)
    frozen, heir = (LeaseStore(db, ROLE, new_id()) for _ in range(2))
    old = await frozen.take(60_000)
    assert old is not None

    async def claim(token: int, count_max: int = 1) -> Any:
        return await queue.claim(
            token, 60, language="en", domain="shop.example", count_max=count_max
        )

    [first] = await claim(old)
    await db.fetch("UPDATE users SET email = 'new-' || email")
    await MailLanguages(db, "ko").choose(first.user_id, "ko")
    await frozen.release(old)
    new = await heir.take(60_000)
    assert new is not None
    assert await claim(old) == []
    await queue.requeue(new)
    again = {one.mail_id: one for one in await claim(new, 9)}
    assert len(again) == 2
    await db.fetch("UPDATE mails SET attempts = 2")
    repeated = again[first.mail_id]
    assert (repeated.to_address, repeated.language, repeated.message_id) == (
        first.to_address,
        "en",
        first.message_id,
    )
    await queue.requeue(new)
    assert await claim(new, 9) == []
    await queue.write(MailResult(mail=first, state="FAILED"))
    assert await is_state(db, "WAITING", "WAITING")
    await queue.write(MailResult(mail=repeated, state="SENT"))
    await queue.write(MailResult(mail=repeated, state="WAITING"))
    assert sorted(row["state"] for row in await rows(db)) == ["SENT", "WAITING"]

    assert await queue.forget(3_600, 10) == 0
    await db.fetch("UPDATE mails SET queued_at = queued_at - interval '2 hours'")
    assert await queue.forget(3_600, 10) == 1
    assert await is_state(db, "WAITING")


_MESSENGER = """
import asyncio, os, signal, sys
from boxoffice import settings
from boxoffice.notifications import messenger
from boxoffice.notifications.mail import store, transports

point = sys.argv[1]

async def die(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)

send = transports.SmtpTransport.send

async def send_and_die(*args):
    await send(*args)
    await die()

if point == "before send":
    transports.SmtpTransport.send = die
elif point == "after send":
    transports.SmtpTransport.send = send_and_die
elif point == "before mark":
    store.MailQueue.write = die

async def main():
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    await messenger.run(settings.load(), stop)

asyncio.run(main())
"""


def start(settings: Settings, point: str) -> "subprocess.Popen[bytes]":
    """Start a messenger that dies at a point; `none` lives."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("BOXOFFICE_")}
    env |= {
        "BOXOFFICE_DATABASE_URL": settings.database.database_url,
        "BOXOFFICE_VALKEY_URL": settings.valkey.valkey_url,
        "BOXOFFICE_MESSENGER_LEASE_MS": "1000",
        "BOXOFFICE_SMTP_URL": settings.notifications.smtp_url,
        "BOXOFFICE_SMTP_STARTTLS": "off",
        "BOXOFFICE_MAIL_FROM": "tickets@shop.example",
        "BOXOFFICE_LOG_LEVEL": "error",
    }
    return subprocess.Popen([sys.executable, "-c", _MESSENGER, point], env=env)


@pytest.mark.parametrize("point", ["before send", "after send", "before mark"])
async def test_a_killed_messenger_sends_each_mail_once_in_effect(
    db: Database, hall: Hall, relay: "Deliver", server: MailServer, mailing: Settings, point: str
) -> None:
    """A mail may arrive twice; it is then the same mail, by its Message-ID."""
    for person, seat_id in zip(hall.people, hall.seat_ids, strict=False):
        await buy(hall, person, seat_id)
    await relay()
    dying = start(mailing, point)
    assert await asyncio.to_thread(dying.wait, 30) == -signal.SIGKILL
    assert (len(server.mails) == 0) == (point == "before send")
    heir = start(mailing, "none")
    try:
        await until(lambda: is_state(db, *["SENT"] * 4), timeout_s=30)
    finally:
        heir.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(heir.wait, 30) == 0
    print(f"{point}: {len(server.ids)} arrivals of 4 mails")
    sent = {f"<{row['message_id']}>" for row in await rows(db)}
    assert set(server.ids) == sent
    assert len(sent) == 4
    assert sorted(set(server.recipients)) == sorted(f"{one}@example.org" for one in hall.people)


async def _was_tried(db: Database, tries: int) -> bool:
    return bool((await rows(db))[0]["tries"] == tries)


async def _has_error(db: Database) -> bool:
    return (await rows(db))[0]["last_error"] is not None
