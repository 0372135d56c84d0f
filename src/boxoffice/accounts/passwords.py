"""Password hashes: slow on purpose, therefore away from the event loop and bounded in number."""

import asyncio
import secrets
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from argon2 import PasswordHasher, Type
from argon2.exceptions import InvalidHashError, VerificationError

from boxoffice.errors import IntegrityError, Overloaded
from boxoffice.settings import Settings

T = TypeVar("T")

# The least that the OWASP Password Storage Cheat Sheet asks of Argon2id (RFC 9106).
MEMORY_KIB = 19 * 1024
PASSES = 2
LANES = 1


class Passwords:
    """Hashes and verifies in threads; past its limits it raises `Overloaded` at once."""

    def __init__(self, settings: Settings) -> None:
        in_flight_max = settings.password_hashes_in_flight_max
        self._waiting_max = settings.password_hashes_waiting_max
        self._waiting = 0
        self._slots = asyncio.Semaphore(in_flight_max)
        self._threads = ThreadPoolExecutor(in_flight_max, thread_name_prefix="password")
        self._hasher = PasswordHasher(PASSES, MEMORY_KIB, LANES, type=Type.ID)
        self._nobody = self._hasher.hash(secrets.token_urlsafe())

    async def hash(self, password: str) -> str:
        """Return a new salted hash in the PHC string format."""
        return await self._run(lambda: self._hasher.hash(password))

    async def matches(self, password_hash: str | None, password: str) -> bool:
        """Say whether a password is the one that was hashed.

        For somebody who does not exist (None) it takes as long, and the answer is no.
        """
        return await self._run(lambda: self._verify(password_hash or self._nobody, password))

    def require_room(self) -> None:
        """Raise `Overloaded` where one more hash would be refused now."""
        if self._slots.locked() and self._waiting >= self._waiting_max:
            raise Overloaded

    def close(self) -> None:
        """Let the threads go once they have finished."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _verify(self, password_hash: str, password: str) -> bool:
        try:
            return self._hasher.verify(password_hash, password)
        except InvalidHashError as error:
            raise IntegrityError("a stored password hash cannot be read") from error
        except VerificationError:
            return False

    async def _run(self, work: Callable[[], T]) -> T:
        self.require_room()
        self._waiting += 1
        try:
            await self._slots.acquire()
        finally:
            self._waiting -= 1
        future = asyncio.get_running_loop().run_in_executor(self._threads, work)
        # A thread cannot be interrupted: its slot is free when it ends, also if nobody waits.
        future.add_done_callback(lambda _: self._slots.release())
        return await asyncio.shield(future)
