"""Mails about seats that a waiting list offers."""

import pytest

from boxoffice.notifications.mail.store import MailLanguages
from boxoffice.platform.postgres.database import Database
from boxoffice.settings import Settings
from tests.support.hall import Hall

from .mail_servers import MailServer
from .messengers import messenger, until
from .test_mail import SENDER, is_state, rows, text_of

_QUEUE = "SELECT notifications_queue_mail_v1('waiting_list_offer', $1, $2, $3)"


@pytest.mark.parametrize(
    ("language", "wanted"),
    [
        (
            "en",
            ("you are next in line", "S, row 1, seat 2 (R)", "KRW 2,000", "Pay for these seats"),
        ),
        (
            "ko",
            ("대기 순서에 따라 좌석이 배정", "S 구역 1열 2번 (R)", "KRW 2,000", "좌석 결제하기"),
        ),
    ],
)
async def test_a_mail_about_an_offer_of_a_waiting_list_has_the_seats_and_their_end(
    db: Database, hall: Hall, settings: Settings, language: str, wanted: tuple[str, ...]
) -> None:
    person, other = hall.people[:2]
    await MailLanguages(db, "ko").choose(person, language)
    await hall.held(other, "S007")
    reservation = await hall.held(person, "S001", "S002")
    ended = await hall.held(person, "S005")
    await hall.lapse(ended)
    await db.fetch("DELETE FROM mails")
    async with MailServer() as server:
        mailing = settings.replace(
            smtp_url=server.url,
            smtp_starttls="off",
            smtp_timeout_ms=1_000,
            mail_from=SENDER,
            public_url="https://shop.example",
        )
        await db.fetch(_QUEUE, person, hall.schedule_id, ended)
        await db.fetch(_QUEUE, person, hall.schedule_id, reservation)
        async with messenger(mailing):
            await until(lambda: is_state(db, "FAILED", "SENT"))
    [mail] = server.mails
    text = text_of(mail)
    for part in (*wanted, "https://shop.example/reservations/"):
        assert part in text, (part, text)
    assert "S007" not in text
    assert text.count("(R)") == 2
    assert [row["last_error"] for row in await rows(db)] == ["the hold has ended", None]
