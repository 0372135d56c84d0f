"""Mails about accounts: to the address that they are about, with a link that works, or not at all."""

import re
from collections.abc import AsyncIterator
from typing import Any, cast

import pytest

from boxoffice.accounts.composition import AccountServices, compose_accounts
from boxoffice.notifications.mail.accounts import _TEXTS
from boxoffice.platform.clock import DatabaseClock
from boxoffice.platform.postgres.database import Database
from boxoffice.platform.valkey import Valkey
from boxoffice.settings import Settings

from .mail_servers import MailServer
from .messengers import messenger, until
from .test_mail import is_state, mailing, rows, server, text_of

__all__ = ["mailing", "server"]

PASSWORD, NEW = "열려라 참깨 8", "이번에는 다른 것 9"
HERE = "2001:db8:77::1"


@pytest.fixture
async def services(
    settings: Settings, db: Database, valkey: Valkey
) -> AsyncIterator[AccountServices]:
    """The use cases of accounts."""
    clock = DatabaseClock(db.now_s)
    await clock.synchronize()
    made = compose_accounts(settings, db, valkey, clock)
    await made.accounts.ensure_key()
    yield made
    made.accounts.close()


def token_in(text: str, page: str) -> str:
    found = re.search(rf"https://shop\.example{page}#([\w.-]+)", text)
    assert found
    return found[1]


async def test_a_person_is_led_by_mail(
    db: Database, services: AccountServices, server: MailServer, mailing: Settings
) -> None:
    email, new_email = "led-by-mail@example.test", "led-elsewhere@example.test"
    user_id = await services.accounts.sign_up(email, PASSWORD, "Win a prize", HERE, "ko")
    async with messenger(mailing):
        await until(lambda: is_state(db, "SENT"))
        assert server.recipients == [email]
        assert server.mails[0]["Subject"] == "이메일 주소를 확인해 주세요"
        assert "Win a prize" not in str(server.mails[0]), "a stranger's text for any address"
        await services.links.confirm_email(token_in(text_of(server.mails[0]), "/account/confirm"))
        await services.own.request_email(user_id, new_email, PASSWORD, HERE)
        await until(lambda: is_state(db, "SENT", "SENT"))
        await services.links.confirm_email(token_in(text_of(server.mails[1]), "/account/confirm"))
        await until(lambda: is_state(db, "SENT", "SENT", "SENT"))
        assert server.recipients == [email, new_email, email]
        assert new_email not in text_of(server.mails[2]), "the old address need not be the owner's"
        await services.links.request_reset(new_email, HERE, "en")
        await until(lambda: is_state(db, *["SENT"] * 4))
        mail = server.mails[3]
        assert "for 30 minutes" in text_of(mail)
        assert token_in(text_of(mail), "/account/reset") in text_of(mail, "html")
        token = token_in(text_of(mail), "/account/reset")
        await services.links.reset_password(token, NEW, HERE)
        await until(lambda: is_state(db, *["SENT"] * 5))
    assert server.recipients[3:] == [new_email, new_email]
    assert "https://shop.example/account/forgot" in text_of(server.mails[4])
    assert token not in repr([dict(row) for row in await rows(db)])


async def test_nothing_is_sent_to_an_unknown_address_or_with_a_void_link(
    db: Database, services: AccountServices, server: MailServer, mailing: Settings
) -> None:
    email = "void@example.test"
    await services.accounts.sign_up(email, PASSWORD, "A")
    await services.links.request_reset("unknown@example.test", HERE, None)
    await services.links.request_reset(email, HERE, None)
    await db.fetch("UPDATE users SET credentials_version = credentials_version + 1")
    await services.links.request_reset(email, HERE, None)
    async with messenger(mailing):
        await until(lambda: is_state(db, "FAILED", "FAILED", "SENT"))
    assert server.recipients == [email]


def test_both_languages_have_the_same_texts_about_accounts() -> None:
    texts = cast("Any", _TEXTS)
    assert texts["ko"].keys() == texts["en"].keys()
