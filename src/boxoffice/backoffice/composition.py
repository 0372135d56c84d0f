"""Composes the backoffice; only `app.py` uses it."""

from dataclasses import dataclass

from boxoffice.activity_log import ReadLog
from boxoffice.backoffice import routes
from boxoffice.backoffice.search import routes as search_routes
from boxoffice.backoffice.search.service import OrderSearch, SearchLimits
from boxoffice.backoffice.search.store import SearchStore
from boxoffice.backoffice.service import Backoffice
from boxoffice.backoffice.store import BackofficeStore
from boxoffice.http.api.operation import RouteDependencies
from boxoffice.platform.postgres.database import Database
from boxoffice.settings import Settings


@dataclass(frozen=True)
class BackofficeServices:
    """The use cases of the backoffice."""

    reservations: Backoffice
    orders: OrderSearch


def compose_backoffice(settings: Settings, db: Database) -> BackofficeServices:
    """Return the services of the backoffice over its tables."""
    store = SearchStore(db, settings.payments.venue_time_zone)
    limits = SearchLimits(settings.search.search_newest_max, settings.search.search_people_max)
    return BackofficeServices(
        Backoffice(BackofficeStore(db), ReadLog(db)), OrderSearch(store, ReadLog(db), limits)
    )


def backoffice_routes(
    services: BackofficeServices, dependencies: RouteDependencies
) -> list[tuple[str, object]]:
    """Return the resources of the backoffice by URI template."""
    return [
        *routes.routes(services.reservations, dependencies),
        *search_routes.routes(services.orders, dependencies),
    ]
