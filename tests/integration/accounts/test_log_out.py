"""A token ends before its time: on the pod that ended it at once, elsewhere with the keys' refresh."""

from uuid import UUID

import pytest

from boxoffice.accounts.revocations import (
    RETAINED_S,
    MinimumVersion,
    NewRevocations,
    Revocations,
    RevokedToken,
)
from boxoffice.accounts.service import Accounts
from boxoffice.accounts.tokens import Caller
from boxoffice.errors import TokenInvalid, Unavailable
from boxoffice.platform.postgres.database import Database

from .conftest import MakeAccounts, MovedClock

PASSWORD = "열려라 참깨 8"
HERE = "192.0.2.1"
EMAIL = "logs-out@example.test"
PERSON = UUID(int=7)


@pytest.fixture
async def pods(make_accounts: MakeAccounts) -> tuple[Accounts, Accounts]:
    """Two pods that know the keys, and one person with an account."""
    ours, theirs = make_accounts(), make_accounts()
    await ours.ensure_key()
    await theirs.ensure_key()
    await ours.sign_up(EMAIL, PASSWORD, "A")
    return ours, theirs


async def token_of(pod: Accounts) -> str:
    token, _ = await pod.log_in(EMAIL, PASSWORD, HERE)
    return token


def refused(pod: Accounts, token: str) -> bool:
    try:
        pod.tokens.verify(token)
    except TokenInvalid:
        return True
    return False


async def test_a_log_out_ends_this_token_alone(pods: tuple[Accounts, Accounts]) -> None:
    ours, theirs = pods
    # In one second: without a name of their own the two would be one.
    token, other = await token_of(ours), await token_of(ours)
    caller = theirs.tokens.verify(token)
    await ours.log_out(ours.tokens.verify(token))
    assert refused(ours, token)
    assert theirs.tokens.verify(token) == caller, "known to them from before, until they look"
    await theirs.tokens.refresh()
    for pod in pods:
        assert refused(pod, token)
        assert not refused(pod, other)
    await ours.log_out(caller)  # a repetition, as after a lost answer
    assert not refused(ours, other)


async def test_a_log_out_everywhere_ends_every_token_but_later_ones(
    pods: tuple[Accounts, Accounts], make_accounts: MakeAccounts
) -> None:
    ours, theirs = pods
    tokens = [await token_of(pod) for pod in (ours, theirs, ours)]
    for token in tokens:
        theirs.tokens.verify(token)
    await ours.log_out_everywhere(ours.tokens.verify(tokens[0]).user_id)
    after = await token_of(theirs)
    await theirs.tokens.refresh()
    started_later = make_accounts()
    await started_later.ensure_key()
    for pod in (ours, theirs, started_later):
        assert all(refused(pod, token) for token in tokens)
        assert not refused(pod, after)


async def test_a_role_that_is_taken_away_takes_its_tokens_along(
    pods: tuple[Accounts, Accounts],
) -> None:
    ours, theirs = pods
    await ours.grant_role(EMAIL, "organizer")
    token = await token_of(theirs)
    assert theirs.tokens.verify(token).role == "organizer"
    await ours.grant_role(EMAIL, "organizer")
    await theirs.tokens.refresh()
    assert not refused(theirs, token), "the same role again changes nothing"
    await ours.grant_role(EMAIL, "buyer")
    # Before they look: their admin calls ask the database, whatever the token says.
    with pytest.raises(TokenInvalid):
        await theirs.confirm(theirs.tokens.verify(token))
    await theirs.tokens.refresh()
    assert refused(theirs, token)


async def test_a_caller_is_confirmed_by_the_database(
    pods: tuple[Accounts, Accounts], db: Database
) -> None:
    ours, theirs = pods
    token, other = await token_of(ours), await token_of(ours)
    caller = theirs.tokens.verify(token)
    assert await theirs.confirm(caller) == caller
    await db.fetch("UPDATE users SET role = 'organizer'")
    assert (await theirs.confirm(caller)).role == "organizer"
    await ours.log_out(caller)
    with pytest.raises(TokenInvalid):
        await theirs.confirm(caller)
    assert await theirs.confirm(theirs.tokens.verify(other))
    with pytest.raises(TokenInvalid):
        await theirs.confirm(Caller(PERSON, "organizer"))
    await db.close()
    with pytest.raises(Unavailable):
        await theirs.confirm(caller)


async def test_tokens_that_have_expired_are_forgotten(
    pods: tuple[Accounts, Accounts], db: Database, clock: MovedClock
) -> None:
    ours, _ = pods
    await db.fetch(
        "INSERT INTO ended_tokens (token_id, expires_at)"
        " SELECT 'old' || n, clock_timestamp() - interval '1 hour' FROM generate_series(1, 150) n"
    )
    for left in (50, 0):
        await ours.log_out(ours.tokens.verify(await token_of(ours)))
        (row,) = await db.read("SELECT count(*) AS n FROM ended_tokens WHERE token_id LIKE 'old%'")
        assert row["n"] == left
    (row,) = await db.read("SELECT count(*) AS n FROM ended_tokens")
    assert row["n"] == 2, "those that have not expired stay"
    assert len(ours.tokens._revocations._tokens) == 2
    clock.at += ours.tokens.ttl_s + 1
    await ours.tokens.refresh()
    assert ours.tokens._revocations._tokens == {}


async def test_a_log_in_that_a_restore_has_lost_is_over(
    pods: tuple[Accounts, Accounts], make_accounts: MakeAccounts, db: Database, clock: MovedClock
) -> None:
    """Its account may be lost too, and its token is good by its signature."""
    before = await token_of(pods[0])
    lost_at = clock.now() + 30
    clock.at += 32
    lost = await token_of(pods[0])
    await db.fetch(
        """
        INSERT INTO restores (incarnation, restored_at, recovered_to, backup_label, target)
        VALUES (1, to_timestamp($1 + 5), to_timestamp($1), 'b', 'latest')
        """,
        lost_at,
    )
    clock.at += 10
    after = await token_of(pods[0])
    restarted = make_accounts()
    await restarted.ensure_key()
    await restarted.tokens.refresh()
    assert [refused(restarted, token) for token in (before, lost, after)] == [False, True, False]


class FakeStore:
    """Returns given revocations, and records since when they were read."""

    def __init__(self) -> None:
        self.at = 1_000_000_000.0
        self.revocations_since = NewRevocations([], [])
        self.asked: list[float] = []

    def now(self) -> float:
        """Return the time of the test."""
        return self.at

    async def load(self, since: float) -> NewRevocations:
        """Return what there is."""
        self.asked.append(since)
        return self.revocations_since


async def test_only_what_is_new_is_asked_for_with_room_for_open_transactions() -> None:
    fake = FakeStore()
    revocations = Revocations(fake.now, fake.load)
    assert not await revocations.refresh()
    fake.at += 15
    assert not await revocations.refresh()
    first, second = fake.asked
    assert fake.at - first >= RETAINED_S
    assert 60 <= fake.at - second <= 120
    fake.revocations_since = NewRevocations(
        [MinimumVersion(PERSON, 2, fake.at)], [RevokedToken("one", fake.at + 60)]
    )
    assert await revocations.refresh()
    assert not await revocations.refresh(), "a second reading is not new"
    assert revocations.covers(PERSON, 1, "")
    assert revocations.covers(UUID(int=8), 0, "one")
    assert not revocations.covers(PERSON, 2, "two")
    fake.revocations_since = NewRevocations([MinimumVersion(PERSON, 1, fake.at)], [])
    assert not await revocations.refresh()
    assert revocations.covers(PERSON, 1, ""), "a version never goes back"


async def test_what_can_end_nothing_any_more_is_forgotten() -> None:
    fake = FakeStore()
    revocations = Revocations(fake.now, fake.load)
    fake.revocations_since = NewRevocations(
        [MinimumVersion(PERSON, 2, fake.at)], [RevokedToken("one", fake.at + 60)]
    )
    await revocations.refresh()
    fake.revocations_since = NewRevocations([], [])
    fake.at += 61
    await revocations.refresh()
    assert not revocations.covers(UUID(int=8), 0, "one")
    assert revocations.covers(PERSON, 1, "")
    fake.at += RETAINED_S
    await revocations.refresh()
    assert not revocations.covers(PERSON, 1, "")


async def test_a_refresh_that_fails_is_made_up_for() -> None:
    fake = FakeStore()

    async def broken(_since: float) -> NewRevocations:
        raise Unavailable

    revocations = Revocations(fake.now, fake.load)
    await revocations.refresh()
    revocations._load = broken
    fake.at += 3_000
    with pytest.raises(Unavailable):
        await revocations.refresh()
    revocations._load = fake.load
    fake.at += 15
    await revocations.refresh()
    assert fake.at - fake.asked[-1] >= 3_015
