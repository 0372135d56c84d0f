"""The demo's mailbox shows what would have been sent, to this machine only; the language of mail."""

import asyncio
from email.message import EmailMessage
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from boxoffice.errors import NotFound
from boxoffice.http.api.operation import Call, RouteDependencies
from boxoffice.notifications.mail.routes import DemoMailbox, demo_routes
from boxoffice.notifications.mail.store import MailLanguages
from boxoffice.notifications.mail.transports import MailboxTransport
from boxoffice.platform.postgres.database import Database
from tests.support.hall import Hall

DEPENDENCIES = RouteDependencies(lambda _token: None, 1, 1)  # type: ignore[arg-type, return-value]


class Asked:
    """A request from an address."""

    def __init__(self, address: str, **headers: str) -> None:
        self.client = (address, 1)
        self._headers = headers

    def get_header(self, name: str) -> str | None:
        """Return a header."""
        return self._headers.get(name.replace("-", "_"))


async def show(directory: Path, asked: Any) -> str:
    """Return the page."""
    reply = await DemoMailbox(directory, DEPENDENCIES).on_get(Call(asked))
    assert reply.headers is not None
    assert "default-src 'none'" in reply.headers["Content-Security-Policy"]
    return (reply.encoded or b"").decode()


async def keep(directory: Path, subject: str, text: str = "Text") -> None:
    """Put a mail into the mailbox."""
    message = EmailMessage()
    message["Subject"], message["To"] = subject, "Buyer <buyer@demo.test>"
    message["Message-ID"] = f"<{uuid4()}@shop.example>"
    message.set_content(text)
    box = MailboxTransport(directory, 100)
    await box.open()
    await box.send(message, "buyer@demo.test")


async def test_the_newest_come_first_and_nothing_is_markup(tmp_path: Path) -> None:
    assert "There is no mail yet" in await show(tmp_path, Asked("127.0.0.1"))
    await keep(tmp_path, "First", "<script>alert(1)</script>")
    await asyncio.sleep(0.01)
    await keep(tmp_path, "<b>Second</b>")
    page = await show(tmp_path, Asked("127.0.0.1", Accept_Language="ko-KR,ko;q=0.9"))
    assert page.index("&lt;b&gt;Second") < page.index("First")
    assert "<script>" not in page
    assert "데모 메일함" in page


@pytest.mark.parametrize(
    "asked",
    [
        Asked("192.0.2.1"),
        Asked("127.0.0.1", X_Forwarded_For="192.0.2.1"),
        Asked("127.0.0.1", Host="evil.example"),
    ],
)
async def test_other_machines_do_not_see_it(tmp_path: Path, asked: Asked) -> None:
    await keep(tmp_path, "First")
    with pytest.raises(NotFound):
        await show(tmp_path, asked)


def test_without_a_directory_there_is_no_mailbox() -> None:
    assert demo_routes("", DEPENDENCIES) == []


async def test_a_person_chooses_the_language_of_mail(db: Database, hall: Hall) -> None:
    languages = MailLanguages(db, "ko")
    first, second = hall.people[:2]

    async def chosen() -> list[str]:
        people: list[UUID] = [first, second]
        return [await languages.get(one) for one in people]

    assert await chosen() == ["ko", "ko"]
    await languages.choose(first, "en")
    assert await chosen() == ["en", "ko"]
    await languages.choose(first, "ko")
    await languages.choose(second, "en")
    assert await chosen() == ["ko", "en"]
