"""The composition root: the only file that names concrete parts and puts them together."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import falcon.asgi

from boxoffice.accounts import routes as account_routes
from boxoffice.accounts.service import Accounts
from boxoffice.accounts.store import AccountStore
from boxoffice.accounts.tokens import TokenAuthority
from boxoffice.batching import GroupCommit
from boxoffice.batching import Limits as BatchLimits
from boxoffice.catalog import routes as catalog_routes
from boxoffice.catalog.seat_maps import SeatMaps
from boxoffice.catalog.service import Catalog
from boxoffice.catalog.store import CatalogStore
from boxoffice.errors import SettingsInvalid
from boxoffice.http import health, openapi, problems
from boxoffice.http.middleware import InFlight, RequestLog
from boxoffice.http.operation import Gate
from boxoffice.payments import routes as payment_routes
from boxoffice.payments.deciders import ChargeDecider, PayDecider
from boxoffice.payments.provider import PaymentProvider
from boxoffice.payments.service import Payments
from boxoffice.payments.store import PaymentStore
from boxoffice.platform.clock import DatabaseClock
from boxoffice.platform.postgres import Database
from boxoffice.platform.valkey import Valkey
from boxoffice.reservations import routes as reservation_routes
from boxoffice.reservations.deciders import Background, HoldDecider, ReleaseDecider
from boxoffice.reservations.seat_lock import SeatLock
from boxoffice.reservations.service import Limits as HoldLimits
from boxoffice.reservations.service import Reservations
from boxoffice.reservations.store import ReservationStore
from boxoffice.settings import Settings

VERSION = version("boxoffice")


@dataclass(frozen=True)
class Application:
    """One process's worth of the shop: the services for commands, the ASGI application for HTTP."""

    asgi: "falcon.asgi.App[Any, Any]"
    in_flight: InFlight
    accounts: Accounts
    catalog: Catalog
    seat_maps: SeatMaps
    reservations: Reservations
    payments: Payments
    group_commit: GroupCommit
    document: dict[str, Any]


@asynccontextmanager
async def open_application(
    settings: Settings, providers: Mapping[str, PaymentProvider] | None = None
) -> AsyncIterator[Application]:
    """Connect, put the parts together, and take them apart again in the reverse order.

    Raises `SettingsInvalid` where the database has not been migrated, and what connecting raises.
    """
    db = Database(settings)
    valkey = Valkey(settings)
    clock = DatabaseClock(db.now_s)
    background = Background()
    group_commit = GroupCommit(_batch_limits(settings))
    await db.open()
    try:
        await _require_schema(db)
        await clock.synchronize()
        application = _compose(
            settings, db, valkey, clock, group_commit, background, providers or {}
        )
        await application.accounts.ensure_key()
        refreshers = [
            asyncio.create_task(clock.keep_synchronized()),
            asyncio.create_task(application.accounts.tokens.keep_fresh()),
        ]
        try:
            yield application
        finally:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(settings.drain_timeout_ms / 1000):
                    await group_commit.close()
                    await background.finish()
            for task in refreshers:
                task.cancel()
            await asyncio.gather(*refreshers, return_exceptions=True)
            application.accounts.close()
    finally:
        await valkey.close()
        await db.close()


def _compose(
    settings: Settings,
    db: Database,
    valkey: Valkey,
    clock: DatabaseClock,
    group_commit: GroupCommit,
    background: Background,
    providers: Mapping[str, PaymentProvider],
) -> Application:
    account_store = AccountStore(db)
    tokens = TokenAuthority(settings, account_store.keys, clock.now)
    accounts = Accounts(settings, account_store, tokens, valkey)
    catalog_store = CatalogStore(db)
    seat_maps = SeatMaps(settings, catalog_store)
    catalog = Catalog(settings, catalog_store, seat_maps)
    seat_lock = SeatLock(valkey, settings.seat_lock_ttl_ms)
    reservation_store = ReservationStore(db)
    reservations = Reservations(
        reservation_store,
        group_commit,
        HoldDecider(reservation_store, seat_lock, background),
        ReleaseDecider(reservation_store, seat_lock),
        seat_maps,
        HoldLimits(settings.seats_per_hold_max),
    )
    payment_store = PaymentStore(db)
    payments = Payments(
        payment_store,
        group_commit,
        PayDecider(payment_store),
        ChargeDecider(payment_store, settings.wallet_balance_max_minor),
        providers,
        settings.wallet_charge_max_minor,
    )
    gate = Gate(
        authenticate=tokens.verify,
        body_max_bytes=settings.body_max_bytes,
        body_timeout_s=settings.body_timeout_ms / 1000,
        request_timeout_s=settings.request_timeout_ms / 1000,
    )
    routes = [
        *account_routes.routes(accounts, gate),
        *catalog_routes.routes(catalog, seat_maps, gate, settings),
        *reservation_routes.routes(reservations, gate),
        *payment_routes.routes(payments, seat_maps, gate),
    ]
    in_flight = InFlight()
    document = openapi.document(routes, VERSION)
    asgi = asgi_application(settings, routes, in_flight, document)
    return Application(
        asgi,
        in_flight,
        accounts,
        catalog,
        seat_maps,
        reservations,
        payments,
        group_commit,
        document,
    )


def describe() -> dict[str, Any]:
    """Return the OpenAPI document; nothing is connected to."""
    settings = Settings(database_url="postgresql://", valkey_url="redis://")
    db = Database(settings)
    clock = DatabaseClock(db.now_s)
    group_commit = GroupCommit(_batch_limits(settings))
    parts = _compose(settings, db, Valkey(settings), clock, group_commit, Background(), {})
    return parts.document


def asgi_application(
    settings: Settings,
    routes: list[tuple[str, object]],
    in_flight: InFlight,
    document: dict[str, Any],
) -> "falcon.asgi.App[Any, Any]":
    """Return the ASGI application that serves `routes` and what operators ask for."""
    app: falcon.asgi.App[Any, Any] = falcon.asgi.App(
        middleware=[RequestLog(in_flight, log_requests=settings.log_requests)]
    )
    problems.install(app)
    for template, resource in routes:
        app.add_route(template, resource)
    health.install(app, in_flight, document)
    return app


def _batch_limits(settings: Settings) -> BatchLimits:
    return BatchLimits(
        batch_max=settings.batch_max,
        batches_in_flight=settings.batches_in_flight,
        queue_max=settings.batch_queue_max,
        retry_for_s=settings.batch_retry_for_ms / 1000,
        settle_for_s=settings.outcome_settle_for_ms / 1000,
    )


async def _require_schema(db: Database) -> None:
    if not await db.is_migrated():
        raise SettingsInvalid("the database is not migrated: run `boxoffice migrate` first")
