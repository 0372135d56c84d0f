"""Password hashing: expensive on purpose, so it runs in threads and is bounded in number."""

import asyncio
import secrets
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from argon2 import PasswordHasher, Type
from argon2.exceptions import InvalidHashError, VerificationError

from boxoffice.accounts.passwords.fair_semaphore import LOG_IN, SIGN_UP, FairSemaphore
from boxoffice.errors import IntegrityError
from boxoffice.settings import AccountSettings

T = TypeVar("T")

# The minimum of the OWASP Password Storage Cheat Sheet for Argon2id (RFC 9106).
MEMORY_KIB = 19 * 1024
PASSES = 2
LANES = 1


class Passwords:
    """Hashes and verifies in threads; raises `Overloaded` where the queue for them is full."""

    def __init__(self, settings: AccountSettings) -> None:
        in_flight_max = settings.password_hashes_in_flight_max
        self._semaphore = FairSemaphore(in_flight_max, settings.password_hashes_waiting_max)
        self._threads = ThreadPoolExecutor(in_flight_max, thread_name_prefix="password")
        self._hasher = PasswordHasher(PASSES, MEMORY_KIB, LANES, type=Type.ID)
        self._dummy_hash = self._hasher.hash(secrets.token_urlsafe())

    async def hash(self, password: str, address: str = "") -> str:
        """Return a new salted hash in the PHC string format."""
        return await self._run(lambda: self._hasher.hash(password), SIGN_UP, address)

    async def matches(self, password_hash: str | None, password: str, address: str = "") -> bool:
        """Return whether a password matches its hash.

        For an account that does not exist (None) it takes as long, and returns False.
        """
        wanted = password_hash or self._dummy_hash
        return await self._run(lambda: self._verify(wanted, password), LOG_IN, address)

    def check_capacity(self, kind: str, address: str) -> None:
        """Raise `Overloaded` where one more hash of a kind would be refused now."""
        self._semaphore.check_capacity(kind, address)

    def close(self) -> None:
        """Shut the threads down once they have finished."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _verify(self, password_hash: str, password: str) -> bool:
        try:
            return self._hasher.verify(password_hash, password)
        except InvalidHashError as error:
            raise IntegrityError("a stored password hash cannot be read") from error
        except VerificationError:
            return False

    async def _run(self, work: Callable[[], T], kind: str = LOG_IN, address: str = "") -> T:
        await self._semaphore.acquire(kind, address)
        future = asyncio.get_running_loop().run_in_executor(self._threads, work)
        # A thread cannot be interrupted, so its slot is free only when it ends.
        future.add_done_callback(lambda _: self._semaphore.release())
        return await asyncio.shield(future)
