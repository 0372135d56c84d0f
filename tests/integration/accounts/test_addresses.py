"""Limits per address: password spraying, lock-outs of others, and mass sign-ups."""

import socket
from collections.abc import AsyncIterator
from uuid import uuid4

import pytest

from boxoffice.accounts.limits.attempt_counters import LocalAttemptCounters
from boxoffice.accounts.service import Accounts
from boxoffice.errors import CredentialsInvalid, EmailTaken, TooMany, Unavailable
from boxoffice.platform.client_addresses import address_bucket
from boxoffice.platform.postgres.database import Database
from boxoffice.platform.valkey import Valkey
from boxoffice.settings import Settings

from .conftest import MakeAccounts

PASSWORD = "열려라 참깨 8"
DEFAULTS = Settings()


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """The limits as a shop has them, in long windows."""
    return settings.replace(
        login_window_s=600,
        login_address_failures_max=DEFAULTS.accounts.login_address_failures_max,
        login_address_attempts_max=DEFAULTS.accounts.login_address_attempts_max,
        sign_ups_per_address_max=DEFAULTS.accounts.sign_ups_per_address_max,
    )


def network() -> str:
    """A /64 that no other test uses: all share one Valkey."""
    return "2001:db8:" + ":".join(uuid4().hex[at : at + 4] for at in (0, 4))


@pytest.fixture
def home() -> str:
    """Where an honest owner logs in."""
    return f"{network()}::7"


@pytest.fixture
async def owner(accounts: Accounts) -> str:
    """The e-mail of an account."""
    email = f"{uuid4().hex}@example.test"
    await accounts.sign_up(email, PASSWORD, "A")
    return email


async def guess(accounts: Accounts, email: str, address: str) -> bool:
    """Try a wrong password; say whether it was tried at all."""
    try:
        await accounts.log_in(email, "wrong password", address)
    except TooMany:
        return False
    except CredentialsInvalid:
        return True
    raise AssertionError("a wrong password opened an account")


async def test_spraying_many_accounts_from_one_network_is_429(
    accounts: Accounts, owner: str, home: str
) -> None:
    net = network()
    tried = [
        await guess(accounts, f"{uuid4().hex}@example.test", f"{net}::{n:x}") for n in range(60)
    ]
    assert sum(tried) == DEFAULTS.accounts.login_address_failures_max
    with pytest.raises(TooMany) as caught:
        await accounts.log_in(owner, PASSWORD, f"{net}::ffff")
    assert 1 <= int(str(caught.value.extra["retry_after_s"])) <= 600
    await accounts.log_in(owner, PASSWORD, home)


async def test_guesses_from_one_network_lock_no_account(
    accounts: Accounts, owner: str, home: str
) -> None:
    net = network()
    tried = [await guess(accounts, owner, f"{net}::{n:x}") for n in range(100)]
    assert sum(tried) == DEFAULTS.accounts.login_failures_max
    await accounts.log_in(owner, PASSWORD, home)


async def test_the_owner_gets_in_from_where_they_are_known(
    accounts: Accounts, make_accounts: MakeAccounts, owner: str, home: str
) -> None:
    await accounts.log_in(owner, PASSWORD, home)
    for _ in range(DEFAULTS.accounts.login_failures_max):
        net = network()
        for _ in range(DEFAULTS.accounts.login_failures_max):
            assert await guess(accounts, owner, f"{net}::1")
    assert not await guess(accounts, owner, f"{network()}::1"), "the account's limit is reached"
    other = make_accounts()
    await other.ensure_key()
    for pod in (accounts, other):
        # Another machine of the same network, as phones are every other day.
        await pod.log_in(owner, PASSWORD, home.replace("::7", "::8"))
        with pytest.raises(TooMany):
            await pod.log_in(owner, PASSWORD, f"{network()}::1")
    # Known addresses have their own limits still.
    tried = [await guess(accounts, owner, home) for _ in range(20)]
    assert sum(tried) == DEFAULTS.accounts.login_failures_max


async def test_an_address_without_a_login_is_not_known(
    accounts: Accounts, owner: str, home: str, db: Database
) -> None:
    await guess(accounts, owner, home)
    assert await db.read("SELECT FROM known_addresses") == []
    await accounts.log_in(owner, PASSWORD, home)
    (row,) = await db.read("SELECT address_digest FROM known_addresses")
    assert home.encode() not in row["address_digest"]
    digest = row["address_digest"]
    assert await accounts._store.is_known(owner, digest, 600)
    assert not await accounts._store.is_known(f"x{owner}", digest, 600)
    assert not await accounts._store.is_known(owner, bytes(32), 600)
    await db.fetch("UPDATE known_addresses SET seen_at = seen_at - interval '601 s'")
    assert not await accounts._store.is_known(owner, digest, 600)


async def test_known_addresses_are_few_and_forgotten(
    accounts: Accounts, owner: str, db: Database
) -> None:
    await db.fetch(
        "INSERT INTO known_addresses (user_id, address_digest, seen_at)"
        " SELECT user_id, sha256(n::text::bytea), clock_timestamp() - interval '91 days'"
        "   FROM users, generate_series(1, 5) n"
    )
    stranger = f"{uuid4().hex}@example.test"
    await accounts.sign_up(stranger, PASSWORD, "B")
    await accounts.log_in(stranger, PASSWORD, f"{network()}::1")
    (row,) = await db.read("SELECT count(*) AS n FROM known_addresses")
    assert row["n"] == 1, "old ones of all accounts go"
    nets = [network() for _ in range(DEFAULTS.accounts.known_addresses_max + 2)]
    for net in nets:
        await accounts.log_in(owner, PASSWORD, f"{net}::1")
    (row,) = await db.read("SELECT count(*) AS n FROM known_addresses")
    assert row["n"] == 1 + DEFAULTS.accounts.known_addresses_max
    known = [
        await accounts._store.is_known(
            owner, await accounts._digest(owner, address_bucket(f"{net}::1")), 600
        )
        for net in nets
    ]
    assert known == [False, False] + [True] * DEFAULTS.accounts.known_addresses_max


async def test_an_address_is_written_once_a_day(
    accounts: Accounts, owner: str, home: str, db: Database
) -> None:
    seen = []
    for _ in range(2):
        await accounts.log_in(owner, PASSWORD, home)
        seen += await db.read("SELECT seen_at, xmin::text FROM known_addresses")
    assert seen[0] == seen[1]
    await db.fetch("UPDATE known_addresses SET seen_at = seen_at - interval '25 hours'")
    await accounts.log_in(owner, PASSWORD, home)
    (row,) = await db.read(
        "SELECT clock_timestamp() - seen_at < '1 hour' AS is_new FROM known_addresses"
    )
    assert row["is_new"]


async def test_a_log_in_succeeds_where_its_address_cannot_be_written(
    accounts: Accounts, owner: str, home: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(*_: object) -> None:
        raise Unavailable

    monkeypatch.setattr(accounts._store, "remember_address", away)
    assert await accounts.log_in(owner, PASSWORD, home)


async def test_log_ins_that_succeed_are_counted_too(
    make_accounts: MakeAccounts, settings: Settings, owner: str, home: str
) -> None:
    accounts = make_accounts(settings.replace(login_address_attempts_max=3))
    await accounts.ensure_key()
    for _ in range(3):
        await accounts.log_in(owner, PASSWORD, home)
    with pytest.raises(TooMany):
        await accounts.log_in(owner, PASSWORD, home)


async def test_one_network_makes_a_few_accounts(
    accounts: Accounts, make_accounts: MakeAccounts, owner: str, db: Database
) -> None:
    net, pods = network(), (accounts, make_accounts())
    # A guess at who has an account counts like an account that is made.
    with pytest.raises(EmailTaken):
        await accounts.sign_up(owner, PASSWORD, "A", f"{net}::1")
    for n in range(DEFAULTS.accounts.sign_ups_per_address_max - 1):
        email = f"{uuid4().hex}@example.test"
        await pods[n % 2].sign_up(email, PASSWORD, "A", f"{net}::{n:x}")
    for pod in pods:
        with pytest.raises(TooMany) as caught:
            await pod.sign_up(f"{uuid4().hex}@example.test", PASSWORD, "A", f"{net}::1")
        assert (
            1
            <= int(str(caught.value.extra["retry_after_s"]))
            <= DEFAULTS.accounts.sign_ups_window_s
        )
    await accounts.sign_up(f"{uuid4().hex}@example.test", PASSWORD, "A", f"{network()}::1")
    # It is another limit than that of log-ins.
    await accounts.log_in(owner, PASSWORD, f"{net}::1")


async def test_a_sign_up_that_was_not_decided_is_not_counted(
    make_accounts: MakeAccounts, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    accounts = make_accounts(settings.replace(sign_ups_per_address_max=1))
    address = f"{network()}::1"

    async def away(*_: object) -> None:
        raise Unavailable

    with monkeypatch.context() as patched:
        patched.setattr(accounts._store, "add_user", away)
        for _ in range(3):
            with pytest.raises(Unavailable):
                await accounts.sign_up(f"{uuid4().hex}@example.test", PASSWORD, "A", address)
    await accounts.sign_up(f"{uuid4().hex}@example.test", PASSWORD, "A", address)
    with pytest.raises(TooMany):
        await accounts.sign_up(f"{uuid4().hex}@example.test", PASSWORD, "A", address)


@pytest.fixture
async def unreachable(settings: Settings) -> AsyncIterator[Valkey]:
    """A client of a port on which nothing listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        client = Valkey(settings.replace(valkey_url=f"redis://127.0.0.1:{port}/0").valkey)
        yield client
        await client.close()


async def test_the_limits_of_addresses_hold_without_valkey(
    make_accounts: MakeAccounts, unreachable: Valkey, owner: str
) -> None:
    accounts, net = make_accounts(valkey=unreachable), network()
    tried = [
        await guess(accounts, f"{uuid4().hex}@example.test", f"{net}::{n:x}") for n in range(45)
    ]
    assert sum(tried) == DEFAULTS.accounts.login_address_failures_max


class Clock:
    """Monotonic seconds that a test moves."""

    at = 100.0

    def __call__(self) -> float:
        """Return the time."""
        return self.at


def test_a_process_counts_as_the_script_does() -> None:
    clock = Clock()
    counts = LocalAttemptCounters(clock)
    keys = ("pair", "email")
    assert [counts.count(keys, (2, 3), 1_000) for _ in range(3)] == [0, 0, 1_000]
    clock.at += 0.5
    assert counts.count(keys, (2, 3), 1_000) == 500, "a refused one is not counted"
    counts.forgive(keys, clear=False)
    assert counts.count(keys, (2, 3), 1_000) == 0
    counts.forgive(keys, clear=True)
    assert counts._windows["email"].attempts == 1
    clock.at += 0.6
    counts.forgive(keys, clear=False)
    assert [counts.count(keys, (2, 3), 1_000) for _ in range(3)] == [0, 0, 1_000]


def test_what_a_process_counts_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("boxoffice.accounts.limits.attempt_counters._WINDOWS_MAX", 3)
    counts = LocalAttemptCounters(Clock())
    for n in range(10):
        counts.count((str(n),), (1,), 1_000)
    assert list(counts._windows) == ["7", "8", "9"]
