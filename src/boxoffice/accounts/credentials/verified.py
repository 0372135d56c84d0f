"""Whether a person may hold seats where the organizer asks for a verified address."""

import math
from uuid import UUID

from boxoffice.accounts.credentials.errors import EmailNotVerified
from boxoffice.accounts.credentials.store import CredentialStore
from boxoffice.errors import Unavailable
from boxoffice.platform.cache import Cache

# A person who has just opened the link tries again at once.
_UNVERIFIED_CACHE_S = 0.5


class VerifiedPeople:
    """Which concerts ask for a verified address, a moment old, and who has one.

    A verified address stays verified: another one takes its place by a link only.
    """

    def __init__(
        self, store: CredentialStore, switch_cache_s: float, schedules_max: int, people_max: int
    ) -> None:
        self._switches: Cache[UUID, bool] = Cache(
            store.requires_verified, ttl_s=lambda _: switch_cache_s, weight_max=schedules_max
        )
        self._people: Cache[UUID, bool] = Cache(
            store.is_verified,
            ttl_s=lambda is_verified: math.inf if is_verified else _UNVERIFIED_CACHE_S,
            weight_max=people_max,
        )

    def may_hold_by_cache(self, schedule_id: UUID, user_id: UUID) -> bool:
        """Return whether a hold is known to be allowed; otherwise `require` decides."""
        is_on = self._switches.get_cached(schedule_id)
        return is_on is False or (is_on is True and self._people.get_cached(user_id) is True)

    async def require(self, schedule_id: UUID, user_id: UUID) -> None:
        """Raise `EmailNotVerified` where the organizer asks for an address that this person lacks.

        While the database cannot answer, the switch is as it was known last; raises `Unavailable`
        where nothing is known.
        """
        # guard: verified_address_is_asked_for => if False:
        if await self._is_on(schedule_id) and not await self._people.get(user_id):
            raise EmailNotVerified

    async def _is_on(self, schedule_id: UUID) -> bool:
        try:
            return await self._switches.get(schedule_id)
        except Unavailable:
            known = self._switches.peek(schedule_id)
            if known is None:
                raise
            return known
