"""The board over HTTP."""

from math import ceil

from boxoffice.catalog.paths import SCHEDULE
from boxoffice.http.api.headers import FixedHeaders
from boxoffice.http.api.operation import Call, Reply, RouteDependencies, operation
from boxoffice.settings import WaitingRoomSettings
from boxoffice.waiting_room.board.rules import BoardOut
from boxoffice.waiting_room.board.service import Boards


class QueueBoard:
    """`/v1/schedules/{schedule_id}/queue/board`."""

    def __init__(
        self, boards: Boards, dependencies: RouteDependencies, headers: FixedHeaders
    ) -> None:
        self.dependencies = dependencies
        self._boards = boards
        self._headers = headers

    @operation("Get the board of a waiting room", returns=BoardOut, path=SCHEDULE, cached=True)
    async def on_get(self, call: Call[None, None]) -> Reply:
        """The same for all, for caches: clients subtract, and poll personally when they are called."""
        rendered = await self._boards.rendered(call.ids["schedule_id"])
        return Reply(encoded=rendered.body, etag=rendered.etag, headers=self._headers)


def routes(
    boards: Boards, dependencies: RouteDependencies, settings: WaitingRoomSettings
) -> list[tuple[str, object]]:
    """Return the resources of this package by URI template."""
    fresh_s = ceil(settings.queue_board_refresh_ms / 1000)
    headers = FixedHeaders({"Cache-Control": f"public, max-age={fresh_s}"})
    return [
        ("/v1/schedules/{schedule_id}/queue/board", QueueBoard(boards, dependencies, headers)),
    ]
