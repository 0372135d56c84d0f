"""All settings of one process, and the names of their sections."""

from typing import Self, get_type_hints

import msgspec
from msgspec import structs

from boxoffice.settings.cashier import CashierSettings
from boxoffice.settings.features import (
    AccountSettings,
    ArchiveSettings,
    AuditSettings,
    CatalogSettings,
    HoldSettings,
    ListingSettings,
    OfferSettings,
    OrganizationSettings,
    OutboxSettings,
    RankingSettings,
    ReportSettings,
    SalesStatsSettings,
    SearchSettings,
    SeatSettings,
    WaitingListSettings,
    WaitingRoomSettings,
)
from boxoffice.settings.notifications import NotificationSettings
from boxoffice.settings.payments import PaymentSettings
from boxoffice.settings.providers import ProviderSettings
from boxoffice.settings.servers import (
    BatchingSettings,
    DatabaseSettings,
    ObservabilitySettings,
    ServerSettings,
    StreamSettings,
    ValkeySettings,
)
from boxoffice.settings.storage import BackupSettings, PosterSettings


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """The settings of one process, by subsystem."""

    database: DatabaseSettings = DatabaseSettings()
    valkey: ValkeySettings = ValkeySettings()
    server: ServerSettings = ServerSettings()
    streams: StreamSettings = StreamSettings()
    batching: BatchingSettings = BatchingSettings()
    holds: HoldSettings = HoldSettings()
    offers: OfferSettings = OfferSettings()
    waiting_room: WaitingRoomSettings = WaitingRoomSettings()
    waiting_lists: WaitingListSettings = WaitingListSettings()
    catalog: CatalogSettings = CatalogSettings()
    posters: PosterSettings = PosterSettings()
    seats: SeatSettings = SeatSettings()
    listings: ListingSettings = ListingSettings()
    ranking: RankingSettings = RankingSettings()
    sales_stats: SalesStatsSettings = SalesStatsSettings()
    search: SearchSettings = SearchSettings()
    accounts: AccountSettings = AccountSettings()
    organizations: OrganizationSettings = OrganizationSettings()
    payments: PaymentSettings = PaymentSettings()
    providers: ProviderSettings = ProviderSettings()
    cashier: CashierSettings = CashierSettings()
    outbox: OutboxSettings = OutboxSettings()
    notifications: NotificationSettings = NotificationSettings()
    reports: ReportSettings = ReportSettings()
    archive: ArchiveSettings = ArchiveSettings()
    audit: AuditSettings = AuditSettings()
    backups: BackupSettings = BackupSettings()
    observability: ObservabilitySettings = ObservabilitySettings()

    @classmethod
    def of(cls, **values: object) -> Self:
        """Return the defaults with `values`, by flat name; raises `TypeError` for an unknown one."""
        return cls().replace(**values)

    def replace(self, **values: object) -> Self:
        """Return a copy with `values`, by flat name; raises `TypeError` for an unknown one."""
        changes: dict[str, dict[str, object]] = {}
        for name, value in values.items():
            if name not in SECTION_OF:
                raise TypeError(f"{name} is not a setting")
            changes.setdefault(SECTION_OF[name], {})[name] = value
        return structs.replace(
            self,
            **{
                section: structs.replace(getattr(self, section), **changed)
                for section, changed in changes.items()
            },
        )

    def get(self, name: str) -> object:
        """Return the value of a setting by its flat name."""
        return getattr(getattr(self, SECTION_OF[name]), name)


# The section of each setting. A setting's name is unique in all sections; its variable is the prefix
# and the name in capitals.
SECTION_OF: dict[str, str] = {
    field: section
    for section, kind in get_type_hints(Settings).items()
    for field in kind.__struct_fields__
}
