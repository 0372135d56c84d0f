"""The composition root: the only file that names concrete parts and puts them together."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import falcon.asgi

from boxoffice.accounts import routes as account_routes
from boxoffice.accounts.endings import Endings
from boxoffice.accounts.service import Accounts
from boxoffice.accounts.store import AccountStore
from boxoffice.accounts.tokens import TokenAuthority
from boxoffice.activity_log import routes as activity_routes
from boxoffice.activity_log.service import ActivityLog
from boxoffice.activity_log.store import ActivityStore
from boxoffice.audit import routes as audit_routes
from boxoffice.audit.runs import AuditRuns
from boxoffice.backoffice import routes as backoffice_routes
from boxoffice.backoffice.service import Backoffice
from boxoffice.backoffice.store import BackofficeStore
from boxoffice.batching import GroupCommit
from boxoffice.batching import Limits as BatchLimits
from boxoffice.catalog import routes as catalog_routes
from boxoffice.catalog.service import Catalog
from boxoffice.catalog.store import CatalogStore
from boxoffice.http.api import health, openapi, problems
from boxoffice.http.api.middleware import RequestLog
from boxoffice.http.api.operation import RouteDependencies
from boxoffice.http.api.routing import Router
from boxoffice.http.server.fast_path import Lane
from boxoffice.http.streams import Streams, limits_of
from boxoffice.observability.access_log import AccessLog, InFlight
from boxoffice.observability.logs import log
from boxoffice.payments import routes as payment_routes
from boxoffice.payments.handlers import ChargeHandler, PayHandler
from boxoffice.payments.provider import PaymentProvider
from boxoffice.payments.service import Payments
from boxoffice.payments.store import PaymentStore
from boxoffice.platform.clock import DatabaseClock
from boxoffice.platform.concurrency.background import Background
from boxoffice.platform.concurrency.tasks import cancel_and_wait, raise_if_cancelled
from boxoffice.platform.ids import new_id
from boxoffice.platform.lease.lease import Lease
from boxoffice.platform.lease.store import LeaseStore
from boxoffice.platform.postgres.database import Database
from boxoffice.platform.postgres.migrations import require_current
from boxoffice.platform.postgres.standby_monitor import StandbyMonitor
from boxoffice.platform.valkey import Valkey
from boxoffice.reservations import routes as reservation_routes
from boxoffice.reservations.handlers import HoldHandler, ReleaseHandler
from boxoffice.reservations.lock_switch import LockSwitch
from boxoffice.reservations.seat_lock import SeatLock
from boxoffice.reservations.service import Limits as HoldLimits
from boxoffice.reservations.service import Reservations
from boxoffice.reservations.store import Cooldown, ReservationStore
from boxoffice.sales_stats import routes as sales_stats_routes
from boxoffice.sales_stats.service import SalesStats
from boxoffice.sales_stats.store import SalesStatsStore
from boxoffice.sales_stats.traffic_counter import TrafficCounter
from boxoffice.sales_stats.traffic_store import TrafficStore
from boxoffice.seats.changes.bus import SeatChangeBus
from boxoffice.seats.changes.publisher import SeatChangePublisher
from boxoffice.seats.seat_maps import SeatMaps
from boxoffice.seats.store import SeatStore
from boxoffice.settings import Settings
from boxoffice.waiting_room import routes as queue_routes
from boxoffice.waiting_room.engine import leader as queue_leader
from boxoffice.waiting_room.engine.line import Line
from boxoffice.waiting_room.followers import Followers
from boxoffice.waiting_room.journal import JoinJournal
from boxoffice.waiting_room.rooms import Rooms
from boxoffice.waiting_room.service import Parts, WaitingRoom
from boxoffice.waiting_room.store import QueueStore
from boxoffice.waiting_room.tickets import Tickets
from boxoffice.web import routes as web_routes

VERSION = version("boxoffice")
# What a process keeps up to date has this long to stop.
_END_WITHIN_S = 3.0
# What ended by a bug begins anew so much later.
_AGAIN_AFTER_S = 1.0


@dataclass(frozen=True)
class Queue:
    """The waiting room of this process: its use cases, what it knows by heart, and its leader."""

    service: WaitingRoom
    rooms: Rooms
    leader: queue_leader.Leader
    journal: JoinJournal


@dataclass(frozen=True)
class Application:
    """One process's worth of the shop: the services for commands, the ASGI application for HTTP."""

    asgi: "falcon.asgi.App[Any, Any]"
    metrics: "falcon.asgi.App[Any, Any]"
    lane: Lane
    streams: Streams
    in_flight: InFlight
    accounts: Accounts
    catalog: Catalog
    seat_maps: SeatMaps
    seat_change_bus: SeatChangeBus
    clock: DatabaseClock
    reservations: Reservations
    payments: Payments
    sales_stats: SalesStats
    queue: Queue
    group_commit: GroupCommit
    document: dict[str, Any]


@dataclass(frozen=True)
class _Servers:
    """What every room shares: the servers and the work that is under way with them."""

    db: Database
    valkey: Valkey
    clock: DatabaseClock
    group_commit: GroupCommit
    background: Background


def _servers(settings: Settings) -> _Servers:
    """Return clients that have not connected yet."""
    db = Database(settings)
    return _Servers(
        db,
        Valkey(settings.valkey),
        DatabaseClock(db.now_s),
        GroupCommit(batch_limits(settings)),
        Background(),
    )


@asynccontextmanager
async def open_application(
    settings: Settings, providers: Mapping[str, PaymentProvider] | None = None
) -> AsyncIterator[Application]:
    """Connect, put the parts together, keep them up to date, and take them apart in the reverse order.

    For a process that serves. Raises `SettingsInvalid` where the database lacks this release's schema,
    and what connecting raises.
    """
    servers = _servers(settings)
    async with (
        _composed(settings, servers, providers or {}) as application,
        _refreshing(settings, servers, application),
        _drained(settings, servers, application),
    ):
        yield application


@asynccontextmanager
async def open_services(settings: Settings) -> AsyncIterator[Application]:
    """Connect and put the parts together for a command: nothing runs beside it, and it never leads.

    What it knows by heart is from when it was opened. Raises what `open_application` raises.
    """
    servers = _servers(settings)
    async with (
        _composed(settings, servers, {}) as application,
        _drained(settings, servers, application),
    ):
        yield application


@asynccontextmanager
async def _composed(
    settings: Settings, servers: _Servers, providers: Mapping[str, PaymentProvider]
) -> AsyncIterator[Application]:
    try:
        await servers.db.open()
        await require_current(servers.db)
        await servers.clock.synchronize()
        application = _compose(settings, servers, providers)
        await application.accounts.ensure_key()
        await application.queue.rooms.read_rooms()
        try:
            yield application
        finally:
            application.accounts.close()
    finally:
        await servers.valkey.close()
        await servers.db.close()


@asynccontextmanager
async def _drained(
    settings: Settings, servers: _Servers, application: Application
) -> AsyncIterator[None]:
    try:
        yield
    finally:
        await _drain(settings, servers, application.seat_change_bus, application.queue.journal)
        application.lane.access_log.write()


@asynccontextmanager
async def _refreshing(
    settings: Settings, servers: _Servers, application: Application
) -> AsyncIterator[None]:
    """Keep what a process knows by heart up to date for as long as it runs."""
    work = {
        "clock": servers.clock.keep_synchronized,
        "standby": StandbyMonitor(
            servers.db, settings.database.standby_check_interval_ms / 1000
        ).run,
        "token_keys": application.accounts.tokens.keep_fresh,
        "seat_change_bus": application.seat_change_bus.run,
        "sales_stats": application.sales_stats.run,
        "queue_rooms": application.queue.rooms.keep_fresh,
        "queue_leader": application.queue.leader.run,
        "queue_journal": application.queue.journal.run,
    }
    tasks = [asyncio.create_task(keep(name, run), name=name) for name, run in work.items()]
    try:
        yield
    finally:
        await _end(tasks)


async def keep(name: str, run: Callable[[], Awaitable[None]]) -> None:
    """Run what is to run until it is cancelled; where a bug ends it, say so and begin it anew."""
    while True:
        try:
            await run()
        except Exception as error:
            log.error("task_failed", task=name, exc_info=error)
            raise_if_cancelled()  # What went wrong meanwhile stands in the place of its end.
        else:
            raise_if_cancelled()
            log.error("task_ended", task=name)
        await asyncio.sleep(_AGAIN_AFTER_S)


async def _end(tasks: "list[asyncio.Task[None]]") -> None:
    """Cancel `tasks`; one that does not end keeps no process from stopping."""
    left = await cancel_and_wait(tasks, _END_WITHIN_S)
    if left:
        log.error("tasks_not_ended", tasks=sorted(task.get_name() for task in left))


async def _drain(
    settings: Settings, servers: _Servers, seat_change_bus: SeatChangeBus, journal: JoinJournal
) -> None:
    """Let what was begun come to its end, within the time that a process has for it."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(settings.server.drain_timeout_ms / 1000):
            await servers.group_commit.close()
            await servers.background.finish()
            await seat_change_bus.finish()
            # Tickets say the same: a process that cannot write it stops all the same.
            with contextlib.suppress(Exception):
                await journal.flush()


def _compose(
    settings: Settings, servers: _Servers, providers: Mapping[str, PaymentProvider]
) -> Application:
    accounts = _accounts(settings, servers)
    clock = servers.clock
    seat_maps = SeatMaps(
        settings.seats, SeatStore(servers.db), now=clock.now, uncertainty_s=clock.uncertainty_s
    )
    seat_change_bus = SeatChangeBus(servers.valkey, seat_maps)
    publisher = SeatChangePublisher(seat_maps, seat_change_bus)
    catalog = Catalog(settings, CatalogStore(servers.db), seat_maps)
    queue = _queue(settings, servers, accounts, seat_maps)
    reservations = _reservations(settings, servers, seat_maps, publisher, queue.service)
    payments = _payments(settings, servers, providers, seat_maps, publisher, queue.service)
    dependencies = _route_dependencies(settings, accounts)
    traffic_counter = TrafficCounter(clock.now, settings.sales_stats.sales_stats_schedules_max)
    sales_stats = SalesStats(
        settings.sales_stats,
        SalesStatsStore(servers.db),
        TrafficStore(servers.valkey),
        traffic_counter,
        clock.now,
    )
    streams = Streams(limits_of(settings.streams))
    routes = [
        *account_routes.routes(accounts, dependencies),
        *catalog_routes.routes(catalog, seat_maps, dependencies, settings, streams),
        *reservation_routes.routes(reservations, dependencies),
        *payment_routes.routes(payments, seat_maps, dependencies),
        *web_routes.routes(dependencies, clock.now),
        *sales_stats_routes.routes(sales_stats, dependencies),
        *backoffice_routes.routes(Backoffice(BackofficeStore(servers.db)), dependencies),
        *audit_routes.routes(
            AuditRuns(servers.db, settings.audit.audit_again_after_s), dependencies
        ),
        *activity_routes.routes(ActivityLog(ActivityStore(servers.db)), dependencies),
        *queue_routes.routes(
            queue.service, Followers(streams, queue.rooms, clock.now), dependencies
        ),
    ]
    access_log = AccessLog(
        InFlight(),
        log_requests=settings.observability.log_requests,
        listener=traffic_counter.record,
    )
    document = openapi.document(routes, VERSION)
    return Application(
        asgi_application(routes, access_log, document, settings.observability.metrics_token),
        metrics_application(access_log, settings.observability.metrics_token),
        Lane(routes, access_log),
        streams,
        access_log.in_flight,
        accounts,
        catalog,
        seat_maps,
        seat_change_bus,
        clock,
        reservations,
        payments,
        sales_stats,
        queue,
        servers.group_commit,
        document,
    )


def _accounts(settings: Settings, servers: _Servers) -> Accounts:
    store = AccountStore(servers.db)
    endings = Endings(servers.clock.now, store.endings)
    tokens = TokenAuthority(settings.accounts, store.keys, servers.clock.now, endings)
    return Accounts(settings, store, tokens, servers.valkey)


def _queue(settings: Settings, servers: _Servers, accounts: Accounts, seat_maps: SeatMaps) -> Queue:
    store = QueueStore(servers.db)
    line = Line(
        servers.valkey,
        settings.waiting_room.queue_state_ttl_s,
        settings.waiting_room.queue_tick_max,
    )
    rooms = Rooms(settings.waiting_room, store, line)
    now = servers.clock.now
    tickets = Tickets(
        accounts.tokens,
        now,
        ticket_ttl_s=settings.waiting_room.queue_ticket_ttl_s,
        cached_max=settings.waiting_room.queue_tickets_cached_max,
    )
    journal = JoinJournal(store)
    parts = Parts(store, line, rooms, tickets, journal, servers.group_commit, now)
    service = WaitingRoom(settings.waiting_room, parts, seat_maps.layout, servers.background.start)
    lease = Lease(
        LeaseStore(servers.db, queue_leader.ROLE, new_id()), settings.waiting_room.queue_lease_ms
    )
    leader = queue_leader.Leader(
        settings.waiting_room, lease, store, line, rooms, now, seat_maps.seats_left
    )
    return Queue(service, rooms, leader, journal)


def _reservations(
    settings: Settings,
    servers: _Servers,
    seat_maps: SeatMaps,
    publisher: SeatChangePublisher,
    queue: WaitingRoom,
) -> Reservations:
    cooldown = Cooldown(
        settings.holds.hold_lapses_free_max,
        settings.holds.hold_cooldown_first_s,
        settings.holds.hold_cooldown_max_s,
    )
    store = ReservationStore(servers.db, cooldown)
    seat_lock = SeatLock(servers.valkey, settings.holds.seat_lock_ttl_ms)
    switch = LockSwitch(
        settings.holds.seat_lock, settings.holds.seat_lock_hot_ms, lambda: publisher.has_peers
    )
    return Reservations(
        store,
        servers.group_commit,
        HoldHandler(store, seat_lock, servers.background, publisher, switch),
        ReleaseHandler(store, seat_lock, publisher, switch),
        seat_maps,
        HoldLimits(settings.holds.seats_per_hold_max),
        queue,
    )


def _payments(
    settings: Settings,
    servers: _Servers,
    providers: Mapping[str, PaymentProvider],
    seat_maps: SeatMaps,
    publisher: SeatChangePublisher,
    queue: WaitingRoom,
) -> Payments:
    store = PaymentStore(servers.db)
    return Payments(
        store,
        servers.group_commit,
        PayHandler(store, publisher, queue.paid),
        ChargeHandler(store, settings.payments.wallet_balance_max_minor),
        providers,
        settings.payments.wallet_charge_max_minor,
        seat_maps,
        can_top_up=settings.payments.wallet_top_up_free,
    )


def _route_dependencies(settings: Settings, accounts: Accounts) -> RouteDependencies:
    return RouteDependencies(
        authenticate=accounts.tokens.verify,
        body_max_bytes=settings.server.body_max_bytes,
        body_timeout_s=settings.server.body_timeout_ms / 1000,
        request_timeout_s=settings.server.request_timeout_ms / 1000,
        confirm=accounts.confirm,
    )


def describe() -> dict[str, Any]:
    """Return the OpenAPI document; nothing is connected to."""
    settings = Settings.of(database_url="postgresql://", valkey_url="redis://")
    return _compose(settings, _servers(settings), {}).document


def asgi_application(
    routes: list[tuple[str, object]],
    access_log: AccessLog,
    document: dict[str, Any],
    metrics_token: str = "",
) -> "falcon.asgi.App[Any, Any]":
    """Return the ASGI application that serves `routes` and what operators ask for."""
    app = _framework(access_log)
    for template, resource in routes:
        app.add_route(template, resource)
    health.install_metrics(app, access_log, metrics_token, is_open=False)
    health.install_document(app, document)
    web_routes.install(app)
    return app


def metrics_application(access_log: AccessLog, metrics_token: str) -> "falcon.asgi.App[Any, Any]":
    """Return the ASGI application of the metrics' own port."""
    app = _framework(access_log)
    health.install_metrics(app, access_log, metrics_token, is_open=True)
    return app


def _framework(access_log: AccessLog) -> "falcon.asgi.App[Any, Any]":
    app: falcon.asgi.App[Any, Any] = falcon.asgi.App(
        middleware=[RequestLog(access_log)], router=Router()
    )
    problems.install(app)
    return app


def batch_limits(settings: Settings) -> BatchLimits:
    """Return the bounds of this process's group commit."""
    return BatchLimits(
        batch_max=settings.batching.batch_max,
        batches_in_flight=settings.batching.batches_in_flight,
        concurrent_min=settings.batching.concurrent_batch_min,
        concurrent_after_s=settings.batching.concurrent_batch_after_ms / 1000,
        queue_max=settings.batching.batch_queue_max,
        wait_max_s=settings.batching.batch_wait_max_ms / 1000,
        retry_after_max_s=settings.batching.retry_after_max_s,
        retry_after_share_min=settings.batching.retry_after_share_min_percent / 100,
        retry_for_s=settings.batching.batch_retry_for_ms / 1000,
        unknown_outcome_timeout_s=settings.batching.unknown_outcome_timeout_ms / 1000,
        isolation_timeout_s=settings.batching.batch_isolation_timeout_ms / 1000,
    )
