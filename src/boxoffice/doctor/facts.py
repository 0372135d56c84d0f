"""What is read of an installation; None where it cannot be seen from here. Pure."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple


class PostgresFacts(NamedTuple):
    """What PostgreSQL reports of itself, and of the role that asks."""

    version_num: int
    max_connections: int
    reserved_connections: int
    is_durable: bool
    is_encrypted: bool
    is_local: bool
    is_superuser: bool
    owns_tables: bool
    archives: bool
    clock_offset_s: float


class RoleFacts(NamedTuple):
    """What the background roles have left undone, in seconds; None where there is nothing to see."""

    outbox_age_s: float
    sweep_lag_s: float
    audit_age_s: float | None
    audit_is_clean: bool | None


class ValkeyFacts(NamedTuple):
    """How a server of Valkey answers; `failure` where it does not."""

    failure: str = ""
    round_trip_ms: float = 0
    is_encrypted: bool = False


class CertificateFacts(NamedTuple):
    """The certificate at the public address; `failure` where no trusted connection came about."""

    failure: str = ""
    expires_at: datetime | None = None


class MachineFacts(NamedTuple):
    """This machine: its limit of open files, the kernel's of a backlog, and free space by folder."""

    open_files_max: int
    backlog_max: int | None
    free_bytes: Mapping[str, int]


class AlertFacts(NamedTuple):
    """The alerts that Prometheus has loaded; `failure` where it does not answer."""

    failure: str = ""
    loaded: Sequence[str] = ()


class Fleet(NamedTuple):
    """How many pods are to serve, with how many processes each, and their settings as sized.

    The settings are values by variable, as `true` by BOXOFFICE_WALLET_TOP_UP_FREE.
    """

    pods: int = 1
    workers: int = 1
    settings: Mapping[str, object] = {}
