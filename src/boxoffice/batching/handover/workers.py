"""Which worker collects for a schedule, and the connections between the workers of one machine."""

import asyncio
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

from boxoffice.batching.commands import Pending
from boxoffice.batching.group_commit import GroupCommit
from boxoffice.batching.handover.collector import CollectorServer
from boxoffice.batching.handover.frames import WireHandler
from boxoffice.batching.handover.link import CollectorLink, HandOverLimits
from boxoffice.observability.logs import log


@dataclass(frozen=True)
class WorkerPlace:
    """A worker among those of its machine: `number` from 0 of `count`, with sockets in `folder`."""

    folder: Path
    number: int
    count: int

    @classmethod
    def parse(cls, text: str) -> "WorkerPlace":
        """Read `NUMBER/COUNT:FOLDER`; raise `ValueError`."""
        place, _, folder = text.partition(":")
        number, _, count = place.partition("/")
        return cls(Path(folder), int(number), int(count))

    def __str__(self) -> str:
        return f"{self.number}/{self.count}:{self.folder}"

    def socket(self, number: int) -> str:
        """Return the path of a worker's socket."""
        return str(self.folder / f"{number}.sock")


class WorkerHandOver:
    """Hands commands to the collectors of this machine, and collects for the schedules of this worker.

    The schedules are spread over the workers by their ids. `forbid` as in `CollectorLink`.
    """

    def __init__(
        self,
        place: WorkerPlace,
        group: GroupCommit,
        forbid: Callable[[int], None],
        limits: HandOverLimits,
    ) -> None:
        self._place = place
        self._handlers: dict[int, WireHandler[Any, Any, Any]] = {}
        self._kinds: set[str] = set()
        self._server = CollectorServer(group, self._handlers, limits)
        self._parts = (group, forbid, limits)
        self._links: dict[int, CollectorLink] = {}
        group.hand_over = self

    def register(self, handler: WireHandler[Any, Any, Any]) -> None:
        """Let the commands of a handler be handed over."""
        self._handlers[handler.wire.code] = handler
        self._kinds.add(handler.kind)

    def take(self, handler: Any, key: Hashable, pending: Pending[Any, Any]) -> bool:
        """Return whether another worker decides the command; otherwise it is decided here."""
        if handler.kind not in self._kinds or not isinstance(key, UUID):
            return False
        link = self._links.get(key.int % self._place.count)
        return link is not None and link.take(handler, key, pending)

    async def run(self) -> None:
        """Collect, and keep connections to the other collectors, until cancelled."""
        group, forbid, limits = self._parts
        place = self._place
        try:
            await self._server.start(place.socket(place.number))
        except OSError as error:
            # The others decide alone.
            log.warning("collector_not_listening", error=str(error))
        for number in range(place.count):
            if number != place.number:
                self._links[number] = CollectorLink(
                    place.socket(number), group, forbid, limits, self._server.wires
                )
        async with asyncio.TaskGroup() as all_links:
            for link in self._links.values():
                all_links.create_task(link.run())

    def close(self) -> None:
        """End all connections, once no command is pending."""
        self._server.close()
        for link in self._links.values():
            link.close()
