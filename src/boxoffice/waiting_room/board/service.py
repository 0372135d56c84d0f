"""The boards of a process: rendered at most once per `queue_board_refresh_ms` and schedule."""

import time
from collections.abc import Awaitable, Callable
from typing import NamedTuple
from uuid import UUID

import msgspec

from boxoffice.errors import ScheduleNotFound
from boxoffice.platform.cache import Cache
from boxoffice.platform.conditional import content_tag
from boxoffice.settings import WaitingRoomSettings
from boxoffice.waiting_room.board import rules
from boxoffice.waiting_room.board.keys import BoardKey, BoardKeys
from boxoffice.waiting_room.board.rules import BoardOut, BoardTiming, CountersReading
from boxoffice.waiting_room.registry import WaitingRoomRegistry

_encode = msgspec.json.Encoder().encode


class RenderedBoard(NamedTuple):
    """A board, its bytes, their signature by `key`, and the ETag of both."""

    board: BoardOut
    body: bytes
    key: BoardKey
    signature: str
    etag: str


class Boards:
    """Renders boards from the cached state of rooms, and signs them when they change.

    All requests for a schedule share one rendering and one reading of Valkey per
    `queue_board_refresh_ms`. `require_schedule` raises `ScheduleNotFound`; `now` is the database's
    time in seconds since the epoch, `clock` counts monotonic seconds.
    """

    def __init__(
        self,
        settings: WaitingRoomSettings,
        rooms: WaitingRoomRegistry,
        keys: BoardKeys,
        require_schedule: Callable[[UUID], Awaitable[object]],
        now: Callable[[], float],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._rooms = rooms
        self._keys = keys
        self._require_schedule = require_schedule
        self._now = now
        self._refresh_s = settings.queue_board_refresh_ms / 1000
        self._timing = BoardTiming(settings.queue_board_asks_per_s, settings.queue_ticket_ttl_s)
        self._cache: Cache[UUID, RenderedBoard] = Cache(
            self._render,
            ttl_s=lambda _rendered: self._refresh_s,
            weight_max=settings.queue_rooms_max,
            clock=clock,
        )

    async def rendered(self, schedule_id: UUID) -> RenderedBoard:
        """Return the board of a schedule; raise `ScheduleNotFound`, or `Unavailable` without a key."""
        return self._cache.get_cached(schedule_id) or await self._cache.get(schedule_id)

    async def _render(self, schedule_id: UUID) -> RenderedBoard:
        last = self._cache.peek(schedule_id)
        board = rules.following(last and last.board, await self._read(schedule_id))
        key = self._keys.signing()
        # guard: board_is_signed_anew_by_a_new_key => if last is not None and board == last.board:
        if last is not None and (board, key) == (last.board, last.key):
            return last
        body = _encode(board)
        signature = key.sign(body)
        # Of both: a cache that is answered 304 keeps the signature that it has.
        # guard: board_tag_names_the_signature => etag = content_tag(body)
        etag = content_tag(body + signature.encode("ascii"))
        return RenderedBoard(board, body, key, signature, etag)

    async def _read(self, schedule_id: UUID) -> BoardOut:
        room = self._rooms.by_schedule.get(schedule_id)
        if room is None:
            await self._require_schedule(schedule_id)
            # guard: board_room_is_read_before_it_is_off => room = None
            room = await self._rooms.get_fresh(schedule_id)
        if room is None:
            return rules.board_without_room(schedule_id, self._now(), self._timing)
        # guard: board_drafts_are_not_shown => if False:
        if not room.is_public:
            raise ScheduleNotFound
        await self._rooms.refresh_counters_older_than(schedule_id, self._refresh_s)
        counters, age_s = self._rooms.last_counters(schedule_id)
        return rules.board(room, CountersReading(counters, self._now(), age_s), self._timing)
