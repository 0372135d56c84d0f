"""The composition root: the only file that names concrete parts and puts them together."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from importlib.metadata import version
from math import ceil
from typing import Any

from boxoffice.accounts.composition import AccountServices, compose_accounts, routes_of_accounts
from boxoffice.accounts.service import Accounts
from boxoffice.activity_log import routes as activity_routes
from boxoffice.activity_log.service import ActivityLog
from boxoffice.activity_log.store import ActivityStore
from boxoffice.app_parts import (
    Infrastructure,
    SeatServices,
    StorefrontServices,
    WaitingRoomServices,
    compose_catalog,
    compose_infrastructure,
    compose_reservations,
    compose_seats,
    compose_storefront,
    compose_waiting_room,
    route_dependencies,
    storefront_routes,
)
from boxoffice.audit import routes as audit_routes
from boxoffice.audit.runs import AuditRuns
from boxoffice.backoffice.composition import (
    BackofficeServices,
    backoffice_routes,
    compose_backoffice,
)
from boxoffice.batching.handover.workers import WorkerPlace
from boxoffice.catalog import routes as catalog_routes
from boxoffice.catalog.edits import routes as edit_routes
from boxoffice.catalog.edits.service import Edits
from boxoffice.catalog.edits.store import EditStore
from boxoffice.catalog.service import Catalog
from boxoffice.examples import STORY
from boxoffice.http.api import health, openapi
from boxoffice.http.api.operation import RouteDependencies
from boxoffice.http.api.router import Router
from boxoffice.http.streams import Streams, limits_of
from boxoffice.inventory.composition import (
    InventoryServices,
    compose_inventory,
    inventory_routes,
)
from boxoffice.notifications.mail import routes as mail_routes
from boxoffice.notifications.mail.store import MailLanguages
from boxoffice.notifications.webhooks import routes as webhook_routes
from boxoffice.notifications.webhooks.service import Webhooks
from boxoffice.notifications.webhooks.store import WebhookStore
from boxoffice.observability.access_log import AccessLog, InFlight
from boxoffice.offers import routes as offer_routes
from boxoffice.offers.service import Offers
from boxoffice.offers.store import OfferStore
from boxoffice.offers.throttle import CodeThrottle
from boxoffice.organizations.composition import (
    OrganizationServices,
    compose_organizations,
    organization_routes,
)
from boxoffice.payments import routes as payment_routes
from boxoffice.payments.composition import MoneyServices, compose_money, money_routes
from boxoffice.payments.intents import routes as intent_routes
from boxoffice.payments.intents.composition import PaymentParts, compose_payments
from boxoffice.payments.intents.service import PaymentIntents
from boxoffice.payments.notices import routes as notice_routes
from boxoffice.payments.notices.service import Notices
from boxoffice.payments.notices.store import NoticeStore
from boxoffice.payments.providers.port import Provider
from boxoffice.payments.providers.registry import open_providers, sdk_origins
from boxoffice.payments.service import Payments
from boxoffice.platform.concurrency.supervision import supervised
from boxoffice.platform.postgres.database import Database
from boxoffice.platform.postgres.migrations import require_current
from boxoffice.platform.postgres.standby_monitor import StandbyMonitor
from boxoffice.posters import routes as poster_routes
from boxoffice.reports.composition import ReportServices, compose_reports, report_routes
from boxoffice.reservations import routes as reservation_routes
from boxoffice.reservations.availability import SeatAvailability
from boxoffice.reservations.service import HoldChecks, Reservations
from boxoffice.sales_stats import routes as sales_stats_routes
from boxoffice.sales_stats.service import SalesStats
from boxoffice.sales_stats.store import SalesStatsStore
from boxoffice.sales_stats.traffic_counter import TrafficCounter
from boxoffice.sales_stats.traffic_store import TrafficStore
from boxoffice.seats import routes as seat_routes
from boxoffice.settings import Settings
from boxoffice.sharing.service import ConcertHeads
from boxoffice.tickets import routes as ticket_routes
from boxoffice.venues import routes as venue_routes
from boxoffice.venues.service import Venues
from boxoffice.venues.store import VenueStore
from boxoffice.waiting_list import routes as waiting_list_routes
from boxoffice.waiting_list.composition import PutBackSeats, compose_waiting_lists
from boxoffice.waiting_list.service import WaitingLists
from boxoffice.waiting_list.worker import limits_of as turn_limits_of
from boxoffice.waiting_room import routes as waiting_room_routes
from boxoffice.waiting_room.board import routes as board_routes
from boxoffice.waiting_room.position_streams import PositionStreams
from boxoffice.web import assets as web_assets
from boxoffice.web import routes as web_routes
from boxoffice.web.widget import FramesOf, widget_routes

VERSION = version("boxoffice")


@dataclass(frozen=True)
class Services:
    """The use cases of every module."""

    account_services: AccountServices
    catalog: Catalog
    storefront: StorefrontServices
    edits: Edits
    venues: Venues
    inventory: InventoryServices
    reports: ReportServices
    seats: SeatServices
    waiting_room: WaitingRoomServices
    waiting_lists: WaitingLists
    reservations: Reservations
    offers: Offers
    payments: Payments
    money: MoneyServices
    intents: PaymentIntents
    notices: Notices
    sales_stats: SalesStats
    backoffice: BackofficeServices
    audit_runs: AuditRuns
    activity_log: ActivityLog
    webhooks: Webhooks
    organizations: OrganizationServices
    mail_languages: MailLanguages

    @property
    def accounts(self) -> Accounts:
        """The accounts themselves: sign-up, log-in, roles, tokens."""
        return self.account_services.accounts


@dataclass(frozen=True)
class Http:
    """The HTTP side: the routers of the API and of the metrics' port, streams and access log."""

    router: Router
    metrics: Router
    streams: Streams
    access_log: AccessLog
    document: dict[str, Any]


@dataclass(frozen=True)
class Application:
    """Everything that one process runs."""

    settings: Settings
    infrastructure: Infrastructure
    services: Services
    http: Http


@asynccontextmanager
async def open_application(
    settings: Settings,
    providers: Mapping[str, Provider] | None = None,
    place: WorkerPlace | None = None,
) -> AsyncIterator[Application]:
    """Connect, run the background tasks, and at the end drain and disconnect; for a serving process.

    Raises `SettingsInvalid` where the database lacks this release's schema, and what connecting raises.
    """
    async with open_providers(settings.providers) as configured:
        application = compose(settings, configured if providers is None else providers, place)
        async with (
            _connected(application),
            supervised(_background_tasks(application)),
            _drained(application),
        ):
            yield application


@asynccontextmanager
async def open_services(settings: Settings) -> AsyncIterator[Application]:
    """Connect without background tasks, for a command: caches stay as they were when it was opened.

    Raises what `open_application` raises.
    """
    application = compose(settings)
    async with _connected(application), _drained(application):
        yield application


def describe() -> dict[str, Any]:
    """Return the OpenAPI document; nothing is connected to."""
    settings = Settings.of(database_url="postgresql://", valkey_url="redis://")
    return compose(settings).http.document


def compose(
    settings: Settings,
    providers: Mapping[str, Provider] | None = None,
    place: WorkerPlace | None = None,
) -> Application:
    """Return the parts of a process, not yet connected."""
    infrastructure = compose_infrastructure(settings, place)
    traffic_counter = TrafficCounter(
        infrastructure.clock.now, settings.sales_stats.sales_stats_schedules_max
    )
    services = _services(settings, infrastructure, traffic_counter, providers or {})
    http = _http(settings, infrastructure, services, traffic_counter)
    return Application(settings, infrastructure, services, http)


@asynccontextmanager
async def _connected(application: Application) -> AsyncIterator[None]:
    infrastructure, services = application.infrastructure, application.services
    try:
        await infrastructure.db.open()
        await require_current(infrastructure.db)
        await infrastructure.clock.synchronize()
        await services.accounts.ensure_key()
        await services.waiting_room.rooms.refresh()
        yield
    finally:
        services.accounts.close()
        await services.seats.shared.close()
        await infrastructure.valkey.close()
        await infrastructure.db.close()


def _background_tasks(application: Application) -> dict[str, Callable[[], Awaitable[None]]]:
    infrastructure, services = application.infrastructure, application.services
    more = {} if infrastructure.hand_over is None else {"hand_over": infrastructure.hand_over.run}
    return {
        **more,
        "clock": infrastructure.clock.keep_synchronized,
        "standby": StandbyMonitor.of(infrastructure.db, application.settings.database).run,
        "token_keys": services.accounts.tokens.keep_fresh,
        "seat_change_bus": services.seats.change_bus.run,
        "sales_stats": services.sales_stats.run,
        "waiting_room_registry": services.waiting_room.rooms.refresh_forever,
        "waiting_room_leader": services.waiting_room.leader.run,
        "waiting_room_join_writer": services.waiting_room.join_writer.run,
    }


@asynccontextmanager
async def _drained(application: Application) -> AsyncIterator[None]:
    """At the end, let pending work finish within the drain timeout."""
    infrastructure, services = application.infrastructure, application.services
    try:
        yield
    finally:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(application.settings.server.drain_timeout_ms / 1000):
                await infrastructure.group_commit.close()
                if infrastructure.hand_over is not None:
                    infrastructure.hand_over.close()
                await infrastructure.background.finish()
                await services.seats.change_bus.finish()
                # The queue tickets carry the same facts, so a failure here loses nothing.
                with contextlib.suppress(Exception):  # the tickets are enough
                    await services.waiting_room.join_writer.flush()
        application.http.access_log.write()


def _services(
    settings: Settings,
    infrastructure: Infrastructure,
    traffic_counter: TrafficCounter,
    providers: Mapping[str, Provider],
) -> Services:
    db = infrastructure.db
    people = compose_accounts(settings, db, infrastructure.valkey, infrastructure.clock)
    seats = compose_seats(settings, infrastructure)
    waiting_room = compose_waiting_room(settings, infrastructure, people, seats)
    throttle = CodeThrottle(settings.offers, infrastructure.valkey)
    offers = Offers(
        OfferStore(db),
        throttle,
        settings.offers.offers_cache_ms / 1000,
        settings.offers.offers_cached_max,
    )
    checks = HoldChecks(waiting_room.service, throttle, offers, people.verified)
    on_paid = waiting_room.service.release_paid
    payments = compose_payments(
        settings,
        PaymentParts(db, *infrastructure.commits, seats, on_paid, infrastructure.hand_over),
        providers,
    )
    zone = settings.payments.venue_time_zone
    money = compose_money(settings.payments, db, seats.publisher, providers)
    storefront = compose_storefront(settings, infrastructure)
    catalog = compose_catalog(settings, infrastructure, seats, storefront)
    availability = SeatAvailability(seats.read_model, offers)
    return Services(
        account_services=people,
        storefront=storefront,
        catalog=catalog,
        venues=Venues(VenueStore(db)),
        reports=compose_reports(settings, db, infrastructure.clock.now),
        inventory=_inventory(settings, db, seats, catalog),
        organizations=compose_organizations(settings, db),
        seats=seats,
        waiting_room=waiting_room,
        reservations=compose_reservations(settings, infrastructure, seats, checks),
        waiting_lists=compose_waiting_lists(settings, db, availability, people.verified),
        offers=offers,
        money=money,
        edits=Edits(EditStore(db), catalog, money.refunds.jobs, zone, settings.payments.currency),
        payments=payments.wallets,
        intents=payments.intents,
        notices=Notices(
            NoticeStore(db),
            infrastructure.group_commit,
            providers,
            settings.cashier.notices_waiting_max,
        ),
        sales_stats=_sales_stats(settings, infrastructure, traffic_counter),
        backoffice=compose_backoffice(settings, db),
        audit_runs=AuditRuns(db, settings.audit.audit_request_min_interval_s),
        activity_log=ActivityLog(ActivityStore(db, settings.payments.venue_time_zone)),
        webhooks=Webhooks(WebhookStore(db), settings.notifications),
        mail_languages=MailLanguages(db, settings.notifications.mail_language),
    )


def _inventory(
    settings: Settings, db: Database, seats: SeatServices, catalog: Catalog
) -> InventoryServices:
    line = PutBackSeats(turn_limits_of(settings))
    changed = catalog.lookups.invalidate
    return compose_inventory(settings.catalog, db, seats.publisher, changed, line)


def _sales_stats(
    settings: Settings, infrastructure: Infrastructure, traffic_counter: TrafficCounter
) -> SalesStats:
    return SalesStats(
        settings.sales_stats,
        SalesStatsStore(infrastructure.db),
        TrafficStore(infrastructure.valkey),
        traffic_counter,
        infrastructure.clock.now,
    )


def _http(
    settings: Settings,
    infrastructure: Infrastructure,
    services: Services,
    traffic_counter: TrafficCounter,
) -> Http:
    access_log = AccessLog(
        InFlight(),
        log_requests=settings.observability.log_requests,
        listener=traffic_counter.record,
    )
    streams = Streams(limits_of(settings.streams))
    dependencies = route_dependencies(settings, services.accounts)
    routes = _routes(settings, infrastructure, services, streams, dependencies)
    document = openapi.document(routes, VERSION, STORY, webhook_routes.published_events())
    metrics_token = settings.observability.metrics_token
    return Http(
        router=_router(
            # The mailbox is a page of the demo, and no part of the API.
            [
                *routes,
                *mail_routes.demo_routes(settings.notifications.mailbox_dir, dependencies),
                *poster_routes.file_routes(services.storefront.pictures, dependencies),
            ],
            dependencies,
            access_log,
            document,
            settings,
            ConcertHeads(settings, services.catalog.lookups).head,
            services.storefront.brands.widget_origins,
        ),
        metrics=_metrics_router(dependencies, access_log, metrics_token),
        streams=streams,
        access_log=access_log,
        document=document,
    )


def _routes(
    settings: Settings,
    infrastructure: Infrastructure,
    services: Services,
    streams: Streams,
    dependencies: RouteDependencies,
) -> list[tuple[str, object]]:
    now = infrastructure.clock.now
    seats, waiting_room = services.seats.read_model, services.waiting_room
    position_streams = PositionStreams(streams, waiting_room.rooms, now)
    return [
        *routes_of_accounts(services.account_services, dependencies),
        *organization_routes(services.organizations, dependencies),
        *catalog_routes.routes(services.catalog, dependencies, settings),
        *storefront_routes(services.storefront, services.catalog.lookups, dependencies, settings),
        *edit_routes.routes(services.edits, services.catalog, dependencies),
        *venue_routes.routes(services.venues, dependencies),
        *inventory_routes(services.inventory, dependencies),
        *report_routes(services.reports, dependencies, settings),
        *seat_routes.routes(seats, dependencies, settings.seats, streams),
        *reservation_routes.routes(services.reservations, seats, dependencies),
        *offer_routes.routes(services.offers, dependencies),
        *waiting_list_routes.routes(services.waiting_lists, dependencies),
        *payment_routes.routes(services.payments, seats, dependencies),
        *money_routes(services.money, seats, dependencies),
        *intent_routes.routes(services.intents, dependencies),
        *notice_routes.routes(services.notices, dependencies, settings.cashier.notice_max_bytes),
        *ticket_routes.routes(services.payments, dependencies),
        *web_routes.routes(dependencies, now),
        *sales_stats_routes.routes(services.sales_stats, dependencies),
        *backoffice_routes(services.backoffice, dependencies),
        *audit_routes.routes(services.audit_runs, dependencies),
        *activity_routes.routes(services.activity_log, dependencies),
        *webhook_routes.routes(services.webhooks, dependencies),
        *mail_routes.routes(services.mail_languages, dependencies),
        *waiting_room_routes.routes(waiting_room.service, position_streams, dependencies),
        *board_routes.routes(waiting_room.boards, waiting_room.board_keys, dependencies, settings),
    ]


def _router(
    routes: list[tuple[str, object]],
    dependencies: RouteDependencies,
    access_log: AccessLog,
    document: dict[str, Any],
    settings: Settings,
    head: web_routes.HeadOf,
    frames: FramesOf,
) -> Router:
    """Return the router of the API, the pages and the operators' endpoints."""
    pages = web_assets.load()
    fresh_s = ceil(settings.catalog.catalog_cache_ms / 1000)
    metrics_token = settings.observability.metrics_token
    origins = sdk_origins(settings.providers)
    return Router(
        [
            *routes,
            *health.metrics_routes(dependencies, access_log, metrics_token, is_open=False),
            ("/openapi.json", health.Document(dependencies, document)),
            *web_routes.page_routes(dependencies, pages, origins, head, document),
            *widget_routes(dependencies, pages, frames, fresh_s),
        ],
        dependencies,
        web_routes.present_refusals(pages),
    )


def _metrics_router(
    dependencies: RouteDependencies, access_log: AccessLog, metrics_token: str
) -> Router:
    """Return the router of the metrics' own port."""
    return Router(
        health.metrics_routes(dependencies, access_log, metrics_token, is_open=True), dependencies
    )
