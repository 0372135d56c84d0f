"""One process's view of a role's lease: held for less time than was granted."""

import time
from collections.abc import Callable

from boxoffice.platform.lease.store import LeaseStore

# A holder renews after this part of the lease, so that one failed attempt does not lose it.
_RENEW_AFTER = 1 / 3


class Lease:
    """Renews in time; the database's clock grants, this process only measures a duration."""

    def __init__(
        self, store: LeaseStore, ttl_ms: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._store = store
        self._ttl_ms = ttl_ms
        self._clock = clock
        self._token: int | None = None
        self._asked_at = 0.0

    @property
    def token(self) -> int | None:
        """The fencing token, or None where the lease is not held or has run out."""
        return self._token if self._age() < 1 else None

    async def keep(self) -> int | None:
        """Take or renew where due; return the fencing token, or None while another holds it."""
        if self.token is None or self._age() >= _RENEW_AFTER:
            # Measured before the call, so that our lease never ends later than the database's.
            asked_at = self._clock()
            self._token = await self._store.take(self._ttl_ms)
            self._asked_at = asked_at
        return self.token

    def forget(self) -> None:
        """Treat the lease as expired: the next `keep` asks the database."""
        self._token = None

    async def release(self) -> None:
        """Release it, so that the next holder need not wait."""
        token, self._token = self._token, None
        if token is not None:
            await self._store.release(token)

    def _age(self) -> float:
        return (self._clock() - self._asked_at) * 1000 / self._ttl_ms
