"""Links in mail work once, in time, for their purpose; nothing shows who has an account."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any, cast
from uuid import UUID, uuid4

import pytest

from boxoffice.accounts.composition import AccountServices, compose_accounts
from boxoffice.accounts.credentials.errors import (
    AlreadyVerified,
    EmailNotVerified,
    LinkEnded,
    PasswordChanged,
    PasswordWrong,
)
from boxoffice.accounts.credentials.link_tokens import new_link_token
from boxoffice.accounts.credentials.rules import parse_link
from boxoffice.accounts.credentials.store import CredentialStore
from boxoffice.accounts.credentials.verified import VerifiedPeople
from boxoffice.errors import (
    CredentialsInvalid,
    EmailTaken,
    Invalid,
    PasswordCommon,
    Problem,
    TokenInvalid,
    TooMany,
    Unavailable,
)
from boxoffice.notifications.mail.store import MailQueue
from boxoffice.platform.ids import new_id
from boxoffice.platform.postgres.database import Database
from boxoffice.platform.valkey import Valkey
from boxoffice.settings import Settings
from tests.integration.notifications.messengers import until
from tests.support.hall import open_hall

from .conftest import MovedClock

OLD, NEW = "열려라 참깨 8", "이번에는 다른 것 9"


def somewhere() -> str:
    """Return a client's address of its own, so that no test counts for another one."""
    number = uuid4().hex
    return f"2001:db8:{number[:4]}:{number[4:8]}::1"


def an_email() -> str:
    return f"{uuid4().hex[:12]}@example.test"


@pytest.fixture
async def services(
    settings: Settings, db: Database, valkey: Valkey, clock: MovedClock
) -> AsyncIterator[AccountServices]:
    """The use cases of one pod, with a token key."""
    made = compose_accounts(settings, db, valkey, cast("Any", clock))
    await made.accounts.ensure_key()
    yield made
    made.accounts.close()


@pytest.fixture
async def email(services: AccountServices) -> str:
    """The address of a person; another person has an account as well."""
    email = an_email()
    await services.accounts.sign_up(an_email(), OLD, "Other")
    await services.accounts.sign_up(email, OLD, "A")
    return email


async def id_of(db: Database, email: str) -> UUID:
    row = await db.read_one("SELECT user_id FROM users WHERE email = $1", email)
    assert row is not None
    return cast("UUID", row["user_id"])


async def mailed(db: Database, purpose: str, email: str) -> str:
    """Send the newest link of an address as the messenger does; return its token."""
    rows = await db.read(
        "SELECT link_id FROM account_links WHERE purpose = $1 AND email = $2"
        " ORDER BY created_at DESC LIMIT 1",
        purpose,
        email,
    )
    token = new_link_token(rows[0]["link_id"])
    facts = await MailQueue(db).account_link(token.row_id, token.hash)
    assert facts is not None
    assert (facts.purpose, facts.email) == (purpose, email)
    return token.text


async def reset_token(services: AccountServices, db: Database, email: str) -> str:
    await services.links.request_reset(email, somewhere(), None)
    return await mailed(db, "reset_password", email)


async def kinds(db: Database, user_id: UUID) -> list[str]:
    rows = await db.read(
        "SELECT kind FROM mails WHERE user_id = $1 AND state = 'WAITING' ORDER BY kind", user_id
    )
    return [row["kind"] for row in rows]


async def logs_in(services: AccountServices, email: str, password: str) -> bool:
    try:
        await services.accounts.log_in(email, password, somewhere())
    except CredentialsInvalid:
        return False
    return True


async def test_of_many_resets_with_one_token_one_wins(
    services: AccountServices, db: Database, email: str
) -> None:
    user_id = await id_of(db, email)
    before, _ = await services.accounts.log_in(email, OLD, somewhere())
    token = await reset_token(services, db, email)
    another = await other_email(db, email)
    other = await reset_token(services, db, another)
    tries = [
        services.links.reset_password(token, f"{NEW}{number}", somewhere()) for number in range(4)
    ]
    done = await asyncio.gather(*tries, return_exceptions=True)
    assert sorted(type(one).__name__ for one in done) == ["LinkEnded"] * 3 + ["NoneType"]
    winner = f"{NEW}{done.index(None)}"
    assert [await logs_in(services, email, one) for one in (winner, OLD)] == [True, False]
    with pytest.raises(TokenInvalid):
        services.accounts.tokens.verify(before)
    assert (await services.own.account(user_id)).email_verified
    assert await kinds(db, user_id) == ["password_changed", "reset_password"]
    # Nothing of this concerns another person.
    assert await logs_in(services, another, OLD)
    assert not (await services.own.account(await id_of(db, another))).email_verified
    await services.links.reset_password(other, NEW, somewhere())


async def other_email(db: Database, email: str) -> str:
    row = await db.read_one("SELECT email FROM users WHERE email <> $1", email)
    assert row is not None
    return str(row["email"])


async def test_of_two_links_at_once_one_wins(
    services: AccountServices, db: Database, email: str
) -> None:
    store = CredentialStore(db)
    tokens = [parse_link(await reset_token(services, db, email)) for _ in range(2)]
    async with db.connection() as connection, connection.transaction():
        # Both have their link before one of them has the account.
        await connection.execute("SELECT FROM users WHERE email = $1 FOR UPDATE", email)
        tries = [asyncio.create_task(store.reset_password(token, "hash")) for token in tokens]
        await until(lambda: both_wait(db))
    done = await asyncio.gather(*tries)
    assert sorted(one is None for one in done) == [False, True]


async def both_wait(db: Database) -> bool:
    [row] = await db.read(
        "SELECT count(*) AS n FROM pg_stat_activity"
        " WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )
    return bool(row["n"] == 2)


async def test_a_password_by_mail_is_not_the_address_of_its_owner(
    services: AccountServices, db: Database, email: str
) -> None:
    for own in (email, await other_email(db, email)):
        token = await reset_token(services, db, own)
        with pytest.raises(PasswordCommon):
            await services.links.reset_password(token, own, somewhere())


async def test_a_token_opens_its_own_link_only(
    services: AccountServices, db: Database, email: str
) -> None:
    user_id = await id_of(db, email)
    token = await reset_token(services, db, email)
    theirs = await reset_token(services, db, await other_email(db, email))
    await services.own.request_verification(user_id, somewhere())
    verification = await mailed(db, "verify_email", email)
    own_id, _, secret = token.partition(".")
    for wrong in (f"{own_id}.x", f"{theirs.partition('.')[0]}.{secret}", verification, "x", "x.y"):
        with pytest.raises(LinkEnded):
            await services.links.reset_password(wrong, NEW, somewhere())
    verification_id, _, verified_by = verification.partition(".")
    for wrong in (token, f"{verification_id}.x", f"{own_id}.{verified_by}"):
        with pytest.raises(LinkEnded):
            await services.links.confirm_email(wrong)
    stored = await db.read("SELECT token_hashes FROM account_links")
    assert secret not in repr([row["token_hashes"] for row in stored])
    for password, error in (("short", Invalid), ("12345678", PasswordCommon)):
        with pytest.raises(error):
            await services.links.reset_password(token, password, somewhere())
    await services.links.reset_password(token, NEW, somewhere())


async def test_a_link_ends_with_time_password_and_address(
    services: AccountServices, db: Database, email: str
) -> None:
    user_id = await id_of(db, email)
    late = await reset_token(services, db, email)
    await db.fetch("UPDATE account_links SET expires_at = clock_timestamp()")
    stale = await reset_token(services, db, email)
    await services.own.request_verification(user_id, somewhere())
    verification = await mailed(db, "verify_email", email)
    waiting = new_link_token(await newest_link(db))
    caller = services.accounts.tokens.verify(
        (await services.accounts.log_in(email, OLD, somewhere()))[0]
    )
    await services.own.change_password(caller, OLD, NEW, somewhere(), "")
    for void in (late, stale):
        with pytest.raises(LinkEnded):
            await services.links.reset_password(void, OLD, somewhere())
    with pytest.raises(LinkEnded):
        await services.links.confirm_email(verification)
    assert await MailQueue(db).account_link(waiting.row_id, waiting.hash) is None, "not sent"
    before_address = await reset_token(services, db, email)
    new_email = an_email()
    await services.own.request_email(user_id, new_email, NEW, somewhere())
    await services.links.confirm_email(await mailed(db, "change_email", new_email))
    with pytest.raises(LinkEnded):
        await services.links.reset_password(before_address, OLD, somewhere())
    # A link that is asked for afterwards is good.
    await services.links.reset_password(
        await reset_token(services, db, new_email), OLD, somewhere()
    )
    assert await logs_in(services, new_email, OLD)


async def newest_link(db: Database) -> UUID:
    row = await db.read_one("SELECT link_id FROM account_links ORDER BY created_at DESC LIMIT 1")
    assert row is not None
    return cast("UUID", row["link_id"])


async def test_a_reset_does_the_same_without_an_account(
    services: AccountServices, db: Database, email: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    hall = await open_hall(db)
    house = await make_house_account(db, hall.schedule_id)
    hashed: list[str] = []

    async def counted(*_: object, **__: object) -> str:
        hashed.append("hash")
        return ""

    monkeypatch.setattr(services.accounts._passwords, "hash", counted)
    monkeypatch.setattr(services.accounts._passwords, "matches", counted)
    seen = []
    for asked in (email, an_email(), house):
        before = await written(db)
        answer = await services.links.request_reset(asked, somewhere(), "ko")
        seen.append((answer, shape(before, await written(db))))
    assert seen[0] == seen[1] == seen[2]
    assert hashed == []
    states = await db.read("SELECT state FROM mails WHERE kind = 'reset_password' ORDER BY state")
    assert [row["state"] for row in states] == ["FAILED", "FAILED", "WAITING"]


Written = dict[str, list[dict[str, Any]]]


async def written(db: Database) -> Written:
    return {
        table: [dict(row) for row in await db.read(f"SELECT * FROM {table}")]  # noqa: S608 - fixed
        for table in ("account_links", "mails", "users", "token_versions", "account_sessions")
    }


def shape(before: Written, after: Written) -> dict[str, list[list[str]]]:
    """Return which columns of which new rows have a value."""
    return {
        table: [
            sorted(name for name, value in row.items() if value is not None)
            for row in rows
            if row not in before[table]
        ]
        for table, rows in after.items()
    }


async def make_house_account(db: Database, schedule_id: UUID) -> str:
    """Give the concert of a schedule a house account, which belongs to no person."""
    user_id, email = new_id(), an_email()
    await db.fetch(
        "WITH made AS (INSERT INTO users (user_id, email, name, password_hash, role)"
        " VALUES ($1, $2, 'Box office', '-', 'buyer') RETURNING user_id)"
        " INSERT INTO house_accounts (concert_id, user_id)"
        " SELECT s.concert_id, m.user_id FROM schedules s, made m WHERE s.schedule_id = $3",
        user_id,
        email,
        schedule_id,
    )
    return email


async def test_mails_are_limited_alike_with_and_without_an_account(
    settings: Settings, db: Database, valkey: Valkey, clock: MovedClock, email: str
) -> None:
    strict = settings.replace(account_mails_per_email_max=2, account_mails_per_address_max=3)
    services = compose_accounts(strict, db, valkey, cast("Any", clock))
    user_id = await id_of(db, email)
    for asked in (email, an_email()):
        for _ in range(2):
            await services.links.request_reset(asked, somewhere(), None)
        with pytest.raises(TooMany):
            await services.links.request_reset(asked, somewhere(), None)
    # Another purpose is counted apart: a stranger's requests do not keep the owner from it.
    await services.own.request_verification(user_id, somewhere())
    address = somewhere()
    for _ in range(3):
        await services.links.request_reset(an_email(), address, None)
    with pytest.raises(TooMany):
        await services.links.request_reset(an_email(), address, None)
    services.accounts.close()


async def test_a_password_is_changed_by_who_knows_it_once(
    services: AccountServices, db: Database, email: str
) -> None:
    user_id, device = await id_of(db, email), "Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0"
    elsewhere, _ = await services.accounts.log_in(email, OLD, somewhere())
    token, _ = await services.accounts.log_in(email, OLD, somewhere(), device)
    caller = services.accounts.tokens.verify(token)
    refused: pytest.ExceptionInfo[Problem]
    with pytest.raises(PasswordWrong) as refused:
        await services.own.change_password(caller, NEW, NEW, somewhere(), "")
    assert refused.value.extra["errors"] == [{"path": "$.password", "message": PasswordWrong.title}]
    for new, error in (("short", Invalid), ("12345678", PasswordCommon)):
        with pytest.raises(error) as refused:
            await services.own.change_password(caller, OLD, new, somewhere(), "")
        [fault] = cast("list[dict[str, str]]", refused.value.extra["errors"])
        assert fault["path"] == "$.new_password"
    tries = [
        services.own.change_password(caller, OLD, f"{NEW}{number}", somewhere(), device)
        for number in range(2)
    ]
    done = await asyncio.gather(*tries, return_exceptions=True)
    [lost] = [one for one in done if isinstance(one, BaseException)]
    # The second one knew the password when it began, or did not any more.
    assert isinstance(lost, PasswordChanged | PasswordWrong)
    [(again, _)] = [one for one in done if not isinstance(one, BaseException)]
    assert services.accounts.tokens.verify(again).user_id == user_id
    for ended in (elsewhere, token):
        with pytest.raises(TokenInvalid):
            services.accounts.tokens.verify(ended)
    winner = f"{NEW}{0 if done[0] is not lost else 1}"
    assert [await logs_in(services, email, one) for one in (OLD, winner)] == [False, True]
    assert await logs_in(services, await other_email(db, email), OLD)
    assert await kinds(db, user_id) == ["password_changed"]


async def test_a_second_change_of_a_password_meanwhile_is_refused(
    services: AccountServices, db: Database, email: str
) -> None:
    user_id, store = await id_of(db, email), CredentialStore(db)
    known = await services.accounts.prove(email, OLD, somewhere())
    assert await store.set_password(user_id, known.password_hash, "first") == 1
    assert await store.set_password(user_id, known.password_hash, "second") is None
    assert await store.set_password(user_id, "first", "third") == 2
    assert await kinds(db, user_id) == ["password_changed"] * 2


async def test_an_address_is_changed_at_the_new_one_and_the_old_one_is_told(
    services: AccountServices, db: Database, email: str
) -> None:
    user_id, new_email = await id_of(db, email), an_email()
    another = await id_of(db, await other_email(db, email))
    await services.own.request_email(another, an_email(), OLD, somewhere())
    with pytest.raises(PasswordWrong):
        await services.own.request_email(user_id, new_email, NEW, somewhere())
    with pytest.raises(Invalid):
        await services.own.request_email(user_id, email.upper(), OLD, somewhere())
    await services.own.request_email(user_id, new_email, OLD, somewhere())
    assert (await services.own.account(user_id)).email == email, "not before the link is opened"
    done = await services.links.confirm_email(await mailed(db, "change_email", new_email))
    assert (done.email, done.outcome) == (new_email, "changed")
    own = await services.own.account(user_id)
    assert (own.email, own.email_verified) == (new_email, True)
    assert [await logs_in(services, one, OLD) for one in (email, new_email)] == [False, True]
    assert await kinds(db, user_id) == ["change_email", "email_changed"]
    told = await db.read_one(
        "SELECT m.subject_id FROM mails m WHERE m.kind = 'email_changed' AND m.user_id = $1",
        user_id,
    )
    assert told is not None
    await services.own.request_email(user_id, an_email(), OLD, somewhere())
    assert await MailQueue(db).address_before(told["subject_id"]) == email


async def test_an_address_that_is_taken_meanwhile_is_refused_at_the_link(
    services: AccountServices, db: Database, email: str
) -> None:
    user_id, taken = await id_of(db, email), await other_email(db, email)
    # The answer is the same as for a free address.
    await services.own.request_email(user_id, taken, OLD, somewhere())
    token = await mailed(db, "change_email", taken)
    for _ in range(2):
        with pytest.raises(EmailTaken):
            await services.links.confirm_email(token)
    assert (await services.own.account(user_id)).email == email
    await db.fetch("UPDATE users SET email = $2 WHERE email = $1", taken, an_email())
    assert (await services.links.confirm_email(token)).outcome == "changed"


async def test_an_address_is_verified_by_the_first_of_two(
    services: AccountServices, db: Database
) -> None:
    email = an_email()
    user_id = await services.accounts.sign_up(email, OLD, "A", somewhere(), "ko")
    assert await kinds(db, user_id) == ["verify_email"], "queued with the account"
    late = await mailed(db, "verify_email", email)
    await db.fetch("UPDATE account_links SET expires_at = clock_timestamp()")
    with pytest.raises(LinkEnded):
        await services.links.confirm_email(late)
    await services.own.request_verification(user_id, somewhere())
    token = await mailed(db, "verify_email", email)
    done = await asyncio.gather(
        *(services.links.confirm_email(token) for _ in range(4)), return_exceptions=True
    )
    assert sorted(type(one).__name__ for one in done) == ["EmailOutcome"] + ["LinkEnded"] * 3
    assert (await services.own.account(user_id)).email_verified
    assert await kinds(db, user_id) == ["verify_email"] * 2
    with pytest.raises(AlreadyVerified):
        await services.own.request_verification(user_id, somewhere())
    used = new_link_token(await newest_link(db))
    assert await MailQueue(db).account_link(used.row_id, used.hash) is None, "sent no more"


async def test_links_are_kept_for_a_while(
    services: AccountServices, db: Database, email: str, settings: Settings
) -> None:
    await services.links.request_reset(email, somewhere(), None)
    old = await newest_link(db)
    await db.fetch(
        "UPDATE account_links SET created_at = created_at - make_interval(secs => $1)",
        settings.accounts.account_link_retention_s + 1,
    )
    await services.links.request_reset(email, somewhere(), None)
    await services.links.request_reset(email, somewhere(), None)
    left = [row["link_id"] for row in await db.read("SELECT link_id FROM account_links")]
    assert len(left) == 2
    assert old not in left


async def test_a_hold_needs_a_verified_address_where_the_organizer_says_so(
    services: AccountServices, db: Database, email: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    user_id, plain, strict = await id_of(db, email), await open_hall(db), await open_hall(db)
    await db.fetch(
        "UPDATE concerts c SET requires_verified_email = true FROM schedules s"
        " WHERE s.concert_id = c.concert_id AND s.schedule_id = $1",
        strict.schedule_id,
    )
    store = CredentialStore(db)
    people = VerifiedPeople(store, 3600.0, 10, 10)
    await people.require(plain.schedule_id, user_id)
    assert people.may_hold_by_cache(plain.schedule_id, user_id)
    with pytest.raises(EmailNotVerified):
        await people.require(strict.schedule_id, user_id)
    assert not people.may_hold_by_cache(strict.schedule_id, user_id)
    await services.links.reset_password(await reset_token(services, db, email), NEW, somewhere())
    with pytest.raises(EmailNotVerified):
        await people.require(strict.schedule_id, await id_of(db, await other_email(db, email)))
    fresh = VerifiedPeople(store, 0.0, 10, 10)
    await fresh.require(strict.schedule_id, user_id)

    # While the database is away, the switch is as it was known.
    async def away(*_: object) -> bool:
        raise Unavailable

    monkeypatch.setattr(fresh._switches, "_load", away)
    await fresh.require(strict.schedule_id, user_id)
    with pytest.raises(Unavailable):
        await fresh.require(plain.schedule_id, user_id)
