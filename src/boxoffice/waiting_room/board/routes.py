"""The board over HTTP, and the public keys of its signatures."""

from collections.abc import Callable
from functools import lru_cache
from math import ceil

import msgspec

from boxoffice.catalog.paths import SCHEDULE
from boxoffice.http.api.headers import FixedHeaders
from boxoffice.http.api.operation import Call, Reply, RouteDependencies, operation
from boxoffice.platform.conditional import content_tag
from boxoffice.settings import Settings
from boxoffice.waiting_room.board.keys import BoardKeys, BoardKeysOut
from boxoffice.waiting_room.board.rules import BoardOut
from boxoffice.waiting_room.board.service import Boards

SIGNATURE = "JWS-Signature"

_encode = msgspec.json.Encoder().encode


class QueueBoard:
    """`/v1/schedules/{schedule_id}/queue/board`; `headers_of` returns the headers with a signature."""

    def __init__(
        self,
        boards: Boards,
        dependencies: RouteDependencies,
        headers_of: Callable[[str], FixedHeaders],
    ) -> None:
        self.dependencies = dependencies
        self._boards = boards
        self._headers_of = headers_of

    @operation(
        "Get the board of a waiting room",
        returns=BoardOut,
        path=SCHEDULE,
        cached=True,
        returned_headers={
            SIGNATURE: "A JWS whose detached content, unencoded (RFC 7797), is the body."
        },
    )
    async def on_get(self, call: Call[None, None]) -> Reply:
        """The same for all, for caches: clients subtract, and poll personally when they are called."""
        rendered = await self._boards.rendered(call.ids["schedule_id"])
        headers = self._headers_of(rendered.signature)
        return Reply(encoded=rendered.body, etag=rendered.etag, headers=headers)


class QueueBoardKeys:
    """`/v1/board-keys`."""

    def __init__(
        self, keys: BoardKeys, dependencies: RouteDependencies, headers: FixedHeaders
    ) -> None:
        self.dependencies = dependencies
        self._keys = keys
        self._headers = headers

    @operation("Get the public keys of boards", returns=BoardKeysOut, cached=True)
    async def on_get(self, _call: Call[None, None]) -> Reply:
        """A JWK Set. A new key is in it before the first board that it signs."""
        body = _encode(self._keys.public())
        return Reply(encoded=body, etag=content_tag(body), headers=self._headers)


def routes(
    boards: Boards, keys: BoardKeys, dependencies: RouteDependencies, settings: Settings
) -> list[tuple[str, object]]:
    """Return the resources of this package by URI template."""
    fresh_s = ceil(settings.waiting_room.queue_board_refresh_ms / 1000)

    # The lines of a head are made once for each signature; the last boards of busy rooms.
    @lru_cache(maxsize=128)
    def headers_of(signature: str) -> FixedHeaders:
        return FixedHeaders({"Cache-Control": f"public, max-age={fresh_s}", SIGNATURE: signature})

    # Every process knows a new key after one refresh, and it signs after two. In between, three caches
    # in a row may keep a set, each for a third. HAProxy takes `max-age=0` after `public` for a refusal.
    keys_s = int(settings.accounts.token_key_refresh_s / 3)
    key_headers = FixedHeaders({"Cache-Control": f"max-age=0, s-maxage={keys_s}, public"})
    return [
        ("/v1/schedules/{schedule_id}/queue/board", QueueBoard(boards, dependencies, headers_of)),
        ("/v1/board-keys", QueueBoardKeys(keys, dependencies, key_headers)),
    ]
