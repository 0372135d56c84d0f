"""Limits of wrong codes per account and per address, across all processes."""

from collections.abc import Awaitable, Callable
from hashlib import sha256
from typing import TypeVar
from uuid import UUID

from boxoffice.accounts.limits.attempt_counters import AttemptCounters, LocalAttemptCounters
from boxoffice.errors import TooMany
from boxoffice.platform.valkey import Valkey
from boxoffice.settings import OfferSettings

T = TypeVar("T")


class CodeThrottle:
    """Counts attempts with wrong codes; a window starts with its first attempt.

    A process counts an attempt as wrong until its code proves right, so that concurrent guesses cannot
    pass a limit together. Only what was wrong is counted in Valkey as well, so a right code costs no
    call; from the first refusal on a process refuses by itself. Each further process therefore allows
    one wrong code more. While Valkey is away each counts by itself.
    """

    def __init__(self, settings: OfferSettings, valkey: Valkey) -> None:
        self._shared = AttemptCounters(valkey)
        self._own = LocalAttemptCounters()
        self._limits = (
            settings.code_failures_per_account_max,
            settings.code_failures_per_address_max,
        )
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
        keys = _key("account", str(user_id)), _key("address", address)
        # guard: wrong_codes_are_limited_in_a_process => _require(0)
        _require(self._own.count(keys, self._limits, self._window_ms))
        was_wrong = False
        try:
            found = await attempt()
            was_wrong = is_wrong(found)
        finally:
            if not was_wrong:
                self._own.forgive(keys, clear=False)
        if was_wrong:
            await self._count_wrong(keys)
        return found

    async def _count_wrong(self, keys: tuple[str, str]) -> None:
        for key, limit in zip(keys, self._limits, strict=True):
            wait_ms = await self._shared.count((key,), (limit,), self._window_ms)
            # guard: wrong_codes_are_limited_everywhere => if False:
            if wait_ms > 0:
                self._own.fill(key, limit, wait_ms)
                _require(wait_ms)


def _require(wait_ms: int) -> None:
    if wait_ms > 0:
        raise TooMany(
            "Too many codes were wrong; try again later.", retry_after_s=-(-wait_ms // 1000)
        )


def _key(kind: str, value: str) -> str:
    # Digests keep personal data out of Valkey, and braces out of the hash tag.
    digest = sha256(value.encode("utf-8", "surrogatepass")).hexdigest()[:32]
    return f"boxoffice:code_{kind}:{{{digest}}}"
