"""Puts the parts of organizations together."""

from dataclasses import dataclass

from boxoffice.http.api.operation import RouteDependencies
from boxoffice.organizations import application_routes, routes
from boxoffice.organizations.applications import Applications
from boxoffice.organizations.invitations import Invitations
from boxoffice.organizations.service import Organizations
from boxoffice.organizations.store import OrganizationStore
from boxoffice.platform.postgres.database import Database
from boxoffice.settings import Settings


@dataclass(frozen=True)
class OrganizationServices:
    """The use cases of organizations."""

    organizations: Organizations
    invitations: Invitations
    applications: Applications


def compose_organizations(settings: Settings, db: Database) -> OrganizationServices:
    """Return the use cases on a database."""
    organizations = OrganizationStore(db)
    return OrganizationServices(
        Organizations(organizations),
        Invitations(organizations, settings.organizations),
        Applications(organizations, settings.organizations),
    )


def organization_routes(
    services: OrganizationServices, dependencies: RouteDependencies
) -> list[tuple[str, object]]:
    """Return the resources of organizations by URI template."""
    return [
        *routes.routes(services.organizations, services.invitations, dependencies),
        *application_routes.routes(services.applications, dependencies),
    ]
