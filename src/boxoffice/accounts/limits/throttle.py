"""Rate limits of log-ins, sign-ups and mails about accounts, across all processes.

IPv6 clients are counted by their /64 (`platform/client_addresses.py`).
"""

from hashlib import sha256

from boxoffice.accounts import metrics
from boxoffice.accounts.limits.attempt_counters import AttemptCounters
from boxoffice.errors import TooMany
from boxoffice.platform.client_addresses import address_bucket
from boxoffice.platform.valkey import Valkey
from boxoffice.settings import AccountSettings

# One person does not log in from this many addresses within a window.
_ADDRESSES_PER_EMAIL = 10


class LoginThrottle:
    """Counts failed log-ins per e-mail and address, per e-mail (ten times the limit) and per address.

    An attempt counts as failed until it is forgiven, so that concurrent guesses cannot pass a limit
    together. A window starts with its first attempt and lasts `login_window_s`.
    """

    def __init__(self, settings: AccountSettings, valkey: Valkey) -> None:
        self._counts = AttemptCounters(valkey)
        self._failures_max = settings.login_failures_max
        self._address_limits = (
            settings.login_address_failures_max,
            settings.login_address_attempts_max,
        )
        self._window_ms = settings.login_window_s * 1000
        self._sign_ups_max = settings.sign_ups_per_address_max
        self._sign_ups_window_ms = settings.sign_ups_window_s * 1000

    async def count_address(self, address: str) -> None:
        """Count an attempt of an address as failed; raise `TooMany` with `retry_after_s`.

        This is the limit for one password tried on many accounts.
        """
        wait_ms = await self._counts.count(
            _address_keys(address), self._address_limits, self._window_ms
        )
        _require("login_address", wait_ms, "Too many log-ins from this network; try again later.")

    async def forgive_address(self, address: str) -> None:
        """Uncount the failure of an attempt of an address; the attempt still counts."""
        failures, _ = _address_keys(address)
        await self._counts.forgive((failures,))

    async def count(self, email: str, address: str, *, is_known: bool = False) -> None:
        """Count an attempt on an account as failed; raise `TooMany` with `retry_after_s`.

        From an address that the account has logged in from, only its own failures count.
        """
        keys = _keys(email, address)
        limits = (self._failures_max, self._failures_max * _ADDRESSES_PER_EMAIL)
        counted = 1 if is_known else 2
        wait_ms = await self._counts.count(keys[:counted], limits[:counted], self._window_ms)
        _require("login_account", wait_ms, "Too many failed logins; try again later.")

    async def forgive(
        self, email: str, address: str, *, succeeded: bool, is_known: bool = False
    ) -> None:
        """Uncount an attempt; one that `succeeded` clears the count of its e-mail and address."""
        keys = _keys(email, address)
        await self._counts.forgive(keys[: 1 if is_known else 2], clear=succeeded)

    async def count_sign_up(self, address: str) -> None:
        """Count a sign-up from an address; raise `TooMany` with `retry_after_s`."""
        wait_ms = await self._counts.count(
            (_sign_up_key(address),), (self._sign_ups_max,), self._sign_ups_window_ms
        )
        _require("sign_up_address", wait_ms, "Too many sign-ups from this network; try later.")

    async def forgive_sign_up(self, address: str) -> None:
        """Uncount a sign-up that was not decided."""
        await self._counts.forgive((_sign_up_key(address),))


class MailThrottle:
    """Counts the mails that are asked for, per purpose and e-mail address and per client's address.

    An address is counted whether or not it has an account.
    """

    def __init__(self, settings: AccountSettings, valkey: Valkey) -> None:
        self._counts = AttemptCounters(valkey)
        self._email_max = settings.account_mails_per_email_max
        self._address_max = settings.account_mails_per_address_max
        self._window_ms = settings.account_mails_window_s * 1000

    async def count(self, purpose: str, email: str, client_address: str) -> None:
        """Count a mail; raise `TooMany` with `retry_after_s`."""
        by_address = f"boxoffice:account_mail:{{{_digest(address_bucket(client_address))}}}"
        wait_ms = await self._counts.count((by_address,), (self._address_max,), self._window_ms)
        _require("mail_address", wait_ms, "Too many mails from this network; try again later.")
        by_email = f"boxoffice:account_mail:{purpose}:{{{_digest(email)}}}"
        wait_ms = await self._counts.count((by_email,), (self._email_max,), self._window_ms)
        _require("mail_account", wait_ms, "Too many mails to this address; try again later.")


def _require(limit: str, wait_ms: int, detail: str) -> None:
    if wait_ms > 0:
        metrics.ATTEMPTS_REFUSED.labels(limit).inc()
        raise TooMany(detail, retry_after_s=-(-wait_ms // 1000))


def _keys(email: str, address: str) -> tuple[str, str]:
    # Digests keep personal data out of Valkey, and braces in an e-mail out of the hash tag.
    tag = f"boxoffice:login:{{{_digest(email)}}}"
    return f"{tag}:{_digest(address)}", tag


def _address_keys(address: str) -> tuple[str, str]:
    tag = f"boxoffice:login_address:{{{_digest(address)}}}"
    return f"{tag}:failures", f"{tag}:attempts"


def _sign_up_key(address: str) -> str:
    return f"boxoffice:sign_up:{{{_digest(address)}}}"


def _digest(text: str) -> str:
    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]
