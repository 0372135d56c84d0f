"""Password hashes: slow on purpose, therefore away from the event loop and bounded in number."""

import asyncio
import secrets
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from argon2 import PasswordHasher, Type
from argon2.exceptions import InvalidHashError, VerificationError

from boxoffice.accounts.fair_semaphore import LOG_IN, SIGN_UP, Turns
from boxoffice.errors import IntegrityError
from boxoffice.settings import AccountSettings

T = TypeVar("T")

# The least that the OWASP Password Storage Cheat Sheet asks of Argon2id (RFC 9106).
MEMORY_KIB = 19 * 1024
PASSES = 2
LANES = 1


class Passwords:
    """Hashes and verifies in threads, in `Turns`; past its limits it raises `Overloaded` at once."""

    def __init__(self, settings: AccountSettings) -> None:
        in_flight_max = settings.password_hashes_in_flight_max
        self._turns = Turns(in_flight_max, settings.password_hashes_waiting_max)
        self._threads = ThreadPoolExecutor(in_flight_max, thread_name_prefix="password")
        self._hasher = PasswordHasher(PASSES, MEMORY_KIB, LANES, type=Type.ID)
        self._nobody = self._hasher.hash(secrets.token_urlsafe())

    async def hash(self, password: str, address: str = "") -> str:
        """Return a new salted hash in the PHC string format, in its address's turn."""
        return await self._run(lambda: self._hasher.hash(password), SIGN_UP, address)

    async def matches(self, password_hash: str | None, password: str, address: str = "") -> bool:
        """Say, in its address's turn, whether a password is the one that was hashed.

        For somebody who does not exist (None) it takes as long, and the answer is no.
        """
        wanted = password_hash or self._nobody
        return await self._run(lambda: self._verify(wanted, password), LOG_IN, address)

    def require_room(self, kind: str, address: str) -> None:
        """Raise `Overloaded` where one more hash of a kind would be refused now."""
        self._turns.require_room(kind, address)

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

    async def _run(self, work: Callable[[], T], kind: str = LOG_IN, address: str = "") -> T:
        await self._turns.take(kind, address)
        future = asyncio.get_running_loop().run_in_executor(self._threads, work)
        # A thread cannot be interrupted: its slot is free when it ends, also if nobody waits.
        future.add_done_callback(lambda _: self._turns.give_back())
        return await asyncio.shield(future)
