"""Limits of wrong codes per account and per address, across all processes."""

from collections.abc import Awaitable, Callable
from hashlib import sha256
from typing import TypeVar
from uuid import UUID

from boxoffice.accounts.attempt_counters import AttemptCounters
from boxoffice.errors import TooMany
from boxoffice.platform.valkey import Valkey
from boxoffice.settings import OfferSettings

T = TypeVar("T")


class CodeThrottle:
    """Counts attempts with codes; a window starts with its first attempt.

    An attempt counts as wrong until its code proves right, so that concurrent guesses cannot pass a
    limit together. While Valkey is away each process counts by itself.
    """

    def __init__(self, settings: OfferSettings, valkey: Valkey) -> None:
        self._counts = AttemptCounters(valkey)
        self._account_max = settings.code_failures_per_account_max
        self._address_max = settings.code_failures_per_address_max
        self._window_ms = settings.code_failures_window_s * 1000

    async def counted(
        self,
        user_id: UUID,
        address: str,
        attempt: Callable[[], Awaitable[T]],
        is_wrong: Callable[[T], bool],
    ) -> T:
        """Make an attempt, unless its account or address has made too many wrong ones.

        Raises `TooMany` with `retry_after_s`, and what the attempt raises, which does not count.
        """
        account, network = _key("account", str(user_id)), _key("address", address)
        await self._count(account, self._account_max)
        try:
            await self._count(network, self._address_max)
        except TooMany:
            await self._counts.forgive((account,))
            raise
        was_wrong = False
        try:
            found = await attempt()
            was_wrong = is_wrong(found)
        finally:
            if not was_wrong:
                await self._counts.forgive((account,))
                await self._counts.forgive((network,))
        return found

    async def _count(self, key: str, limit: int) -> None:
        wait_ms = await self._counts.count((key,), (limit,), self._window_ms)
        # guard: wrong_codes_are_limited => if False:
        if wait_ms > 0:
            raise TooMany(
                "Too many codes were wrong; try again later.", retry_after_s=-(-wait_ms // 1000)
            )


def _key(kind: str, value: str) -> str:
    # Digests keep personal data out of Valkey, and braces out of the hash tag.
    digest = sha256(value.encode("utf-8", "surrogatepass")).hexdigest()[:32]
    return f"boxoffice:code_{kind}:{{{digest}}}"
