"""Puts the reports together."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from boxoffice.activity_log import ReadLog
from boxoffice.http.api.operation import RouteDependencies
from boxoffice.platform.postgres.database import Database
from boxoffice.reports import routes
from boxoffice.reports.attendee_store import AttendeeStore
from boxoffice.reports.attendees import Attendees
from boxoffice.reports.mailing import routes as mailing_routes
from boxoffice.reports.mailing.service import ReportMailer, ReportMails
from boxoffice.reports.mailing.store import SubscriptionStore
from boxoffice.reports.service import Reports
from boxoffice.reports.store import ReportStore
from boxoffice.settings import Settings


@dataclass(frozen=True)
class ReportServices:
    """The use cases of reports."""

    reports: Reports
    attendees: Attendees
    mails: ReportMails


def compose_reports(settings: Settings, db: Database, now: Callable[[], float]) -> ReportServices:
    """Return the use cases over a database; `now` is its time."""
    zone = settings.payments.venue_time_zone
    return ReportServices(
        reports=Reports(ReportStore(db, zone), settings.reports, zone, now),
        attendees=Attendees(AttendeeStore(db), ReadLog(db), settings.reports.export_batch_rows),
        mails=ReportMails(SubscriptionStore(db), now),
    )


def compose_report_mailer(settings: Settings, db: Database) -> ReportMailer:
    """Return what queues reports by mail."""
    zone = settings.payments.venue_time_zone
    reports = Reports(ReportStore(db, zone), settings.reports, zone, time.time)
    return ReportMailer(SubscriptionStore(db), reports)


def report_routes(
    services: ReportServices, dependencies: RouteDependencies, settings: Settings
) -> list[tuple[str, object]]:
    """Return the resources of reports by URI template."""
    return [
        *routes.routes(services.reports, services.attendees, dependencies, settings.reports),
        *mailing_routes.routes(services.mails, dependencies),
    ]
