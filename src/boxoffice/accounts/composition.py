"""Puts the parts of accounts together."""

from dataclasses import dataclass

from boxoffice.accounts import routes
from boxoffice.accounts.credentials import routes as credential_routes
from boxoffice.accounts.credentials.service import MailedLinks, OwnCredentials
from boxoffice.accounts.credentials.store import CredentialStore
from boxoffice.accounts.credentials.verified import VerifiedPeople
from boxoffice.accounts.devices import routes as device_routes
from boxoffice.accounts.devices.service import Devices
from boxoffice.accounts.devices.store import DeviceStore
from boxoffice.accounts.limits.throttle import MailThrottle
from boxoffice.accounts.revocations import Revocations
from boxoffice.accounts.service import Accounts
from boxoffice.accounts.store import AccountStore
from boxoffice.accounts.tokens import TokenAuthority
from boxoffice.http.api.operation import RouteDependencies
from boxoffice.platform.clock import DatabaseClock
from boxoffice.platform.postgres.database import Database
from boxoffice.platform.valkey import Valkey
from boxoffice.settings import Settings


@dataclass(frozen=True)
class AccountServices:
    """The use cases of accounts."""

    accounts: Accounts
    devices: Devices
    own: OwnCredentials
    links: MailedLinks
    verified: VerifiedPeople


def compose_accounts(
    settings: Settings, db: Database, valkey: Valkey, clock: DatabaseClock
) -> AccountServices:
    """Return the use cases on a database."""
    limits, store = settings.accounts, AccountStore(db)
    revocations = Revocations(clock.now, store.revocations)
    tokens = TokenAuthority(limits, store.keys, clock.now, revocations)
    accounts = Accounts(settings, store, tokens, valkey)
    credentials, throttle = CredentialStore(db), MailThrottle(limits, valkey)
    return AccountServices(
        accounts=accounts,
        devices=Devices(DeviceStore(db), tokens, limits.sessions_shown_max),
        own=OwnCredentials(credentials, accounts, throttle, limits),
        links=MailedLinks(credentials, accounts, throttle, limits),
        verified=VerifiedPeople(
            credentials,
            limits.verified_switch_cache_ms / 1000,
            settings.catalog.catalog_cache_entries_max,
            limits.verified_people_cached_max,
        ),
    )


def routes_of_accounts(
    services: AccountServices, dependencies: RouteDependencies
) -> list[tuple[str, object]]:
    """Return the resources of accounts by URI template."""
    return [
        *routes.routes(services.accounts, dependencies),
        *device_routes.routes(services.devices, services.accounts, dependencies),
        *credential_routes.routes(services.own, services.links, dependencies),
    ]
