"""The accounts room on real servers, under a clock that a test may move."""

from collections.abc import AsyncIterator, Callable
from uuid import UUID

import pytest

from boxoffice.accounts.revocations import Revocations
from boxoffice.accounts.service import Accounts
from boxoffice.accounts.store import AccountStore
from boxoffice.accounts.tokens import Caller, TokenAuthority
from boxoffice.platform.postgres.database import Database
from boxoffice.platform.valkey import Valkey
from boxoffice.settings import Settings

MakeAccounts = Callable[..., Accounts]


def who(caller: Caller) -> tuple[UUID, str]:
    """Return the person and the role of a caller, without which token it was."""
    return caller.user_id, caller.role


class MovedClock:
    """A clock that stands still until a test moves it; seconds since the Unix epoch."""

    def __init__(self, at: float) -> None:
        self.at = at

    def now(self) -> float:
        """Return the time that it was set to."""
        return self.at


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """Hashing passwords fills a small machine, and a missed deadline would switch the throttle off."""
    return settings.replace(valkey_timeout_ms=5_000, lock_timeout_ms=20_000)


@pytest.fixture
async def clock(db: Database) -> MovedClock:
    """A clock that starts at the database's time."""
    row = await db.read_one("SELECT extract(epoch FROM clock_timestamp())::float8 AS now")
    if row is None:
        raise RuntimeError("the database has no time")
    return MovedClock(row["now"])


@pytest.fixture
async def make_accounts(
    settings: Settings, db: Database, valkey: Valkey, clock: MovedClock
) -> AsyncIterator[MakeAccounts]:
    """Make another process's worth of the room: each call stands for a pod."""
    made: list[Accounts] = []

    def make(settings: Settings = settings, valkey: Valkey = valkey) -> Accounts:
        store = AccountStore(db)
        revocations = Revocations(clock.now, store.revocations)
        tokens = TokenAuthority(settings.accounts, store.keys, clock.now, revocations)
        made.append(Accounts(settings, store, tokens, valkey))
        return made[-1]

    yield make
    for accounts in made:
        accounts.close()


@pytest.fixture
async def accounts(make_accounts: MakeAccounts) -> Accounts:
    """The room with a token key."""
    room = make_accounts()
    await room.ensure_key()
    return room
