"""Files as answers: made after the handler has ended, and sent in pieces at the client's pace.

The handler has checked the request; the file may take longer than a request may. A client that hangs up
ends the work. Until the first piece is sent, a failure is answered as any other.
"""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import IO, Any, Protocol

from boxoffice.observability.logs import log

_PIECE_BYTES = 65_536


@dataclass(frozen=True)
class Download:
    """A file that `make` returns open, positioned at its end; who sends it closes it.

    `name` is what the client calls it, in ASCII. `timeout_s` is for making and sending.
    """

    make: Callable[[], Coroutine[Any, Any, IO[bytes]]]
    media_type: str
    name: str
    timeout_s: float

    @property
    def headers(self) -> dict[str, str]:
        """The header that names the file."""
        return {"Content-Disposition": f'attachment; filename="{self.name}"'}


class FileReceiver(Protocol):
    """The connection and the request that a file is sent to."""

    def begin_file(self, length_bytes: int) -> None: ...

    def send_piece(self, piece: bytes, *, is_last: bool) -> None: ...

    def fail_file(self, error: Exception, *, has_begun: bool) -> None: ...


class FileSender:
    """Makes a file and sends it; the receiver says when it is full, and when it is gone."""

    def __init__(self, download: Download, receiver: FileReceiver) -> None:
        self._download = download
        self._receiver = receiver
        self._has_room = asyncio.Event()
        self._has_room.set()
        self._has_begun = False
        self._task = asyncio.create_task(self._run())

    def pause(self) -> None:
        """Send nothing until `resume`."""
        self._has_room.clear()

    def resume(self) -> None:
        """Send what follows."""
        self._has_room.set()

    def stop(self) -> None:
        """End the work: the client is gone."""
        self._task.cancel()

    async def _run(self) -> None:
        try:
            async with asyncio.timeout(self._download.timeout_s):
                file = await self._download.make()
                try:
                    await self._send(file)
                finally:
                    file.close()
        except Exception as error:  # answered where that is still possible
            if self._has_begun:
                log.warning("download_cut", error=repr(error))
            self._receiver.fail_file(error, has_begun=self._has_begun)

    async def _send(self, file: IO[bytes]) -> None:
        left = file.tell()
        file.seek(0)
        await self._has_room.wait()
        self._has_begun = True
        self._receiver.begin_file(left)
        if left == 0:
            self._receiver.send_piece(b"", is_last=True)
        while left > 0:
            piece = await asyncio.to_thread(file.read, min(left, _PIECE_BYTES))
            await self._has_room.wait()
            left -= len(piece)
            if not piece:
                raise EOFError("the file is shorter than it was")
            self._receiver.send_piece(piece, is_last=left == 0)
