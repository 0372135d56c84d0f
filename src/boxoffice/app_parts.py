"""Parts of the composition root: clients of the servers, seats, waiting rooms, catalog, storefront.

Only `app.py` and `app_cashier.py` use them; no other file names concrete parts.
"""

from dataclasses import dataclass
from hashlib import blake2b
from importlib.metadata import version
from urllib.parse import parse_qsl, urlsplit

from boxoffice.accounts.composition import AccountServices
from boxoffice.accounts.service import Accounts
from boxoffice.batching import GroupCommit
from boxoffice.batching.handover.workers import WorkerHandOver, WorkerPlace
from boxoffice.batching.limits import batch_limits, hand_over_limits
from boxoffice.brands import routes as brand_routes
from boxoffice.brands.service import Brands
from boxoffice.brands.store import BrandStore
from boxoffice.catalog.lookups import CatalogLookups
from boxoffice.catalog.service import Catalog
from boxoffice.catalog.shared.lookups import SharedLookups
from boxoffice.catalog.store import CatalogStore
from boxoffice.http.api.operation import RouteDependencies
from boxoffice.listings import routes as listing_routes
from boxoffice.listings.featured import Featured
from boxoffice.listings.service import Listings
from boxoffice.listings.store import ListingStore
from boxoffice.observability.tracing import spans
from boxoffice.platform.clock import DatabaseClock
from boxoffice.platform.concurrency.background import Background
from boxoffice.platform.ids import new_id
from boxoffice.platform.lease.lease import Lease
from boxoffice.platform.lease.store import LeaseStore
from boxoffice.platform.postgres.database import Database
from boxoffice.platform.postgres.multi_host import split_hosts
from boxoffice.platform.valkey import Valkey
from boxoffice.posters import routes as poster_routes
from boxoffice.posters.files import PictureFiles, object_store_of
from boxoffice.posters.service import Posters
from boxoffice.posters.store import PosterStore
from boxoffice.ranking import routes as ranking_routes
from boxoffice.ranking.board import RankingBoard
from boxoffice.ranking.service import Ranking
from boxoffice.ranking.store import RankingStore
from boxoffice.reservations.handlers import HoldHandler, LockSwitch, ReleaseHandler
from boxoffice.reservations.seat_lock import SeatLock
from boxoffice.reservations.service import HoldChecks, HoldLimits, Reservations
from boxoffice.reservations.store import Cooldown, ReservationStore
from boxoffice.seats.cache.entries import ScheduleEntries, SeatChangeApplier
from boxoffice.seats.changes.bus import SeatChangeBus
from boxoffice.seats.changes.publisher import SeatChangePublisher
from boxoffice.seats.changes.sharded_bus import ShardedSeatChangeBus
from boxoffice.seats.read_model import SeatReadModel
from boxoffice.seats.refusals import SeatRefusals
from boxoffice.seats.shared.readings import SharedReadings
from boxoffice.seats.store import SeatStore
from boxoffice.settings import Settings
from boxoffice.waiting_room.anonymous.service import AnonymousPlaces
from boxoffice.waiting_room.board.keys import BoardKeys
from boxoffice.waiting_room.board.service import Boards
from boxoffice.waiting_room.departures import PaidExits
from boxoffice.waiting_room.engine import leader as waiting_room_leader
from boxoffice.waiting_room.engine.queue_state import QueueState
from boxoffice.waiting_room.join_writer import JoinWriter
from boxoffice.waiting_room.queue_tickets import QueueTicketSigner
from boxoffice.waiting_room.registry import WaitingRoomRegistry
from boxoffice.waiting_room.service import WaitingRoom, WaitingRoomDependencies
from boxoffice.waiting_room.store import QueueStore

# The parts of an address that say which database it is, where they are in its query.
_NAMES_OF_A_DATABASE = ("host", "port", "dbname", "database", "user")


@dataclass(frozen=True)
class Infrastructure:
    """What every module uses: the clients of PostgreSQL and Valkey, and the work in progress."""

    db: Database
    valkey: Valkey
    clock: DatabaseClock
    group_commit: GroupCommit
    background: Background
    hand_over: WorkerHandOver | None = None

    @property
    def commits(self) -> tuple[GroupCommit, Background]:
        """What decides, and what goes on afterwards."""
        return self.group_commit, self.background


@dataclass(frozen=True)
class SeatServices:
    """The seats of this process: their state in memory, and the messages about changes."""

    read_model: SeatReadModel
    refusals: SeatRefusals
    applier: SeatChangeApplier
    change_bus: SeatChangeBus
    publisher: SeatChangePublisher
    shared: SharedReadings


@dataclass(frozen=True)
class WaitingRoomServices:
    """The waiting rooms of this process: use cases, boards, cached state, leader and join writer."""

    service: WaitingRoom
    boards: Boards
    board_keys: BoardKeys
    rooms: WaitingRoomRegistry
    leader: waiting_room_leader.Leader
    join_writer: JoinWriter


def compose_infrastructure(settings: Settings, place: WorkerPlace | None = None) -> Infrastructure:
    """Return the clients, not yet connected; with a place, this worker batches with its neighbours."""
    db, group_commit = Database(settings), _group_commit(settings)
    hand_over = None
    if place is not None:
        limits = hand_over_limits(settings.batching)
        hand_over = WorkerHandOver(place, group_commit, db.forbid, limits)
    return Infrastructure(
        db=db,
        valkey=Valkey(settings.valkey),
        clock=DatabaseClock(db.now_s),
        group_commit=group_commit,
        background=Background(),
        hand_over=hand_over,
    )


def _group_commit(settings: Settings) -> GroupCommit:
    limits, tracer = batch_limits(settings.batching), spans.current()
    if tracer is None:
        return GroupCommit(limits)
    from boxoffice.batching.traced import TracedGroupCommit  # noqa: PLC0415 — optional packages

    return TracedGroupCommit(limits, tracer)


def compose_seats(settings: Settings, infrastructure: Infrastructure) -> SeatServices:
    """Return the seats of a process."""
    clock = infrastructure.clock
    shared = SharedReadings(
        # Large answers, so its own connections and circuit breaker: they delay no other call.
        Valkey(settings.valkey),
        settings.seats.seats_shared_processes_min,
        lambda: change_bus.processes,
        clock,
        infrastructure.background.start,
        f"boxoffice:{shop_of(settings)}",
    )
    entries = ScheduleEntries(
        settings.seats,
        SeatStore(infrastructure.db),
        now=clock.now,
        uncertainty_s=clock.uncertainty_s,
        shared=shared,
    )
    read_model = SeatReadModel(entries)
    applier = SeatChangeApplier(entries)
    change_bus = _change_bus(infrastructure.valkey, applier)
    return SeatServices(
        read_model=read_model,
        refusals=SeatRefusals(entries, is_enabled=settings.seats.seat_cache),
        applier=applier,
        change_bus=change_bus,
        publisher=SeatChangePublisher(applier, read_model, change_bus),
        shared=shared,
    )


def _change_bus(valkey: Valkey, applier: SeatChangeApplier) -> SeatChangeBus:
    if valkey.cluster is None:
        return SeatChangeBus(valkey, applier)
    return ShardedSeatChangeBus(valkey, valkey.cluster, applier)


def compose_reservations(
    settings: Settings,
    infrastructure: Infrastructure,
    seats: SeatServices,
    checks: HoldChecks,
) -> Reservations:
    """Return the holds and releases of a process."""
    cooldown = Cooldown(
        settings.holds.hold_lapses_free_max,
        settings.holds.hold_cooldown_first_s,
        settings.holds.hold_cooldown_max_s,
    )
    store = ReservationStore(infrastructure.db, cooldown)
    seat_lock = SeatLock(infrastructure.valkey, settings.holds.seat_lock_ttl_ms)
    switch = LockSwitch(
        settings.holds.seat_lock, settings.holds.seat_lock_hot_ms, lambda: seats.publisher.has_peers
    )
    holds = HoldHandler(
        store, seat_lock, infrastructure.background, seats.publisher, seats.refusals, switch
    )
    releases = ReleaseHandler(store, seat_lock, seats.publisher, switch)
    if infrastructure.hand_over is not None:
        infrastructure.hand_over.register(holds)
        infrastructure.hand_over.register(releases)
    return Reservations(
        store,
        infrastructure.group_commit,
        holds,
        releases,
        seats.read_model,
        seats.refusals,
        HoldLimits(settings.holds.seats_per_hold_max),
        checks,
    )


def compose_paid_exits(settings: Settings, infrastructure: Infrastructure) -> PaidExits:
    """Return what frees places in waiting rooms, for a process that serves none."""
    queue_state = _queue_state(settings, infrastructure)
    store, clock = QueueStore(infrastructure.db), infrastructure.clock
    return PaidExits(store, queue_state, clock.now, infrastructure.background.start)


def _queue_state(settings: Settings, infrastructure: Infrastructure) -> QueueState:
    return QueueState(
        infrastructure.valkey,
        settings.waiting_room.queue_state_ttl_s,
        settings.waiting_room.queue_tick_max,
    )


def compose_waiting_room(
    settings: Settings, infrastructure: Infrastructure, people: AccountServices, seats: SeatServices
) -> WaitingRoomServices:
    """Return the waiting rooms of a process."""
    store = QueueStore(infrastructure.db)
    queue_state = _queue_state(settings, infrastructure)
    rooms = WaitingRoomRegistry(settings.waiting_room, store, queue_state)
    now = infrastructure.clock.now
    tickets = QueueTicketSigner(
        people.accounts.tokens.keys,
        now,
        ticket_ttl_s=settings.waiting_room.queue_ticket_ttl_s,
        cached_max=settings.waiting_room.queue_tickets_cached_max,
    )
    join_writer = JoinWriter(store)
    anonymous = AnonymousPlaces(
        settings.waiting_room,
        store,
        queue_state,
        rooms,
        join_writer,
        infrastructure.group_commit,
        people.verified.require,
    )
    dependencies = WaitingRoomDependencies(
        store,
        queue_state,
        rooms,
        tickets,
        join_writer,
        infrastructure.group_commit,
        now,
        anonymous,
    )
    service = WaitingRoom(
        settings.waiting_room,
        dependencies,
        seats.read_model.layout,
        infrastructure.background.start,
    )
    lease = Lease(
        LeaseStore(infrastructure.db, waiting_room_leader.ROLE, new_id()),
        settings.waiting_room.queue_lease_ms,
    )
    leader = waiting_room_leader.Leader(
        settings.waiting_room, lease, store, queue_state, rooms, now, seats.read_model.seats_left
    )
    board_keys = BoardKeys(people.accounts.tokens.keys)
    boards = Boards(settings.waiting_room, rooms, board_keys, seats.read_model.layout, now)
    return WaitingRoomServices(service, boards, board_keys, rooms, leader, join_writer)


@dataclass(frozen=True)
class StorefrontServices:
    """What lists and pages of concerts show besides the catalog."""

    pictures: PictureFiles
    posters: Posters
    listings: Listings
    featured: Featured
    ranking: Ranking
    brands: Brands


def compose_storefront(settings: Settings, infrastructure: Infrastructure) -> StorefrontServices:
    """Return the parts that lists and pages show."""
    db, now = infrastructure.db, infrastructure.clock.now
    in_s3 = settings.posters.poster_storage == "s3"
    objects = object_store_of(settings.posters, now) if in_s3 else None
    pictures = PictureFiles(settings.posters, PosterStore(db), objects)
    posters = Posters(PosterStore(db), pictures)
    board = RankingBoard(infrastructure.valkey, settings.outbox.relay_stream)
    return StorefrontServices(
        pictures=pictures,
        posters=posters,
        listings=Listings(settings.listings, ListingStore(db), posters),
        featured=Featured(ListingStore(db)),
        ranking=Ranking(settings.ranking, RankingStore(db), board, now),
        brands=Brands(BrandStore(db), pictures, settings.catalog),
    )


def compose_catalog(
    settings: Settings,
    infrastructure: Infrastructure,
    seats: SeatServices,
    storefront: StorefrontServices,
) -> Catalog:
    """Return the catalog, whose look-ups processes share as they share readings of seats."""
    return Catalog(
        settings,
        CatalogStore(infrastructure.db, settings.payments.venue_time_zone),
        seats.applier,
        listings=storefront.listings,
        brands=storefront.brands,
        shared=SharedLookups(
            seats.shared.valkey,
            seats.shared.is_active,
            infrastructure.background.start,
            f"{version('boxoffice')}:{shop_of(settings)}",
        ),
    )


def shop_of(settings: Settings) -> str:
    """Return a digest of which database this is and which stream: shops may use one Valkey.

    No password is in it. Processes that reach the database under another address share nothing.
    """
    servers = [_named(one) for one in split_hosts(settings.database.database_url)]
    said = repr((servers, settings.outbox.relay_stream))
    return blake2b(said.encode(), digest_size=8).hexdigest()


def _named(address: str) -> tuple[str, str, str, list[tuple[str, str]]]:
    """Return the user, the host, the path, and what the query says of them."""
    parts = urlsplit(address)
    login, _, host = parts.netloc.rpartition("@")
    named = [one for one in parse_qsl(parts.query) if one[0] in _NAMES_OF_A_DATABASE]
    return login.partition(":")[0], host, parts.path, named


def storefront_routes(
    storefront: StorefrontServices,
    lookups: CatalogLookups,
    dependencies: RouteDependencies,
    settings: Settings,
) -> list[tuple[str, object]]:
    """Return the resources of the parts that lists and pages show."""
    max_bytes = settings.posters.poster_max_bytes
    return [
        *brand_routes.routes(storefront.brands, dependencies, settings),
        *listing_routes.routes(storefront.featured, dependencies, lookups.forget_lists),
        *poster_routes.routes(storefront.posters, dependencies, max_bytes),
        *ranking_routes.routes(storefront.ranking, dependencies, settings.ranking),
    ]


def route_dependencies(settings: Settings, accounts: Accounts) -> RouteDependencies:
    """Return what every operation needs at run time."""
    return RouteDependencies(
        authenticate=accounts.tokens.verify,
        body_max_bytes=settings.server.body_max_bytes,
        request_timeout_s=settings.server.request_timeout_ms / 1000,
        confirm=accounts.confirm,
        large_body_max_bytes=settings.server.large_body_max_bytes,
    )
