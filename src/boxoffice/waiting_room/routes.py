"""The waiting room over HTTP: parse, call, present."""

from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import UUID

import msgspec
from msgspec import Meta

from boxoffice.accounts.rules import SELLERS, readable_by
from boxoffice.catalog.paths import SCHEDULE_ID
from boxoffice.errors import (
    Invalid,
    OutcomeUnknown,
    QueueClosed,
    QueueDrawn,
    QueueRoomLimit,
    QueueTicketExpired,
    QueueTicketInvalid,
    TooMany,
    Unauthenticated,
)
from boxoffice.http.api.operation import Call, Reply, Request, RouteDependencies, operation
from boxoffice.http.streams import Stream
from boxoffice.platform.values import Moment
from boxoffice.waiting_room.engine import shuffle
from boxoffice.waiting_room.position_streams import EVENTS, PositionStreams
from boxoffice.waiting_room.rules import Mode, Notice, PositionState, WaitingRoomChange
from boxoffice.waiting_room.service import QueuePosition, WaitingRoom, WaitingRoomView

_SCHEDULE = {"schedule_id": SCHEDULE_ID}
_TICKET = {"Queue-Ticket!": "The `queue_ticket` that joining, or a later answer, brought."}


class JoinedOut(msgspec.Struct, kw_only=True):
    """A place in the line. In a lobby nobody has a position before the draw.

    `opens_at`, before the doors open, is when they do.
    """

    queue_ticket: str
    state: PositionState
    number: int
    position: int | None
    eta_s: int | None
    poll_after_s: int
    notice: Notice | None = None
    draw_seed_hash: str | None = None
    opens_at: datetime | None = None


class QueuePositionOut(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Where one stands. A `queue_ticket` in it takes the place of the old one.

    `opens_at`, before the doors open, is when they do; inside, `leaves_at` is how long one may stay.
    """

    state: PositionState
    number: int
    position: int | None
    eta_s: int | None
    poll_after_s: int
    notice: Notice | None = None
    queue_ticket: str | None = None
    draw_seed_hash: str | None = None
    queue_pass: str | None = None
    expires_at: datetime | None = None
    leaves_at: datetime | None = None
    opens_at: datetime | None = None


class DrawOut(msgspec.Struct, kw_only=True):
    """The draw of a lobby: what was promised, and after it what to check the promise with."""

    algorithm: str
    seed_hash: str
    seed: str | None
    lobby_size: int | None


class WaitingRoomBody(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """What is to be different; what is not given stays."""

    mode: Mode | None = None
    rate_per_s: Annotated[float, Meta(ge=0.01, le=100_000)] | None = None
    inside_max: Annotated[int, Meta(ge=1, le=100_000)] | None = None
    inside_s: Annotated[int, Meta(ge=3, le=86_400)] | None = None
    grace_s: Annotated[int, Meta(ge=3, le=3_600)] | None = None
    opens_at: Moment | None = None
    paused: bool | None = None
    closed: bool | None = None


class WaitingRoomOut(msgspec.Struct, kw_only=True):
    """A room: what is set, and how many wait and are inside; the rate measured, if there is one."""

    schedule_id: UUID
    mode: Mode
    rate_per_s: float
    inside_max: int
    inside_s: int
    grace_s: int
    opens_at: datetime
    paused: bool
    closed: bool
    notice: Notice | None
    waiting: int
    inside: int
    called: int
    measured_rate_per_s: float | None
    draw_seed_hash: str | None


class _QueueRoutes:
    def __init__(self, service: WaitingRoom, dependencies: RouteDependencies) -> None:
        self._service = service
        self.dependencies = dependencies

    @operation(
        "Join the waiting room",
        201,
        fast_path=True,
        role="any",
        returns=JoinedOut,
        path=_SCHEDULE,
        problems=(QueueClosed, TooMany),
    )
    async def on_post(self, call: Call[Any, Any]) -> Reply:
        """The same person gets the same place."""
        standing = await self._service.join(
            call.ids["schedule_id"], call.caller.user_id, call.req.remote_addr
        )
        return Reply(_joined(standing))

    @operation(
        "Ask for one's place",
        fast_path=True,
        returns=QueuePositionOut,
        path=_SCHEDULE,
        headers=_TICKET,
        problems=(QueueTicketInvalid, QueueTicketExpired, TooMany),
    )
    async def on_get(self, call: Call[Any, Any]) -> Reply:
        """By the header Queue-Ticket; inside it is also the sign of life that keeps the place."""
        standing = await self._service.standing(
            call.ids["schedule_id"],
            call.req.get_header("Queue-Ticket"),
            _caller_id(self.dependencies, call.req),
            call.req.remote_addr,
        )
        return Reply(_standing(standing))

    @operation(
        "Leave the waiting room",
        204,
        path=_SCHEDULE,
        headers=_TICKET,
        problems=(QueueTicketInvalid, QueueTicketExpired, TooMany),
    )
    async def on_delete(self, call: Call[Any, Any]) -> Reply:
        """By the header Queue-Ticket; the place is free for the next one."""
        await self._service.leave(
            call.ids["schedule_id"],
            call.req.get_header("Queue-Ticket"),
            _caller_id(self.dependencies, call.req),
            call.req.remote_addr,
        )
        return Reply()


class _QueueEventRoutes:
    def __init__(
        self,
        service: WaitingRoom,
        position_streams: PositionStreams,
        dependencies: RouteDependencies,
    ) -> None:
        self._service = service
        self._position_streams = position_streams
        self.dependencies = dependencies

    @operation(
        "Follow one's place",
        fast_path=True,
        path=_SCHEDULE,
        headers=_TICKET,
        events=EVENTS,
        problems=(QueueTicketInvalid, QueueTicketExpired, QueueClosed, TooMany),
    )
    async def on_get(self, call: Call[Any, Any]) -> Stream:
        """Instead of asking again and again; `turn` says when to ask, and only asking lets one in."""
        room, ticket = await self._service.follow(
            call.ids["schedule_id"],
            call.req.get_header("Queue-Ticket"),
            _caller_id(self.dependencies, call.req),
            call.req.remote_addr,
        )
        return self._position_streams.follow(room, ticket)


class _QueueDrawRoutes:
    def __init__(self, service: WaitingRoom, dependencies: RouteDependencies) -> None:
        self._service = service
        self.dependencies = dependencies

    @operation("Look at the draw of a lobby", returns=DrawOut, path=_SCHEDULE)
    async def on_get(self, call: Call[Any, Any]) -> Reply:
        """Before it the hash of the seed, after it the seed."""
        room = await self._service.room(call.ids["schedule_id"])
        is_drawn = room.lobby_size is not None
        return Reply(
            DrawOut(
                algorithm=shuffle.ALGORITHM,
                seed_hash=room.seed_hash,
                seed=room.seed.hex() if is_drawn else None,
                lobby_size=room.lobby_size,
            )
        )


class _AdminQueueRoutes:
    def __init__(self, service: WaitingRoom, dependencies: RouteDependencies) -> None:
        self._service = service
        self.dependencies = dependencies

    @operation("Look at a waiting room", role=SELLERS, returns=WaitingRoomOut, path=_SCHEDULE)
    async def on_get(self, call: Call[Any, Any]) -> Reply:
        """What is set and how it goes."""
        view = await self._service.look(readable_by(call.caller), call.ids["schedule_id"])
        return Reply(_room(view))

    @operation(
        "Change a waiting room",
        role="organizer",
        body=WaitingRoomBody,
        returns=WaitingRoomOut,
        path=_SCHEDULE,
        problems=(QueueDrawn, QueueRoomLimit, Invalid, OutcomeUnknown),
    )
    async def on_post(self, call: Call[WaitingRoomBody, Any]) -> Reply:
        """It exists from the first change on, switched off; every pod follows within a second."""
        fields = msgspec.structs.asdict(call.body)
        opens_at = fields.pop("opens_at")
        change = WaitingRoomChange(opens_at=opens_at and opens_at.timestamp(), **fields)
        view = await self._service.configure(
            call.caller.user_id, call.ids["schedule_id"], change, request_id=call.request_id
        )
        return Reply(_room(view))


def routes(
    service: WaitingRoom, position_streams: PositionStreams, dependencies: RouteDependencies
) -> list[tuple[str, object]]:
    """Return the resources of this room by URI template."""
    return [
        ("/v1/schedules/{schedule_id}/queue", _QueueRoutes(service, dependencies)),
        (
            "/v1/schedules/{schedule_id}/queue/events",
            _QueueEventRoutes(service, position_streams, dependencies),
        ),
        ("/v1/schedules/{schedule_id}/queue/draw", _QueueDrawRoutes(service, dependencies)),
        ("/v1/admin/schedules/{schedule_id}/queue", _AdminQueueRoutes(service, dependencies)),
    ]


def _caller_id(dependencies: RouteDependencies, req: Request) -> UUID | None:
    """Return who asks, where a good access token says so: a ticket outlives many of them."""
    header = req.get_header("Authorization")
    if not header:
        return None
    try:
        caller: Any = dependencies.authenticate(header.partition(" ")[2].strip())
    except Unauthenticated:
        return None
    user_id: UUID = caller.user_id
    return user_id


def _seed_hash(standing: QueuePosition) -> str | None:
    room = standing.room
    return room.seed_hash if room is not None and room.mode is Mode.LOBBY else None


def _joined(standing: QueuePosition) -> JoinedOut:
    return JoinedOut(
        queue_ticket=standing.queue_ticket or "",
        state=standing.state,
        number=standing.number,
        position=standing.position,
        eta_s=standing.eta_s,
        poll_after_s=standing.poll_after_s,
        notice=standing.notice,
        draw_seed_hash=_seed_hash(standing),
        opens_at=_opens_at(standing),
    )


def _opens_at(standing: QueuePosition) -> datetime | None:
    if standing.room is None or standing.notice is not Notice.NOT_OPEN:
        return None
    return _moment(standing.room.opens_at)


def _standing(standing: QueuePosition) -> QueuePositionOut:
    out = QueuePositionOut(
        state=standing.state,
        number=standing.number,
        position=standing.position,
        eta_s=standing.eta_s,
        poll_after_s=standing.poll_after_s,
        notice=standing.notice,
        queue_ticket=standing.queue_ticket,
        draw_seed_hash=_seed_hash(standing),
        opens_at=_opens_at(standing),
    )
    if standing.queue_pass is not None:
        out.queue_pass = standing.queue_pass
        out.expires_at = _moment(standing.pass_ends_at)
        out.leaves_at = _moment(standing.leaves_at)
    return out


def _room(view: WaitingRoomView) -> WaitingRoomOut:
    room, counters = view.room, view.counters
    return WaitingRoomOut(
        schedule_id=room.schedule_id,
        mode=room.mode,
        rate_per_s=room.rate_per_s,
        inside_max=room.inside_max,
        inside_s=room.inside_s,
        grace_s=room.grace_s,
        opens_at=_moment(room.opens_at),
        paused=room.is_paused,
        closed=room.is_closed,
        notice=view.notice,
        waiting=max(0, counters.joined - counters.called),
        inside=counters.inside,
        called=counters.called,
        measured_rate_per_s=counters.rate_per_s,
        draw_seed_hash=room.seed_hash if room.seed else None,
    )


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
