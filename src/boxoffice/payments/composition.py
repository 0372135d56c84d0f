"""Puts refunds together for a serving process; called by the composition root."""

from dataclasses import dataclass
from zoneinfo import ZoneInfo

from boxoffice.http.api.operation import RouteDependencies
from boxoffice.payments.refunds import organizer_routes, routes
from boxoffice.payments.refunds.administration import RefundAdministration
from boxoffice.payments.refunds.jobs import RefundJobs
from boxoffice.payments.refunds.routes import RefundServices
from boxoffice.payments.refunds.service import Refunds
from boxoffice.payments.refunds.store import RefundStore
from boxoffice.platform.postgres.database import Database
from boxoffice.seats.changes.publisher import SeatChangePublisher
from boxoffice.settings import PaymentSettings


@dataclass(frozen=True)
class MoneyServices:
    """What gives money back."""

    refunds: RefundServices


def compose_money(
    settings: PaymentSettings, db: Database, publisher: SeatChangePublisher | None
) -> MoneyServices:
    """Return the services; without a `publisher` other processes see freed seats by reading them."""
    store = RefundStore(db)
    refunds = Refunds(store, ZoneInfo(settings.venue_time_zone), publisher)
    return MoneyServices(
        RefundServices(
            refunds=refunds,
            administration=RefundAdministration(store),
            jobs=RefundJobs(store, refunds, settings.refund_job_max_per_s),
            time_zone=settings.venue_time_zone,
            currency=settings.currency,
        )
    )


def money_routes(
    services: MoneyServices, dependencies: RouteDependencies
) -> list[tuple[str, object]]:
    """Return the resources by URI template."""
    return [
        *routes.routes(services.refunds, dependencies),
        *organizer_routes.routes(services.refunds, dependencies),
    ]
