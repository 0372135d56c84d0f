"""The waiting room over HTTP: parse, call, present."""

import re
from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import UUID

import msgspec
from msgspec import Meta

from boxoffice.accounts.credentials.errors import EmailNotVerified
from boxoffice.catalog.paths import SCHEDULE_ID
from boxoffice.errors import (
    Invalid,
    OutcomeUnknown,
    QueueAccountRequired,
    QueueClosed,
    QueueDrawn,
    QueuePlaceTaken,
    QueueRoomLimit,
    QueueTicketExpired,
    QueueTicketInvalid,
    TooMany,
    Unauthenticated,
)
from boxoffice.http.api.operation import Call, Reply, Request, RouteDependencies, operation
from boxoffice.http.streams import Stream
from boxoffice.permissions import Permission
from boxoffice.platform.values import Moment
from boxoffice.waiting_room.anonymous.service import TicketBearer
from boxoffice.waiting_room.engine import shuffle
from boxoffice.waiting_room.position_streams import EVENTS, PositionStreams
from boxoffice.waiting_room.rules import (
    Mode,
    Notice,
    PositionState,
    QueuePosition,
    WaitingRoomChange,
    WaitingRoomView,
)
from boxoffice.waiting_room.service import WaitingRoom

_SCHEDULE = {"schedule_id": SCHEDULE_ID}
_BROWSER_HEADER = "Queue-Secret"
_SECRET_FORM = re.compile(r"[A-Za-z0-9_-]{32,128}")
_TICKET = {
    "Queue-Ticket!": "The `queue_ticket` of the join, or of a later response.",
    _BROWSER_HEADER: "The secret of a join without an account.",
}


class JoinedOut(msgspec.Struct, kw_only=True):
    """A place in the queue; `position` is null before the draw of a lobby.

    `opens_at` is set before the opening. `epoch` is that of the ticket, to compare with the board's.
    """

    queue_ticket: str
    state: PositionState
    number: int
    epoch: int
    position: int | None
    eta_s: int | None
    poll_after_s: int
    notice: Notice | None = None
    draw_seed_hash: str | None = None
    opens_at: datetime | None = None


class QueuePositionOut(msgspec.Struct, kw_only=True, omit_defaults=True):
    """The queue position. A `queue_ticket` replaces the previous one.

    `opens_at` is set before the opening; once admitted, `leaves_at` is the end of the time inside.
    `epoch` is that of the latest ticket, to compare with the board's. `anonymous` is true
    while the ticket has no account, else missing.
    """

    state: PositionState
    number: int
    epoch: int
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
    anonymous: bool = False


class DrawOut(msgspec.Struct, kw_only=True):
    """The draw of a lobby: the hash of the seed, and after the draw the seed to verify it."""

    algorithm: str
    seed_hash: str
    seed: str | None
    lobby_size: int | None


class WaitingRoomBody(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """The settings to change; the others stay."""

    mode: Mode | None = None
    rate_per_s: Annotated[float, Meta(ge=0.01, le=100_000)] | None = None
    inside_max: Annotated[int, Meta(ge=1, le=100_000)] | None = None
    inside_s: Annotated[int, Meta(ge=3, le=86_400)] | None = None
    grace_s: Annotated[int, Meta(ge=3, le=3_600)] | None = None
    opens_at: Moment | None = None
    paused: bool | None = None
    closed: bool | None = None
    anonymous: bool | None = None


class WaitingRoomOut(msgspec.Struct, kw_only=True):
    """A waiting room: its settings, counters and measured rate."""

    schedule_id: UUID
    mode: Mode
    rate_per_s: float
    inside_max: int
    inside_s: int
    grace_s: int
    opens_at: datetime
    paused: bool
    closed: bool
    anonymous: bool
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
        role="any",
        instead_of_token=_BROWSER_HEADER,
        returns=JoinedOut,
        path=_SCHEDULE,
        headers={
            _BROWSER_HEADER: "Instead of an access token, where the organizer allows it: 32 to 128 "
            "random characters of base64url, chosen by the client."
        },
        problems=(QueueClosed, TooMany, Invalid),
    )
    async def on_post(self, call: Call[Any, Any]) -> Reply:
        """Idempotent: an account or a secret keeps its place."""
        if call.caller is None:
            return Reply(_joined(await self._join_anonymously(call)))
        position = await self._service.join(
            call.ids["schedule_id"], call.caller.user_id, call.req.remote_addr
        )
        return Reply(_joined(position))

    async def _join_anonymously(self, call: Call[Any, Any]) -> QueuePosition:
        secret = call.req.get_header(_BROWSER_HEADER) or ""
        if not _SECRET_FORM.fullmatch(secret):
            raise Invalid("Queue-Secret must be 32 to 128 random characters of base64url.")
        return await self._service.join_anonymously(
            call.ids["schedule_id"], secret, call.req.remote_addr
        )

    @operation(
        "Get the queue position",
        returns=QueuePositionOut,
        path=_SCHEDULE,
        headers=_TICKET,
        problems=(
            QueueTicketInvalid,
            QueueAccountRequired,
            EmailNotVerified,
            QueuePlaceTaken,
            QueueTicketExpired,
            OutcomeUnknown,
            TooMany,
        ),
    )
    async def on_get(self, call: Call[Any, Any]) -> Reply:
        """Reads the header Queue-Ticket. Admits a called user; inside it is the heartbeat.

        With an access token it gives the place of a ticket without account to the caller.
        """
        position = await self._service.position(
            call.ids["schedule_id"],
            call.req.get_header("Queue-Ticket"),
            _bearer(self.dependencies, call.req),
            call.req.remote_addr,
        )
        return Reply(_position(position))

    @operation(
        "Leave the waiting room",
        204,
        path=_SCHEDULE,
        headers=_TICKET,
        problems=(QueueTicketInvalid, QueueTicketExpired, TooMany),
    )
    async def on_delete(self, call: Call[Any, Any]) -> Reply:
        """Reads the header Queue-Ticket; frees the place."""
        await self._service.leave(
            call.ids["schedule_id"],
            call.req.get_header("Queue-Ticket"),
            _bearer(self.dependencies, call.req),
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
        "Stream the queue position",
        path=_SCHEDULE,
        headers=_TICKET,
        events=EVENTS,
        problems=(QueueTicketInvalid, QueueTicketExpired, QueueClosed, TooMany),
    )
    async def on_get(self, call: Call[Any, Any]) -> Stream:
        """Replaces polling. After `turn` the client polls once; only a poll admits."""
        room, ticket = await self._service.authorize_stream(
            call.ids["schedule_id"],
            call.req.get_header("Queue-Ticket"),
            _bearer(self.dependencies, call.req),
            call.req.remote_addr,
        )
        return self._position_streams.open(room, ticket)


class _QueueDrawRoutes:
    def __init__(self, service: WaitingRoom, dependencies: RouteDependencies) -> None:
        self._service = service
        self.dependencies = dependencies

    @operation("Get the draw of a lobby", returns=DrawOut, path=_SCHEDULE)
    async def on_get(self, call: Call[Any, Any]) -> Reply:
        """The hash of the seed; after the draw also the seed."""
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

    @operation(
        "Get a waiting room",
        permission=Permission.EVENTS_READ,
        returns=WaitingRoomOut,
        path=_SCHEDULE,
    )
    async def on_get(self, call: Call[Any, Any]) -> Reply:
        """Its settings and counters."""
        view = await self._service.view(call.caller.organization_ids, call.ids["schedule_id"])
        return Reply(_room(view))

    @operation(
        "Change a waiting room",
        permission=Permission.SALES_WRITE,
        body=WaitingRoomBody,
        returns=WaitingRoomOut,
        path=_SCHEDULE,
        problems=(QueueDrawn, QueueRoomLimit, Invalid, OutcomeUnknown),
    )
    async def on_post(self, call: Call[WaitingRoomBody, Any]) -> Reply:
        """Creates it with the first change. Every pod follows within a second."""
        fields = msgspec.structs.asdict(call.body)
        opens_at = fields.pop("opens_at")
        change = WaitingRoomChange(opens_at=opens_at and opens_at.timestamp(), **fields)
        view = await self._service.configure(
            call.caller, call.ids["schedule_id"], change, request_id=call.request_id
        )
        return Reply(_room(view))


def routes(
    service: WaitingRoom, position_streams: PositionStreams, dependencies: RouteDependencies
) -> list[tuple[str, object]]:
    """Return the resources of this module by URI template."""
    return [
        ("/v1/schedules/{schedule_id}/queue", _QueueRoutes(service, dependencies)),
        (
            "/v1/schedules/{schedule_id}/queue/events",
            _QueueEventRoutes(service, position_streams, dependencies),
        ),
        ("/v1/schedules/{schedule_id}/queue/draw", _QueueDrawRoutes(service, dependencies)),
        ("/v1/admin/schedules/{schedule_id}/queue", _AdminQueueRoutes(service, dependencies)),
    ]


def _bearer(dependencies: RouteDependencies, req: Request) -> TicketBearer:
    return TicketBearer(_caller_id(dependencies, req), req.get_header(_BROWSER_HEADER) or "")


def _caller_id(dependencies: RouteDependencies, req: Request) -> UUID | None:
    """Return the caller of a valid access token, else None: a ticket outlives many tokens."""
    given = req.fields.get(b"authorization")
    if not given:
        return None
    token = given.decode("latin-1").partition(" ")[2].strip()
    try:
        caller: Any = dependencies.authenticate(token)
    except Unauthenticated:
        return None
    user_id: UUID = caller.user_id
    return user_id


def _seed_hash(position: QueuePosition) -> str | None:
    room = position.room
    return room.seed_hash if room is not None and room.mode is Mode.LOBBY else None


def _joined(position: QueuePosition) -> JoinedOut:
    return JoinedOut(
        queue_ticket=position.queue_ticket or "",
        state=position.state,
        number=position.number,
        epoch=position.epoch,
        position=position.position,
        eta_s=position.eta_s,
        poll_after_s=position.poll_after_s,
        notice=position.notice,
        draw_seed_hash=_seed_hash(position),
        opens_at=_opens_at(position),
    )


def _opens_at(position: QueuePosition) -> datetime | None:
    if position.room is None or position.notice is not Notice.NOT_OPEN:
        return None
    return _moment(position.room.opens_at)


def _position(position: QueuePosition) -> QueuePositionOut:
    out = QueuePositionOut(
        state=position.state,
        number=position.number,
        epoch=position.epoch,
        position=position.position,
        eta_s=position.eta_s,
        poll_after_s=position.poll_after_s,
        notice=position.notice,
        queue_ticket=position.queue_ticket,
        draw_seed_hash=_seed_hash(position),
        opens_at=_opens_at(position),
        anonymous=position.is_anonymous,
    )
    if position.queue_pass is not None:
        out.queue_pass = position.queue_pass
        out.expires_at = _moment(position.pass_ends_at)
        out.leaves_at = _moment(position.leaves_at)
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
        anonymous=room.allows_anonymous,
        notice=view.notice,
        waiting=max(0, counters.joined - counters.called),
        inside=counters.inside,
        called=counters.called,
        measured_rate_per_s=counters.rate_per_s,
        draw_seed_hash=room.seed_hash if room.seed else None,
    )


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
