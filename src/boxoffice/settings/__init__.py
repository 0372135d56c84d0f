"""Every limit of the system: one frozen value, nested by subsystem, read once from the environment.

The variable of `settings.batching.batch_max` is `BOXOFFICE_BATCH_MAX`; a name is in one section only.
Names end in their unit: `_s` seconds, `_ms` milliseconds, `_bytes`, `_minor` minor units of the
currency, `_max` a count. An unknown `BOXOFFICE_` variable is refused at the start; the variables that
Kubernetes adds for a service of that name are ignored.
"""

from boxoffice.settings.cashier import (
    CashierSettings,
)
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
from boxoffice.settings.loading import (
    load,
    read_value,
    types_of_settings,
    wanted,
)
from boxoffice.settings.notifications import (
    NotificationSettings,
)
from boxoffice.settings.payments import (
    PaymentSettings,
)
from boxoffice.settings.providers import (
    ProviderSettings,
)
from boxoffice.settings.servers import (
    BatchingSettings,
    DatabaseSettings,
    ObservabilitySettings,
    ServerSettings,
    StreamSettings,
    ValkeySettings,
)
from boxoffice.settings.settings import (
    SECTION_OF,
    Settings,
)
from boxoffice.settings.storage import (
    BackupSettings,
    PosterSettings,
)
from boxoffice.settings.values import (
    CLIENT_GRACE_MS,
    PREFIX,
    variable,
)

__all__ = [
    "CLIENT_GRACE_MS",
    "PREFIX",
    "SECTION_OF",
    "AccountSettings",
    "ArchiveSettings",
    "AuditSettings",
    "BackupSettings",
    "BatchingSettings",
    "CashierSettings",
    "CatalogSettings",
    "DatabaseSettings",
    "HoldSettings",
    "ListingSettings",
    "NotificationSettings",
    "ObservabilitySettings",
    "OfferSettings",
    "OrganizationSettings",
    "OutboxSettings",
    "PaymentSettings",
    "PosterSettings",
    "ProviderSettings",
    "RankingSettings",
    "ReportSettings",
    "SalesStatsSettings",
    "SearchSettings",
    "SeatSettings",
    "ServerSettings",
    "Settings",
    "StreamSettings",
    "ValkeySettings",
    "WaitingListSettings",
    "WaitingRoomSettings",
    "load",
    "read_value",
    "types_of_settings",
    "variable",
    "wanted",
]
