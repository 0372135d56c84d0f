"""Sends a simulator's notices: durable, repeated until taken, and as wrong as was asked for."""

import asyncio
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Protocol

import aiohttp
import msgspec

from boxoffice_simulators.book import DueNotice, SimulatorBook
from boxoffice_simulators.faults import FaultBoard

_INTERVAL_S = 0.5
_TIMEOUT_S = 10.0
_REORDER_S = 0.3
_STALE_S = 3_600.0


class NoticeStyle(msgspec.Struct, forbid_unknown_fields=True):
    """Where notices go, and what is wrong with them."""

    url: str = ""
    is_paused: bool = False
    is_reordered: bool = False
    is_forged: bool = False
    is_stale: bool = False
    # The pauses before repetitions; empty for the provider's own.
    retries_s: list[float] = []


class NoticeFormat(Protocol):
    """How a provider signs, and how long it tries."""

    retries_s: tuple[float, ...]

    def notice_headers(self, notice: DueNotice, at: float, *, is_forged: bool) -> Mapping[str, str]:
        """Return the headers of one attempt at a time."""


class NoticeSender:
    """The queue in the book, and the task that empties it."""

    def __init__(self, book: SimulatorBook, faults: FaultBoard) -> None:
        self._book = book
        self._faults = faults
        self.style = NoticeStyle()
        self._wire: NoticeFormat | None = None
        self._woken = asyncio.Event()
        self._turn = asyncio.Lock()
        self._queued = 0

    def use(self, wire: NoticeFormat) -> None:
        """Sign as this provider does."""
        self._wire = wire

    def queue(self, own_id: str, body: object, order_id: str) -> None:
        """Queue a notice about an order, in the transaction of its cause."""
        text = msgspec.json.encode(body).decode()
        for _ in range(self._faults.copies(order_id)):
            self._queued += 1
            is_late = self.style.is_reordered and self._queued % 2 == 1
            self._book.add_notice(own_id, text, _REORDER_S if is_late else 0.0)

    def wake(self) -> None:
        """Send soon."""
        self._woken.set()

    async def run(self) -> None:
        """Send what is due, until cancelled."""
        while True:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._woken.wait(), _INTERVAL_S)
            self._woken.clear()
            if not self.style.is_paused:
                await self.send_due()

    async def send_due(self, *, is_early: bool = False) -> list[int]:
        """Send the due notices (or all that wait) and return the statuses; 0 for none."""
        if not self.style.url:
            return []
        async with self._turn, aiohttp.ClientSession() as session:
            before = float("inf") if is_early else time.time()
            return [await self._send(session, one) for one in self._book.due_notices(before)]

    async def _send(self, session: aiohttp.ClientSession, one: DueNotice) -> int:
        status = await self.post(session, one)
        retries = self.style.retries_s or (self._wire.retries_s if self._wire else ())
        if 200 <= status < 300:
            self._book.settle_notice(one, "taken", 0.0)
        elif one.tries >= len(retries):
            self._book.settle_notice(one, "given up", 0.0)
        else:
            self._book.settle_notice(one, "due", time.time() + retries[one.tries])
        return status

    async def post(self, session: aiohttp.ClientSession, one: DueNotice) -> int:
        """Send one notice once."""
        at = self._book.now() - (_STALE_S if self.style.is_stale else 0.0)
        headers = {"Content-Type": "application/json"}
        if self._wire is not None:
            headers |= self._wire.notice_headers(one, at, is_forged=self.style.is_forged)
        try:
            async with session.post(
                self.style.url,
                data=one.body.encode(),
                headers=headers,
                timeout=aiohttp.ClientTimeout(total=_TIMEOUT_S),
                allow_redirects=False,
            ) as response:
                await response.read()
                return response.status
        except (aiohttp.ClientError, OSError):
            return 0
