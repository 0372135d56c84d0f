"""Which access tokens have ended before their time, as far as this process has read.

A person's tokens end together when their version is counted up (a log-out everywhere, another role), a
single one when its owner logs out. Processes read what has changed along with the token keys, so that a
request asks nobody.
"""

from collections.abc import Awaitable, Callable
from uuid import UUID

import msgspec

# The longest life that the settings allow a token: after it, an ending says nothing any more.
REMEMBERED_S = 604_800.0
# A transaction tells its time before others can read it; none is open for longer than this.
_OVERLAP_S = 60.0


class Version(msgspec.Struct, frozen=True):
    """Tokens of a person below this version have ended; seconds since the Unix epoch."""

    user_id: UUID
    version: int
    changed_at: float


class EndedToken(msgspec.Struct, frozen=True):
    """A token that has ended, and when it would have by itself."""

    token_id: str
    expires_at: float


class News(msgspec.Struct, frozen=True):
    """What has ended since some time."""

    versions: list[Version]
    tokens: list[EndedToken]


async def _nothing(_since: float) -> News:
    return News([], [])


class Endings:
    """What `load` has told of the endings so far; `now` is seconds since the epoch by the database.

    Bounded by what people do within the life of a token: one entry per person whose tokens ended, and
    one per token that was logged out.
    """

    def __init__(
        self, now: Callable[[], float], load: Callable[[float], Awaitable[News]] = _nothing
    ) -> None:
        self._now = now
        self._load = load
        self._read_to = 0.0
        self._versions: dict[UUID, Version] = {}
        self._tokens: dict[str, float] = {}

    def has(self, user_id: UUID, version: int, token_id: str) -> bool:
        """Whether a token has ended."""
        least = self._versions.get(user_id)
        # guard: endings_token_by_its_name: token_id in self._tokens or =>
        # guard: endings_tokens_of_older_versions => return token_id in self._tokens or False
        return token_id in self._tokens or (least is not None and version < least.version)

    async def refresh(self) -> bool:
        """Read what has ended; say whether there is anything that was not known."""
        began = self._now()
        # guard: endings_overlap_for_open_transactions => since = self._read_to or began - REMEMBERED_S
        since = (self._read_to or began - REMEMBERED_S) - _OVERLAP_S
        news = await self._load(since)
        fresh = [self.end_below(one) for one in news.versions]
        fresh += [self.end(one) for one in news.tokens]
        self._read_to = began
        self._forget(began)
        return any(fresh)

    def end_below(self, version: Version) -> bool:
        """Remember the least version of a person's tokens; say whether that is new."""
        known = self._versions.get(version.user_id)
        # guard: endings_version_never_goes_back: version >= => version ==
        if known is not None and known.version >= version.version:
            return False
        self._versions[version.user_id] = version
        return True

    def end(self, token: EndedToken) -> bool:
        """Remember that a token has ended; say whether that is new."""
        is_new = token.token_id not in self._tokens
        self._tokens[token.token_id] = token.expires_at
        return is_new

    def _forget(self, now: float) -> None:
        over = [name for name, expires_at in self._tokens.items() if expires_at < now]
        for name in over:
            del self._tokens[name]
        old = now - REMEMBERED_S - _OVERLAP_S
        for version in [one for one in self._versions.values() if one.changed_at < old]:
            del self._versions[version.user_id]
