"""Sign-up, login, roles, keys and seeding on a real PostgreSQL."""

import asyncio
import unicodedata
from time import perf_counter
from uuid import UUID, uuid4

import jwt
import pytest

from boxoffice.accounts import store
from boxoffice.accounts.service import Accounts
from boxoffice.errors import (
    CredentialsInvalid,
    EmailTaken,
    Invalid,
    NotFound,
    OutcomeUnknown,
    TokenInvalid,
    Unavailable,
)
from boxoffice.platform.postgres.database import Database
from boxoffice.settings import Settings

from .conftest import MakeAccounts, MovedClock, who

PASSWORD = "열려라 참깨 8"
HERE = "192.0.2.1"


async def count(db: Database, table: str) -> int:
    row = await db.read_one(f"SELECT count(*) AS n FROM {table}")  # noqa: S608
    return 0 if row is None else int(row["n"])


async def test_a_new_account_can_log_in(accounts: Accounts, db: Database) -> None:
    user_id = await accounts.sign_up(" Minsu@Example.test", PASSWORD, "김민수")
    token, expires_in = await accounts.log_in("minsu@example.TEST ", PASSWORD, HERE)
    assert who(accounts.tokens.verify(token)) == (user_id, "buyer")
    assert expires_in == 3_600
    rows = await db.read("SELECT * FROM users JOIN wallets USING (user_id)")
    (row,) = rows
    assert (row["user_id"], row["email"], row["name"]) == (user_id, "minsu@example.test", "김민수")
    assert (row["currency"], row["balance_minor"]) == ("KRW", 0)
    assert PASSWORD not in row["password_hash"]


async def test_a_refused_sign_up_changes_nothing(accounts: Accounts, db: Database) -> None:
    for email, password in (
        ("nobody", PASSWORD),
        ("a@b.example", "short"),
        ("a@b.example", "\0" * 9),
    ):
        with pytest.raises(Invalid):
            await accounts.sign_up(email, password, "A")
    assert (await count(db, "users"), await count(db, "wallets")) == (0, 0)


async def test_one_address_is_signed_up_once_however_many_try(
    make_accounts: MakeAccounts, db: Database
) -> None:
    pods = [make_accounts(), make_accounts()]
    spellings = (
        "race@example.test",
        "RACE@example.test",
        " Race@Example.Test",
        "rAcE@EXAMPLE.test",
    )
    tries = [pods[n % 2].sign_up(spellings[n % 4], PASSWORD, "A") for n in range(12)]
    results = await asyncio.gather(*tries, return_exceptions=True)
    won = [result for result in results if isinstance(result, UUID)]
    assert len(won) == 1
    assert sum(isinstance(result, EmailTaken) for result in results) == 11
    assert (await count(db, "users"), await count(db, "wallets")) == (1, 1)


async def test_the_race_is_decided_by_the_constraint(
    make_accounts: MakeAccounts, db: Database
) -> None:
    # Negative control: without the constraint the same race makes several accounts.
    await db.fetch("ALTER TABLE users DROP CONSTRAINT users_email_unique")
    accounts = make_accounts()
    tries = [accounts.sign_up("race@example.test", PASSWORD, "A") for _ in range(4)]
    await asyncio.gather(*tries)
    assert await count(db, "users") == 4


async def test_a_hash_of_before_the_normal_form_verifies(accounts: Accounts, db: Database) -> None:
    typed = unicodedata.normalize("NFD", "열려라\u3000참깨 8")
    for stored in (unicodedata.normalize("NFC", typed), typed):
        email = f"{uuid4().hex}@example.test"
        await accounts.sign_up(email, PASSWORD, "A")
        old_hash = await accounts._passwords.hash(stored)
        await db.fetch("UPDATE users SET password_hash = $1 WHERE email = $2", old_hash, email)
        await accounts.log_in(email, typed, HERE)
        with pytest.raises(CredentialsInvalid):
            await accounts.log_in(email, typed + "x", HERE)


async def test_a_failed_login_gives_no_reason(accounts: Accounts) -> None:
    await accounts.sign_up("known@example.test", PASSWORD, "A")
    answers = []
    for email in ("known@example.test", "unknown@example.test"):
        with pytest.raises(CredentialsInvalid) as caught:
            await accounts.log_in(email, "wrong password", HERE)
        answers.append((caught.value.code, caught.value.detail, caught.value.extra))
    assert answers[0] == answers[1]


async def test_a_failed_login_takes_as_long_for_an_unknown_address(
    make_accounts: MakeAccounts, settings: Settings
) -> None:
    accounts = make_accounts(settings.replace(login_failures_max=1_000))
    await accounts.sign_up("known@example.test", PASSWORD, "A")
    seconds: dict[str, list[float]] = {"known@example.test": [], "unknown@example.test": []}
    for _ in range(9):
        for email, taken in seconds.items():
            started = perf_counter()
            with pytest.raises(CredentialsInvalid):
                await accounts.log_in(email, "wrong password", HERE)
            taken.append(perf_counter() - started)
    known, unknown = (min(taken) for taken in seconds.values())
    # Without the dummy hash it would be a tenth; the rest is the noise of a busy machine.
    assert 0.4 < unknown / known < 2.5


async def test_a_role_counts_from_the_next_login(accounts: Accounts) -> None:
    user_id = await accounts.sign_up("boss@example.test", PASSWORD, "A")
    before, _ = await accounts.log_in("boss@example.test", PASSWORD, HERE)
    await accounts.grant_role("BOSS@example.test", "organizer")
    after, _ = await accounts.log_in("boss@example.test", PASSWORD, HERE)
    # Here at once; elsewhere with the next refresh of the keys, which has a test of its own.
    with pytest.raises(TokenInvalid):
        accounts.tokens.verify(before)
    assert who(accounts.tokens.verify(after)) == (user_id, "organizer")
    with pytest.raises(NotFound):
        await accounts.grant_role("unknown@example.test", "organizer")
    with pytest.raises(Invalid):
        await accounts.grant_role("boss@example.test", "admin")


async def test_pods_that_start_together_make_one_key(
    make_accounts: MakeAccounts, db: Database
) -> None:
    pods = [make_accounts() for _ in range(8)]
    await asyncio.gather(*(pod.ensure_key() for pod in pods))
    assert await count(db, "token_keys") == 1
    token = pods[0].tokens.mint(UUID(int=7), "buyer")
    assert all(pod.tokens.verify(token).user_id == UUID(int=7) for pod in pods)
    await pods[0].ensure_key()
    assert await count(db, "token_keys") == 1


async def test_without_the_lock_pods_make_several_keys(
    make_accounts: MakeAccounts, db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Negative control: a sleep inside each transaction makes them overlap for certain.
    queries = dict(store._Q)
    queries["lock_keys"] = "SELECT pg_sleep(0.2)"
    queries["insert_first_key"] += " AND pg_sleep(0.2) IS NOT NULL"
    monkeypatch.setattr("boxoffice.accounts.store._Q", queries)
    await asyncio.gather(*(make_accounts().ensure_key() for _ in range(4)))
    assert await count(db, "token_keys") > 1


async def test_a_rotated_key_verifies_until_it_is_retired(
    make_accounts: MakeAccounts, clock: MovedClock
) -> None:
    ours, theirs = make_accounts(), make_accounts()
    await ours.ensure_key()
    await theirs.ensure_key()
    person = UUID(int=7)
    old = ours.tokens.mint(person, "buyer")
    theirs.tokens.verify(old)
    kid = await ours.rotate_keys(retire_after_s=60)
    new = ours.tokens.mint(person, "buyer")
    with pytest.raises(TokenInvalid):
        theirs.tokens.verify(new)
    await theirs.tokens.refresh()
    for pod in (ours, theirs):
        assert pod.tokens.verify(old).user_id == person
        assert pod.tokens.verify(new).user_id == person
    clock.at += 61
    for pod in (ours, theirs):
        with pytest.raises(TokenInvalid):
            pod.tokens.verify(old)
        assert pod.tokens.verify(new).user_id == person
    assert kid in ours.tokens.keys.keys


async def test_a_planned_rotation_refuses_no_token(
    make_accounts: MakeAccounts, settings: Settings, clock: MovedClock
) -> None:
    ours, theirs = make_accounts(), make_accounts()
    await ours.ensure_key()
    await theirs.ensure_key()
    spread_s = 2 * settings.accounts.token_key_refresh_s
    kid = await ours.rotate_keys(retire_after_s=settings.accounts.access_token_ttl_s + spread_s)
    token = ours.tokens.mint(UUID(int=7), "buyer")
    assert theirs.tokens.verify(token).user_id == UUID(int=7)
    # Every process has looked at the keys by now, and the new one takes over.
    await theirs.tokens.refresh()
    clock.at += spread_s + 1
    later = ours.tokens.mint(UUID(int=7), "buyer")
    assert jwt.get_unverified_header(later)["kid"] == kid
    assert who(theirs.tokens.verify(later)) == who(theirs.tokens.verify(token))


async def test_a_leaked_key_ends_with_the_next_refresh(make_accounts: MakeAccounts) -> None:
    ours, theirs = make_accounts(), make_accounts()
    await ours.ensure_key()
    await theirs.ensure_key()
    token = ours.tokens.mint(UUID(int=7), "buyer")
    theirs.tokens.verify(token)
    await ours.rotate_keys(retire_after_s=0)
    await theirs.tokens.refresh()
    for pod in (ours, theirs):
        with pytest.raises(TokenInvalid):
            pod.tokens.verify(token)
    with pytest.raises(Invalid):
        await ours.rotate_keys(retire_after_s=-1)


async def test_a_later_rotation_does_not_prolong_a_key(
    make_accounts: MakeAccounts, clock: MovedClock
) -> None:
    accounts = make_accounts()
    await accounts.ensure_key()
    token = accounts.tokens.mint(UUID(int=7), "buyer")
    await accounts.rotate_keys(retire_after_s=60)
    await accounts.rotate_keys(retire_after_s=6_000)
    clock.at += 61
    with pytest.raises(TokenInvalid):
        accounts.tokens.verify(token)


async def test_seeded_people_can_log_in_and_have_empty_wallets(
    accounts: Accounts, db: Database
) -> None:
    seen: list[int] = []
    ids = await accounts.seed_people(2_500, password=PASSWORD, tag="t1", progress=seen.append)
    rows = await db.read(
        "SELECT user_id, email, balance_minor, currency FROM users JOIN wallets USING (user_id)"
        " ORDER BY user_id"
    )
    assert sorted(ids) == [row["user_id"] for row in rows]
    assert seen == [2_000, 2_500]
    assert {(row["balance_minor"], row["currency"]) for row in rows} == {(0, "KRW")}
    emails = {row["user_id"]: row["email"] for row in rows}
    expected = [f"buyer-{n}-t1@example.test" for n in range(1, 2_501)]
    assert [emails[user_id] for user_id in ids] == expected
    token, _ = await accounts.log_in("buyer-2001-t1@example.test", PASSWORD, HERE)
    assert accounts.tokens.verify(token).user_id == ids[2_000]
    assert await count(db, "outbox") == 0


async def test_seeding_twice_needs_another_tag(accounts: Accounts, db: Database) -> None:
    await accounts.seed_people(3, tag="again")
    with pytest.raises(EmailTaken):
        await accounts.seed_people(3, tag="again")
    await accounts.seed_people(2)
    assert (await count(db, "users"), await count(db, "wallets")) == (5, 5)
    assert await count(db, "ledger_entries") == 0


async def test_a_sign_up_whose_answer_is_lost_is_said_to_be_unknown(
    accounts: Accounts, db: Database
) -> None:
    async with db.transaction() as blocker:
        await blocker.execute("LOCK TABLE wallets IN ACCESS EXCLUSIVE MODE")
        signing_up = asyncio.create_task(accounts.sign_up("a@b.example", PASSWORD, "A"))
        pids: list[int] = []
        async with asyncio.timeout(20):
            while not pids:
                await asyncio.sleep(0.005)
                rows = await db.fetch(
                    "SELECT pid FROM pg_stat_activity"
                    " WHERE datname = current_database() AND wait_event_type = 'Lock'"
                )
                pids = [row["pid"] for row in rows]
        await db.fetch("SELECT pg_terminate_backend($1)", pids[0])
        with pytest.raises(OutcomeUnknown):
            await signing_up


async def test_a_database_that_is_away_is_unavailable(
    make_accounts: MakeAccounts, db: Database
) -> None:
    accounts = make_accounts()
    await accounts.ensure_key()
    await db.close()
    with pytest.raises(Unavailable):
        await accounts.sign_up("a@b.example", PASSWORD, "A")
    with pytest.raises(Unavailable):
        await accounts.log_in("a@b.example", PASSWORD, HERE)
    token = accounts.tokens.mint(UUID(int=7), "buyer")
    assert accounts.tokens.verify(token).role == "buyer"
