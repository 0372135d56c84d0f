"""Puts the parts of this module together."""

from collections.abc import Callable
from dataclasses import dataclass
from uuid import UUID

from boxoffice.activity_log import ReadLog
from boxoffice.http.api.operation import RouteDependencies
from boxoffice.inventory import routes as seat_routes
from boxoffice.inventory.issues import routes as issue_routes
from boxoffice.inventory.issues.service import Issues
from boxoffice.inventory.issues.store import IssueStore
from boxoffice.inventory.service import Inventory, InventoryLimits
from boxoffice.inventory.store import InventoryStore, SeatsForLine
from boxoffice.platform.postgres.database import Database
from boxoffice.seats.changes.publisher import SeatChangePublisher
from boxoffice.settings import CatalogSettings

_TICKETS_PER_ISSUE_MAX = 100


@dataclass(frozen=True)
class InventoryServices:
    """What organizers do with seats after the opening."""

    seats: Inventory
    issues: Issues


def compose_inventory(
    settings: CatalogSettings,
    db: Database,
    publisher: SeatChangePublisher,
    changed: Callable[[UUID], None],
    line: SeatsForLine,
) -> InventoryServices:
    """Return the use cases; `changed` is called with a concert whose seats changed.

    `line` is offered what is put back on sale.
    """
    limits = InventoryLimits(settings.inventory_seats_max, settings.seats_per_schedule_max)
    return InventoryServices(
        seats=Inventory(InventoryStore(db), publisher, changed, limits, line),
        issues=Issues(IssueStore(db), ReadLog(db), publisher, _TICKETS_PER_ISSUE_MAX, line),
    )


def inventory_routes(
    services: InventoryServices, dependencies: RouteDependencies
) -> list[tuple[str, object]]:
    """Return the resources of this module by URI template."""
    return [
        *seat_routes.routes(services.seats, dependencies),
        *issue_routes.routes(services.issues, dependencies),
    ]
