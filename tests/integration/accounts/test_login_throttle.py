"""Guessing passwords is slow, on every pod together, and never stops the shop."""

import asyncio
import socket
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

from boxoffice.accounts.limits.throttle import LoginThrottle, _keys
from boxoffice.accounts.service import Accounts
from boxoffice.errors import CredentialsInvalid, Overloaded, TooMany
from boxoffice.platform.valkey import Valkey
from boxoffice.settings import Settings

from .conftest import MakeAccounts

if TYPE_CHECKING:
    from tests.conftest import Servers

PASSWORD = "열려라 참깨 8"
LIMIT = 3


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """Few failures and a long window."""
    return settings.replace(login_failures_max=LIMIT, login_window_s=600)


@pytest.fixture
def limits(servers: "Servers") -> Settings:
    """The same for tests that need no database."""
    return Settings.of(
        valkey_url=servers.valkey_url,
        valkey_timeout_ms=5_000,
        login_failures_max=LIMIT,
        login_window_s=600,
    )


@pytest.fixture
async def shared(limits: Settings) -> AsyncIterator[Valkey]:
    """A client of the real Valkey for those."""
    client = Valkey(limits.valkey)
    yield client
    await client.close()


@pytest.fixture
def email() -> str:
    """An address of this test alone: the tests share one Valkey."""
    return f"{uuid4().hex}@example.test"


@pytest.fixture
async def person(accounts: Accounts, email: str) -> str:
    await accounts.sign_up(email, PASSWORD, "A")
    return email


async def fail(accounts: Accounts, email: str, address: str = "192.0.2.1") -> None:
    with pytest.raises(CredentialsInvalid):
        await accounts.log_in(email, "wrong password", address)


async def test_past_the_limit_even_the_right_password_waits(
    accounts: Accounts, person: str
) -> None:
    for _ in range(LIMIT):
        await fail(accounts, person)
    with pytest.raises(TooMany) as caught:
        await accounts.log_in(person.upper(), PASSWORD, "192.0.2.1")
    assert 590 <= caught.value.extra["retry_after_s"] <= 600  # type: ignore[operator]
    await accounts.log_in(person, PASSWORD, "192.0.2.2")


async def test_the_limit_is_one_for_all_pods(
    accounts: Accounts, make_accounts: MakeAccounts, person: str
) -> None:
    other = make_accounts()
    await other.ensure_key()
    for n in range(LIMIT):
        await fail((accounts, other)[n % 2], person)
    for pod in (accounts, other):
        with pytest.raises(TooMany):
            await pod.log_in(person, PASSWORD, "192.0.2.1")


async def test_guesses_side_by_side_cannot_slip_in_under_the_limit(
    accounts: Accounts, person: str
) -> None:
    guesses = [accounts.log_in(person, "wrong password", "192.0.2.1") for _ in range(LIMIT + 9)]
    results = await asyncio.gather(*guesses, return_exceptions=True)
    assert sum(isinstance(result, CredentialsInvalid) for result in results) == LIMIT
    assert sum(isinstance(result, TooMany) for result in results) == 9


async def test_success_clears_the_count(accounts: Accounts, person: str) -> None:
    for _ in range(3):
        for _ in range(LIMIT - 1):
            await fail(accounts, person)
        assert await accounts.log_in(person, PASSWORD, "192.0.2.1")


async def test_logins_that_succeed_raise_nothing_however_many(
    limits: Settings, shared: Valkey, email: str
) -> None:
    throttle = LoginThrottle(limits.accounts, shared)
    for _ in range(LIMIT * 10 + 5):
        await throttle.count(email, "192.0.2.1")
        await throttle.forgive(email, "192.0.2.1", succeeded=True)


async def test_many_addresses_share_a_laxer_limit(
    limits: Settings, shared: Valkey, email: str
) -> None:
    throttle = LoginThrottle(limits.accounts, shared)
    for n in range(LIMIT * 10):
        await throttle.count(email, f"192.0.2.{n}")
    with pytest.raises(TooMany):
        await throttle.count(email, "198.51.100.1")
    await throttle.count(f"x{email}", "198.51.100.1")


async def test_a_window_ends_and_a_closed_door_is_not_kept_closed_by_knocking(
    limits: Settings, shared: Valkey, email: str
) -> None:
    throttle = LoginThrottle(limits.replace(login_window_s=1).accounts, shared)
    waits: set[object] = set()
    async with asyncio.timeout(30):
        # A window may end while this process does not run.
        while not waits:
            counted = 0
            while counted < LIMIT:
                counted += await _wait_s(throttle, email) is None
            while (wait_s := await _wait_s(throttle, email)) is not None:
                waits.add(wait_s)
                await asyncio.sleep(0.05)
    assert waits == {1}


async def _wait_s(throttle: LoginThrottle, email: str) -> object:
    try:
        await throttle.count(email, "192.0.2.1")
    except TooMany as error:
        return error.extra["retry_after_s"]
    return None


async def test_forgiving_after_the_window_makes_no_credit(
    limits: Settings, shared: Valkey, email: str
) -> None:
    throttle = LoginThrottle(limits.accounts, shared)
    await throttle.forgive(email, "192.0.2.1", succeeded=False)
    assert await shared.command("EXISTS", *_keys(email, "192.0.2.1")) == 0


async def test_an_overloaded_login_is_not_counted(
    accounts: Accounts, person: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def overloaded(*_: object) -> bool:
        raise Overloaded

    for _ in range(LIMIT - 1):
        await fail(accounts, person)
    with monkeypatch.context() as patched:
        patched.setattr(accounts._passwords, "matches", overloaded)
        for _ in range(LIMIT + 1):
            with pytest.raises(Overloaded):
                await accounts.log_in(person, PASSWORD, "192.0.2.1")
    # Nor does it wipe out what was counted before: one failure is left, and not three.
    await fail(accounts, person)
    with pytest.raises(TooMany):
        await accounts.log_in(person, PASSWORD, "192.0.2.1")


class CountingValkey(Valkey):
    """The real thing, with an eye on how many calls are under way."""

    under_way = 0
    most = 0

    async def run(self, *args: Any) -> Any:
        """Run a script."""
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        try:
            return await super().run(*args)
        finally:
            self.under_way -= 1


async def test_a_storm_of_logins_leaves_valkey_to_the_others(limits: Settings, email: str) -> None:
    client = CountingValkey(limits.valkey)
    throttle = LoginThrottle(limits.accounts, client)
    counted = [throttle.count(email, f"192.0.2.{n % 10}") for n in range(60)]
    results = await asyncio.gather(*counted, return_exceptions=True)
    assert sum(result is None for result in results) == LIMIT * 10
    assert client.most < limits.valkey.valkey_pool_max
    await client.close()


async def test_keys_share_a_slot_and_hold_no_address(
    shared: Valkey,
) -> None:
    email = "{kim}@example.test"
    keys = _keys(email, "192.0.2.1")
    slots = {await shared.command("CLUSTER", "KEYSLOT", key) for key in keys}
    assert len(slots) == 1
    assert not any("kim" in key or "192.0.2.1" in key for key in keys)


@pytest.fixture
async def unreachable(settings: Settings) -> AsyncIterator[Valkey]:
    """A client of a port on which nothing listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        client = Valkey(settings.replace(valkey_url=f"redis://127.0.0.1:{port}/0").valkey)
        yield client
        await client.close()


async def test_without_valkey_people_get_in_and_each_process_counts(
    make_accounts: MakeAccounts, unreachable: Valkey, email: str
) -> None:
    accounts = make_accounts(valkey=unreachable)
    await accounts.ensure_key()
    await accounts.sign_up(email, PASSWORD, "A")
    for _ in range(LIMIT):
        await fail(accounts, email)
    token, _ = await accounts.log_in(email, PASSWORD, "192.0.2.2")
    assert accounts.tokens.verify(token).role == "buyer"
    with pytest.raises(TooMany) as caught:
        await accounts.log_in(email, PASSWORD, "192.0.2.1")
    assert 590 <= caught.value.extra["retry_after_s"] <= 600  # type: ignore[operator]
    # Another process knows nothing of it.
    other = make_accounts(valkey=unreachable)
    await other.ensure_key()
    await other.log_in(email, PASSWORD, "192.0.2.1")
