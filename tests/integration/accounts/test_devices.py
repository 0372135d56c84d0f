"""Where an account is logged in: its own valid log-ins, and one of them can be ended."""

from typing import Any, cast
from uuid import UUID

import pytest

from boxoffice.accounts.devices.errors import SessionNotFound
from boxoffice.accounts.devices.routes import sessions_out
from boxoffice.accounts.devices.service import Devices
from boxoffice.accounts.devices.store import DeviceStore
from boxoffice.accounts.service import Accounts
from boxoffice.accounts.tokens import Caller
from boxoffice.errors import TokenInvalid, Unavailable
from boxoffice.platform.ids import new_id
from boxoffice.platform.postgres.database import Database

from .conftest import MakeAccounts

PASSWORD = "열려라 참깨 8"
HERE = "192.0.2.1"
PHONE = (
    "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/140.0.0.0 Mobile Safari/537.36"
)


async def log_in(pod: Accounts, email: str, device: str = "") -> Caller:
    token, _ = await pod.log_in(email, PASSWORD, HERE, device)
    return pod.tokens.verify(token)


def devices(db: Database, pod: Accounts, shown_max: int = 50) -> Devices:
    return Devices(DeviceStore(db), pod.tokens, shown_max)


async def ids(service: Devices, user_id: UUID) -> list[UUID]:
    return [one.session_id for one in await service.of(user_id)]


async def test_each_log_in_is_a_device_and_one_can_be_ended(
    db: Database, make_accounts: MakeAccounts
) -> None:
    ours, theirs = make_accounts(), make_accounts()
    await ours.ensure_key()
    await theirs.ensure_key()
    user_id = await ours.sign_up("devices@example.test", PASSWORD, "A")
    stranger_id = await ours.sign_up("stranger@example.test", PASSWORD, "B")
    stranger = await log_in(ours, "stranger@example.test")
    phone = await log_in(ours, "devices@example.test", PHONE)
    other = await log_in(theirs, "devices@example.test")
    service = devices(db, ours)
    shown = sessions_out(await service.of(user_id), phone.token_id).items
    assert [(one.browser, one.system, one.is_current) for one in shown] == [
        ("", "", False),
        ("Chrome", "Android", True),
    ]
    assert shown[0].expires_at.timestamp() == other.expires_at
    with pytest.raises(SessionNotFound):
        await service.end(stranger_id, shown[0].session_id)
    with pytest.raises(SessionNotFound):
        await service.end(user_id, new_id())
    for _ in range(2):  # a repetition, as after a lost answer
        await service.end(user_id, shown[0].session_id)
    for pod in (ours, theirs):
        await pod.tokens.refresh()
        assert not pod.tokens._is_revoked(phone)
        assert not pod.tokens._is_revoked(stranger)
        assert pod.tokens._is_revoked(other)
        with pytest.raises(TokenInvalid):
            await pod.confirm(other)
    assert await ids(service, user_id) == [shown[1].session_id]
    assert len(await ids(service, stranger_id)) == 1


async def test_what_has_ended_is_no_device(db: Database, accounts: Accounts) -> None:
    user_id = await accounts.sign_up("ended@example.test", PASSWORD, "A")
    service = devices(db, accounts)
    await log_in(accounts, "ended@example.test")
    await db.fetch("UPDATE account_sessions SET expires_at = clock_timestamp()")
    assert await ids(service, user_id) == []
    await log_in(accounts, "ended@example.test")
    [row] = await db.read("SELECT count(*) AS n FROM account_sessions")
    assert row["n"] == 1, "expired ones are deleted"
    caller = await log_in(accounts, "ended@example.test")
    assert len(await ids(service, user_id)) == 2
    assert len(await ids(devices(db, accounts, shown_max=1), user_id)) == 1
    await accounts.log_out(caller)
    assert len(await ids(service, user_id)) == 1
    await accounts.log_out_everywhere(user_id)
    assert await ids(service, user_id) == []
    await log_in(accounts, "ended@example.test")
    assert len(await ids(service, user_id)) == 1


async def test_a_log_in_goes_on_where_its_device_cannot_be_written(
    db: Database, accounts: Accounts, monkeypatch: pytest.MonkeyPatch
) -> None:
    user_id = await accounts.sign_up("unlisted@example.test", PASSWORD, "A")

    async def away(*_: object) -> None:
        raise Unavailable

    monkeypatch.setattr(cast("Any", accounts)._store, "add_session", away)
    assert (await log_in(accounts, "unlisted@example.test")).user_id == user_id
    assert await ids(devices(db, accounts), user_id) == []
