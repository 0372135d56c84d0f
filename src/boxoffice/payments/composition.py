"""Puts refunds, disputes and statements together; called by the composition root."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from zoneinfo import ZoneInfo

from boxoffice.activity_log import ReadLog
from boxoffice.http.api.operation import RouteDependencies
from boxoffice.payments.disputes import routes as dispute_routes
from boxoffice.payments.disputes.service import Disputes
from boxoffice.payments.disputes.store import DisputeStore
from boxoffice.payments.listing import routes as listing_routes
from boxoffice.payments.listing.service import PaymentLists
from boxoffice.payments.listing.store import PaymentListStore
from boxoffice.payments.providers.port import Provider
from boxoffice.payments.reconciliation import routes as statement_routes
from boxoffice.payments.reconciliation.service import Reconciliation
from boxoffice.payments.reconciliation.store import StatementStore
from boxoffice.payments.refunds import organizer_routes, routes
from boxoffice.payments.refunds.administration import RefundAdministration
from boxoffice.payments.refunds.jobs import RefundJobs
from boxoffice.payments.refunds.routes import RefundServices
from boxoffice.payments.refunds.service import Refunds
from boxoffice.payments.refunds.store import RefundStore
from boxoffice.platform.postgres.database import Database
from boxoffice.seats.changes.publisher import SeatChangePublisher
from boxoffice.seats.read_model import SeatReadModel
from boxoffice.settings import PaymentSettings


@dataclass(frozen=True)
class MoneyServices:
    """What lists payments, gives money back, and compares the books."""

    payments: PaymentLists
    refunds: RefundServices
    disputes: Disputes
    reconciliation: Reconciliation


def compose_money(
    settings: PaymentSettings,
    db: Database,
    publisher: SeatChangePublisher | None,
    providers: Mapping[str, Provider],
) -> MoneyServices:
    """Return the services; without a `publisher` other processes see freed seats by reading them."""
    store = RefundStore(db)
    refunds = Refunds(store, ZoneInfo(settings.venue_time_zone), publisher)
    return MoneyServices(
        payments=PaymentLists(PaymentListStore(db, settings.venue_time_zone), store, ReadLog(db)),
        disputes=Disputes(DisputeStore(db)),
        reconciliation=Reconciliation(
            StatementStore(db),
            providers,
            timedelta(seconds=settings.statement_overlap_s),
            timedelta(seconds=settings.statement_lag_s),
        ),
        refunds=RefundServices(
            refunds=refunds,
            administration=RefundAdministration(store),
            jobs=RefundJobs(
                store, refunds, settings.refund_job_max_per_s, settings.schedule_change_settle_s
            ),
            currency=settings.currency,
        ),
    )


def money_routes(
    services: MoneyServices, seats: SeatReadModel, dependencies: RouteDependencies
) -> list[tuple[str, object]]:
    """Return the resources by URI template."""
    return [
        *listing_routes.routes(services.payments, seats, dependencies),
        *routes.routes(services.refunds, dependencies),
        *organizer_routes.routes(services.refunds, dependencies),
        *dispute_routes.routes(services.disputes, dependencies),
        *statement_routes.routes(services.reconciliation, dependencies),
    ]
