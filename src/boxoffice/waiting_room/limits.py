"""Rate limits of waiting-room requests, per account and per address, in one worker."""

import time
from collections.abc import Callable
from uuid import UUID

from boxoffice.errors import TooMany
from boxoffice.platform.client_addresses import address_bucket
from boxoffice.settings import WaitingRoomSettings


class RequestRateLimits:
    """Counts requests of the current second in this process."""

    def __init__(
        self, settings: WaitingRoomSettings, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._account_max = settings.queue_account_requests_per_s_max
        self._address_max = settings.queue_address_requests_per_s_max
        self._clock = clock
        self._second = -1
        self._accounts: dict[UUID, int] = {}
        self._addresses: dict[str, int] = {}

    def count(self, user_id: UUID, address: str) -> None:
        """Count a request; raise `TooMany` above a limit."""
        second = int(self._clock())
        if second != self._second:
            self._second = second
            self._accounts, self._addresses = {}, {}
        asked = self._accounts[user_id] = self._accounts.get(user_id, 0) + 1
        bucket = address_bucket(address)
        came = self._addresses[bucket] = self._addresses.get(bucket, 0) + 1
        # guard: limit_rate_per_account => if came > self._address_max:
        # guard: limit_rate_per_address: or came > self._address_max =>
        if asked > self._account_max or came > self._address_max:
            raise TooMany("Ask less often: poll_after_s says when.", retry_after_s=1)
