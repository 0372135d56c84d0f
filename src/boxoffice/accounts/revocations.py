"""Access tokens that were revoked before they expire, as last read by this process.

A log-out everywhere or a change of role revokes all tokens of a person by raising the person's minimum
version; a log-out revokes one token. Processes read the changes together with the token keys, so that a
request needs no query.
"""

from collections.abc import Awaitable, Callable, Sequence
from uuid import UUID

import msgspec

# The longest lifetime that the settings allow a token; after it a revocation is without effect.
RETAINED_S = 604_800.0
# A transaction takes its time before it commits; none is open for longer than this.
_OVERLAP_S = 60.0


class MinimumVersion(msgspec.Struct, frozen=True):
    """Tokens of the person below this version are revoked; times in seconds since the Unix epoch."""

    user_id: UUID
    version: int
    changed_at: float


class RevokedToken(msgspec.Struct, frozen=True):
    """A revoked token, and when it would have expired."""

    token_id: str
    expires_at: float


class LostTime(msgspec.Struct, frozen=True):
    """What a restore of the database has lost; in seconds since the Unix epoch."""

    since: float
    until: float


class NewRevocations(msgspec.Struct, frozen=True):
    """The revocations since some time, and the times that restores have lost."""

    versions: list[MinimumVersion]
    tokens: list[RevokedToken]
    lost: Sequence[LostTime] = ()


async def _none(_since: float) -> NewRevocations:
    return NewRevocations([], [])


class Revocations:
    """The revocations that `load` has returned; `now` is the database's time in epoch seconds.

    Bounded by the revocations within the lifetime of a token: one entry per person or token.
    """

    def __init__(
        self,
        now: Callable[[], float],
        load: Callable[[float], Awaitable[NewRevocations]] = _none,
    ) -> None:
        self._now = now
        self._load = load
        self._read_to = 0.0
        self._versions: dict[UUID, MinimumVersion] = {}
        self._tokens: dict[str, float] = {}
        self._lost: Sequence[LostTime] = ()

    def covers(self, user_id: UUID, version: int, token_id: str) -> bool:
        """Return whether a token is revoked."""
        least = self._versions.get(user_id)
        # guard: revocations_token_by_its_name: token_id in self._tokens or =>
        # guard: revocations_tokens_of_older_versions => return token_id in self._tokens or False
        return token_id in self._tokens or (least is not None and version < least.version)

    def covers_log_in(self, issued_at: int) -> bool:
        """Return whether a token is of a log-in that a restore has lost, perhaps with its account.

        `issued_at` is in whole seconds. Processes start anew after a restore, so none has verified one.
        """
        lost = self._lost
        # guard: tokens_of_the_lost_time_are_no_log_ins => return False
        return bool(lost) and any(int(one.since) <= issued_at <= one.until for one in lost)

    async def refresh(self) -> bool:
        """Read the revocations; return whether there are new ones."""
        began = self._now()
        # guard: revocations_overlap_for_open_transactions: - _OVERLAP_S =>
        since = (self._read_to or began - RETAINED_S) - _OVERLAP_S
        read = await self._load(since)
        fresh = [self.revoke_below(one) for one in read.versions]
        fresh += [self.revoke(one) for one in read.tokens]
        self._lost = read.lost
        self._read_to = began
        self._forget(began)
        return any(fresh)

    def revoke_below(self, version: MinimumVersion) -> bool:
        """Revoke a person's tokens below a version; return whether that is new."""
        known = self._versions.get(version.user_id)
        # guard: revocations_version_never_goes_back: version >= => version ==
        if known is not None and known.version >= version.version:
            return False
        self._versions[version.user_id] = version
        return True

    def revoke(self, token: RevokedToken) -> bool:
        """Revoke a token; return whether that is new."""
        is_new = token.token_id not in self._tokens
        self._tokens[token.token_id] = token.expires_at
        return is_new

    def _forget(self, now: float) -> None:
        over = [name for name, expires_at in self._tokens.items() if expires_at < now]
        for name in over:
            del self._tokens[name]
        old = now - RETAINED_S - _OVERLAP_S
        for version in [one for one in self._versions.values() if one.changed_at < old]:
            del self._versions[version.user_id]
