"""Slows down who guesses passwords, across all processes."""

import asyncio
from hashlib import sha256

from boxoffice.errors import TooMany
from boxoffice.platform import sqlfiles, telemetry
from boxoffice.platform.valkey import Script, Valkey, ValkeyAway
from boxoffice.settings import Settings

# Many people may share an address, but nobody has this many addresses by honest means.
_ADDRESSES_PER_EMAIL = 10

# A storm of logins queues here and not for Valkey's connections: there it would run into the deadline,
# open the breaker that the seat lock shares, and so switch this very throttle off.
_CALLS_MAX = 4

_COUNT = Script("count_failure", sqlfiles.read("boxoffice.accounts", "lua/count_failure.lua"))
_FORGIVE = Script("forgive_failure", sqlfiles.read("boxoffice.accounts", "lua/forgive_failure.lua"))


class LoginThrottle:
    """Counts failed logins per e-mail and client address, and, ten times laxer, per e-mail.

    An attempt counts as failed until it is forgiven, so that guesses which run side by side cannot
    all slip in under the limit. A window starts with its first failure and lasts `login_window_s`.
    While Valkey is away everybody is let in: a shop that is open matters more than this brake.
    """

    def __init__(self, settings: Settings, valkey: Valkey) -> None:
        self._valkey = valkey
        self._failures_max = settings.login_failures_max
        self._window_ms = settings.login_window_s * 1000
        self._turns = asyncio.Semaphore(_CALLS_MAX)

    async def count(self, email: str, client_address: str) -> None:
        """Count an attempt as failed; raise `TooMany` with `retry_after_s` past a limit."""
        limits = (self._failures_max, self._failures_max * _ADDRESSES_PER_EMAIL)
        try:
            async with self._turns:
                wait_ms = await self._valkey.run(
                    _COUNT, _keys(email, client_address), (*limits, self._window_ms)
                )
        except ValkeyAway as error:
            telemetry.log.warning("login_throttle_away", error=str(error))
            return
        if wait_ms > 0:
            raise TooMany(
                "Too many failed logins; try again later.", retry_after_s=-(-wait_ms // 1000)
            )

    async def forgive(self, email: str, client_address: str, *, succeeded: bool) -> None:
        """Take an attempt back; one that `succeeded` clears its address's count for the e-mail."""
        try:
            async with self._turns:
                await self._valkey.run(_FORGIVE, _keys(email, client_address), (int(succeeded),))
        except ValkeyAway as error:
            telemetry.log.warning("login_throttle_away", error=str(error))


def _keys(email: str, client_address: str) -> tuple[str, str]:
    # Digests keep addresses of people out of Valkey, and braces in an e-mail out of the hash tag.
    tag = f"boxoffice:login:{{{_digest(email)}}}"
    return f"{tag}:{_digest(client_address)}", tag


def _digest(text: str) -> str:
    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]
