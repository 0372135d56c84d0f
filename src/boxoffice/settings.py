"""Every limit of the system: one frozen value, nested by subsystem, read once from the environment.

The variable of `settings.batching.batch_max` is `BOXOFFICE_BATCH_MAX`; a name is in one section only.
Names end in their unit: `_s` seconds, `_ms` milliseconds, `_bytes`, `_minor` minor units of the
currency, `_max` a count. An unknown `BOXOFFICE_` variable is refused at the start; the variables that
Kubernetes adds for a service of that name are ignored.
"""

import os
import re
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Annotated, Any, Literal, Self, get_type_hints

import msgspec
from msgspec import Meta, structs
from msgspec import inspect as types

from boxoffice.errors import SettingsInvalid
from boxoffice.platform import server_addresses
from boxoffice.platform.currencies import DECIMALS

PREFIX = "BOXOFFICE_"
# The client's deadline for a statement exceeds the server's, whose error is more specific.
CLIENT_GRACE_MS = 1_000

Port = Annotated[int, Meta(ge=1, le=65535)]
Count = Annotated[int, Meta(ge=1, le=1_000_000)]
Milliseconds = Annotated[int, Meta(ge=1, le=3_600_000)]
Seconds = Annotated[float, Meta(gt=0, le=31_536_000)]
Bytes = Annotated[int, Meta(ge=1, le=1 << 30)]
Minor = Annotated[int, Meta(ge=1, le=9_000_000_000_000)]
# The description of a text states what it must be.
Host = Annotated[
    str,
    Meta(
        pattern=r"^[A-Za-z0-9.:%_-]+$",
        description="an address or a name of this machine, without a port",
    ),
]
StreamName = Annotated[
    str, Meta(pattern=r"^[!-~]{1,200}$", description="a name of up to 200 letters without blanks")
]
Token = Annotated[
    str,
    Meta(
        pattern="^([!-~]{16,256})?$",
        description="16 to 256 signs of ASCII without blanks, or empty for none",
    ),
]
Role = Annotated[
    str,
    Meta(
        pattern="^([a-z_][a-z0-9_]{0,62})?$",
        description="a name of PostgreSQL in small letters, or empty for none",
    ),
]
Currency = Annotated[
    str, Meta(pattern="^[A-Z]{3}$", description="three capital letters of ISO 4217, as KRW")
]

# Kubernetes sets variables for every service of the namespace. For one named boxoffice or boxoffice-…:
# BOXOFFICE_SERVICE_HOST, BOXOFFICE_SERVICE_PORT_HTTP, BOXOFFICE_PORT, BOXOFFICE_PORT_80_TCP_ADDR.
_SERVICE_LINK = re.compile(
    r"BOXOFFICE(_[A-Z0-9_]+)?"
    r"_(SERVICE_HOST|SERVICE_PORT(_[A-Z0-9_]+)?|PORT_\d+_(TCP|UDP|SCTP)(_PROTO|_PORT|_ADDR)?)"
)
_SERVICE_ADDRESS = re.compile(r"(tcp|udp|sctp)://")


class DatabaseSettings(msgspec.Struct, frozen=True, kw_only=True):
    """PostgreSQL: the address, the connections and their timeouts."""

    database_url: str = ""
    # The serving role; `boxoffice migrate` creates it and grants its rights.
    runtime_role: Role = ""
    db_pool_max: Annotated[int, Meta(ge=2, le=200)] = 6
    db_pooler: Literal["none", "transaction"] = "none"
    db_connect_timeout_ms: Milliseconds = 5_000
    db_acquire_timeout_ms: Milliseconds = 3_000
    db_reads_waiting_max: Count = 2_000
    standby_check_interval_ms: Milliseconds = 5_000
    statement_timeout_ms: Milliseconds = 5_000
    lock_timeout_ms: Milliseconds = 500
    idle_in_transaction_timeout_ms: Milliseconds = 10_000


class ValkeySettings(msgspec.Struct, frozen=True, kw_only=True):
    """Valkey: the address, the connections and the circuit breaker."""

    valkey_url: str = ""
    valkey_timeout_ms: Annotated[int, Meta(ge=1, le=100)] = 100
    valkey_pool_max: Annotated[int, Meta(ge=1, le=200)] = 8
    breaker_failures_max: Count = 3
    breaker_open_ms: Milliseconds = 1_000


class ServerSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The HTTP server: where it listens, and the bounds of connections and requests."""

    host: Host = "127.0.0.1"
    port: Port = 8000
    workers: Annotated[int, Meta(ge=1, le=64)] = 1
    body_max_bytes: Bytes = 65_536
    header_max_bytes: Bytes = 32_768
    header_fields_max: Annotated[int, Meta(ge=10, le=10_000)] = 128
    pipelined_requests_max: Annotated[int, Meta(ge=1, le=1_000)] = 16
    request_timeout_ms: Milliseconds = 12_000
    header_timeout_ms: Milliseconds = 10_000
    body_timeout_ms: Milliseconds = 8_000
    write_timeout_ms: Milliseconds = 10_000
    send_buffer_bytes: Annotated[int, Meta(ge=0, le=1 << 30)] = 262_144
    unsent_max_bytes: Bytes = 8 * 1024 * 1024
    keep_alive_ms: Milliseconds = 75_000
    connections_max: Count = 20_000
    connections_per_address_max: Count = 1_000
    backlog_max: Count = 4_096
    drain_delay_ms: Annotated[int, Meta(ge=0, le=60_000)] = 0
    drain_timeout_ms: Milliseconds = 15_000


class StreamSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Event streams: how many, how long, and how much is buffered."""

    streams_max: Count = 10_000
    streams_per_client_max: Count = 500
    streams_per_address_max: Count = 1_000
    stream_lifetime_ms: Milliseconds = 1_800_000
    stream_heartbeat_ms: Milliseconds = 15_000
    stream_unread_timeout_ms: Milliseconds = 45_000
    stream_retry_ms: Milliseconds = 2_000
    stream_buffer_max_bytes: Bytes = 262_144
    stream_socket_buffer_bytes: Bytes = 65_536


class BatchingSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Group commit: the sizes of batches, the waiting commands, and the retries."""

    batch_max: Annotated[int, Meta(ge=1, le=512)] = 64
    batches_in_flight: Annotated[int, Meta(ge=1, le=32)] = 2
    concurrent_batch_min: Annotated[int, Meta(ge=1, le=512)] = 32
    concurrent_batch_after_ms: Milliseconds = 5
    batch_queue_max: Count = 5_000
    batch_wait_max_ms: Milliseconds = 500
    retry_after_max_s: Annotated[int, Meta(ge=1, le=60)] = 10
    retry_after_share_min_percent: Annotated[int, Meta(ge=1, le=100)] = 10
    batch_retry_for_ms: Milliseconds = 1_500
    batch_isolation_timeout_ms: Milliseconds = 4_000
    unknown_outcome_timeout_ms: Milliseconds = 4_000


class HoldSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Holds: their limits, the seat lock, the cool-down and the sweeper."""

    seat_lock: Literal["auto", "always", "off"] = "auto"
    seat_lock_hot_ms: Milliseconds = 5_000
    seat_lock_ttl_ms: Annotated[int, Meta(ge=100, le=10_000)] = 9_000
    hold_ttl_default_s: Annotated[int, Meta(ge=1, le=86_400)] = 300
    seats_per_hold_max: Annotated[int, Meta(ge=1, le=64)] = 10
    ticket_limit_default: Annotated[int, Meta(ge=1, le=1000)] = 10
    # Holds of one person in one schedule that may end unpaid before a cool-down.
    hold_lapses_free_max: Annotated[int, Meta(ge=0, le=1_000_000)] = 3
    hold_cooldown_first_s: Annotated[int, Meta(ge=1, le=86_400)] = 60
    hold_cooldown_max_s: Annotated[int, Meta(ge=1, le=604_800)] = 14_400
    sweep_interval_ms: Milliseconds = 1_000
    sweep_batch_max: Annotated[int, Meta(ge=1, le=5_000)] = 200


class WaitingRoomSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Waiting rooms: the defaults of an organizer's policy, and the engine."""

    queue_rate_default_per_s: Annotated[float, Meta(ge=0.01, le=100_000)] = 50.0
    queue_inside_default_max: Annotated[int, Meta(ge=1, le=100_000)] = 500
    queue_inside_default_s: Annotated[int, Meta(ge=10, le=86_400)] = 600
    queue_grace_default_s: Annotated[int, Meta(ge=3, le=3_600)] = 60
    queue_ticket_ttl_s: Annotated[int, Meta(ge=60, le=604_800)] = 86_400
    queue_tickets_cached_max: Count = 20_000
    queue_rooms_max: Annotated[int, Meta(ge=1, le=10_000)] = 1_000
    queue_rooms_per_organizer_max: Annotated[int, Meta(ge=1, le=10_000)] = 100
    queue_refresh_ms: Annotated[int, Meta(ge=10, le=900)] = 250
    queue_tick_ms: Annotated[int, Meta(ge=10, le=900)] = 200
    queue_tick_max: Annotated[int, Meta(ge=1, le=5_000)] = 1_000
    queue_lease_ms: Annotated[int, Meta(ge=300, le=60_000)] = 1_500
    queue_number_prefetch: Annotated[int, Meta(ge=100, le=1_000_000)] = 10_000
    queue_state_ttl_s: Annotated[int, Meta(ge=600, le=31_536_000)] = 259_200
    queue_account_requests_per_s_max: Count = 100
    queue_address_requests_per_s_max: Count = 5_000


class CatalogSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Concerts and schedules: look-ups, and uploads of seat maps."""

    seat_map_max_bytes: Bytes = 16 * 1024 * 1024
    seats_per_schedule_max: Count = 100_000
    seat_map_uploads_max: Annotated[int, Meta(ge=1, le=64)] = 1
    seat_map_errors_max: Annotated[int, Meta(ge=1, le=1_000)] = 100
    catalog_cache_ms: Milliseconds = 1_000
    catalog_cache_entries_max: Count = 256
    schedules_per_concert_max: Count = 100


class SeatSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The live state of seats in memory, and the events about its changes."""

    # Whether holds of seats that are known to be taken are refused from memory.
    seat_cache: bool = True
    seats_cache_ms: Milliseconds = 250
    seats_verify_ms: Milliseconds = 1_000
    seat_events_interval_ms: Milliseconds = 30
    seat_events_history_max: Count = 1_000
    seat_events_keepalive_ms: Milliseconds = 2_000
    # Seats of all cached schedules; each takes about 200 bytes, and twice that with its map.
    seats_cached_max: Count = 200_000


class SalesStatsSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Live statistics of a sale."""

    sales_stats_cache_ms: Milliseconds = 1_000
    sales_stats_schedules_max: Count = 64


class AccountSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Accounts: tokens, password hashes, and the limits of log-ins and sign-ups."""

    access_token_ttl_s: Annotated[int, Meta(ge=1, le=604_800)] = 3_600
    token_key_refresh_s: Seconds = 15.0
    token_cache_max: Count = 20_000
    password_hashes_in_flight_max: Annotated[int, Meta(ge=1, le=64)] = 2
    password_hashes_waiting_max: Count = 64
    password_hashes_per_address_max: Count = 32
    login_failures_max: Count = 10
    login_address_failures_max: Count = 40
    login_address_attempts_max: Count = 600
    login_window_s: Annotated[int, Meta(ge=1, le=86_400)] = 60
    sign_ups_per_address_max: Count = 20
    sign_ups_window_s: Annotated[int, Meta(ge=1, le=604_800)] = 600
    known_addresses_max: Annotated[int, Meta(ge=1, le=100)] = 10
    known_address_ttl_s: Annotated[int, Meta(ge=86_400, le=31_536_000)] = 7_776_000


class PaymentSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Wallets and payments."""

    currency: Currency = "KRW"
    wallet_top_up_free: bool = False
    wallet_top_up_max_minor: Minor = 10_000_000
    wallet_balance_max_minor: Minor = 1_000_000_000_000


class OutboxSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The relay of the outbox and its stream."""

    relay_interval_ms: Milliseconds = 200
    relay_batch_max: Annotated[int, Meta(ge=1, le=10_000)] = 500
    relay_lease_ms: Milliseconds = 5_000
    relay_stream: StreamName = "boxoffice:events"
    relay_stream_max: Count = 100_000


class ArchiveSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The archive of reservations that ended unpaid."""

    history_retention_s: Annotated[int, Meta(ge=3_600, le=315_360_000)] = 86_400
    archive_interval_s: Annotated[int, Meta(ge=1, le=86_400)] = 60
    archive_batch_max: Annotated[int, Meta(ge=1, le=500)] = 200


class AuditSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The auditor and its results."""

    audit_interval_s: Annotated[int, Meta(ge=60, le=604_800)] = 3_600
    audit_request_min_interval_s: Annotated[int, Meta(ge=1, le=86_400)] = 60
    audit_statement_timeout_ms: Annotated[int, Meta(ge=1_000, le=3_600_000)] = 60_000
    audit_runs_kept_max: Annotated[int, Meta(ge=1, le=10_000)] = 200


class ObservabilitySettings(msgspec.Struct, frozen=True, kw_only=True):
    """Logs and metrics."""

    metrics_port: Annotated[int, Meta(ge=0, le=65535)] = 0
    metrics_token: Token = ""
    role_metrics_port: Annotated[int, Meta(ge=0, le=65535)] = 0
    log_format: Literal["json", "console"] = "json"
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_requests: bool = True


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """The settings of one process, by subsystem."""

    database: DatabaseSettings = DatabaseSettings()
    valkey: ValkeySettings = ValkeySettings()
    server: ServerSettings = ServerSettings()
    streams: StreamSettings = StreamSettings()
    batching: BatchingSettings = BatchingSettings()
    holds: HoldSettings = HoldSettings()
    waiting_room: WaitingRoomSettings = WaitingRoomSettings()
    catalog: CatalogSettings = CatalogSettings()
    seats: SeatSettings = SeatSettings()
    sales_stats: SalesStatsSettings = SalesStatsSettings()
    accounts: AccountSettings = AccountSettings()
    payments: PaymentSettings = PaymentSettings()
    outbox: OutboxSettings = OutboxSettings()
    archive: ArchiveSettings = ArchiveSettings()
    audit: AuditSettings = AuditSettings()
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


def load(environ: Mapping[str, str] | None = None, **overrides: object) -> Settings:
    """Read the settings from the environment, changed by `overrides` (options of a command).

    Raises `SettingsInvalid` that names the variable, its value and what it must be.
    """
    source = os.environ if environ is None else environ
    given = {
        name.removeprefix(PREFIX).lower(): value
        for name, value in source.items()
        if name.startswith(PREFIX) and not _is_foreign(name, value)
    }
    given |= {name: str(value) for name, value in overrides.items()}
    unknown = sorted(set(given) - set(SECTION_OF))
    if unknown:
        raise SettingsInvalid(_unknown(unknown[0]))
    kinds = types_of_settings()
    settings = Settings.of(**{name: _read(name, text, kinds[name]) for name, text in given.items()})
    _check_together(settings)
    return settings


def _is_foreign(name: str, value: str) -> bool:
    """Say whether a variable is not a setting: the tests', or a service link of Kubernetes."""
    if name.startswith(PREFIX + "TEST_") or _SERVICE_LINK.fullmatch(name):
        return True
    return name.endswith("_PORT") and _SERVICE_ADDRESS.match(value) is not None


def _unknown(name: str) -> str:
    near = get_close_matches(name, SECTION_OF, n=1)
    meant = f"; is {variable(near[0])} meant?" if near else ""
    return f"{variable(name)} is not a setting of boxoffice{meant}"


def types_of_settings() -> dict[str, Any]:
    """Return the annotated type of each setting, by flat name."""
    return {
        name: hint
        for kind in get_type_hints(Settings).values()
        for name, hint in get_type_hints(kind, include_extras=True).items()
    }


def variable(name: str) -> str:
    """Return the environment's name of a setting."""
    return PREFIX + name.upper()


def _read(name: str, text: str, kind: Any) -> object:
    """Return a setting's value; raise `SettingsInvalid` that states what it must be."""
    fault = None
    if name == "database_url" and text:
        fault, form = server_addresses.postgres_fault(text), server_addresses.POSTGRES_FORM
    elif name == "valkey_url" and text:
        fault, form = server_addresses.valkey_fault(text), server_addresses.VALKEY_FORM
    if fault is not None:
        raise SettingsInvalid(
            f"{variable(name)} is {shown(name, text)!r}: {fault}; it wants {form}"
        )
    try:
        return msgspec.convert(text, kind, strict=False)
    except msgspec.ValidationError as error:
        raise SettingsInvalid(
            f"{variable(name)} is {shown(name, text)!r}: it must be {wanted(kind)}"
        ) from error


def shown(name: str, text: str) -> str:
    """Return a setting's value as an error may show it: without passwords, and shortened."""
    if name.endswith("_url"):
        return server_addresses.shown(text)
    if re.search(r"(^|_)(secret|password|token|key)$", name):
        return "***"
    return text if len(text) <= 100 else f"{text[:100]}…"


def wanted(kind: Any) -> str:
    """Return a description of the values of a type."""
    found = types.type_info(kind)
    description = ""
    if isinstance(found, types.Metadata):
        description = (found.extra_json_schema or {}).get("description", "")
        found = found.type
    match found:
        case types.IntType():
            return f"a whole number {_range(found)}"
        case types.FloatType():
            return f"a number {_range(found)}"
        case types.BoolType():
            return "true or false"
        case types.LiteralType():
            return "one of " + ", ".join(str(one) for one in found.values)
        case _:
            return description or "a text"


def _range(found: types.IntType | types.FloatType) -> str:
    below = f"above {found.gt:g}" if found.gt is not None else f"from {found.ge}"
    return f"{below} to {found.le}" if found.gt is None else f"{below}, at most {found.le}"


def _check_together(settings: Settings) -> None:
    """Raise `SettingsInvalid` for the first setting that does not agree with another one."""
    for name, agrees, wants in (*_agreements(settings), *_deadlines(settings)):
        if not agrees:
            raise SettingsInvalid(f"{variable(name)} is {settings.get(name)}: it must be {wants}")


# A setting, whether it agrees with the others, and what it must be.
Agreement = tuple[str, bool, str]


def _agreements(one: Settings) -> Iterator[Agreement]:
    def named(name: str) -> str:
        return f"{variable(name)} ({one.get(name)})"

    differs = one.observability.metrics_port != one.server.port
    yield "metrics_port", differs, f"another one than {named('port')}"
    known = one.payments.currency in DECIMALS
    yield "currency", known, "a currency of ISO 4217, such as KRW or EUR"
    enough = one.database.db_pool_max > one.batching.batches_in_flight
    yield "db_pool_max", enough, f"above {named('batches_in_flight')}, as reads need a connection"
    room = one.waiting_room
    long_enough = room.queue_lease_ms >= 3 * room.queue_tick_ms
    yield "queue_lease_ms", long_enough, f"at least three times {named('queue_tick_ms')}"
    within = room.queue_grace_default_s <= room.queue_inside_default_s
    yield "queue_grace_default_s", within, f"at most {named('queue_inside_default_s')}"
    ordered = one.holds.hold_cooldown_first_s <= one.holds.hold_cooldown_max_s
    yield "hold_cooldown_first_s", ordered, f"at most {named('hold_cooldown_max_s')}"


def _deadlines(one: Settings) -> Iterator[Agreement]:
    """Yield the rules by which a part of a request times out before the request: a specific answer."""

    def named(name: str) -> str:
        return f"{variable(name)} ({one.get(name)})"

    request_ms = one.server.request_timeout_ms
    statement_ms, lock_ms = one.database.statement_timeout_ms, one.database.lock_timeout_ms
    unknown_ms = one.batching.unknown_outcome_timeout_ms
    isolate_ms = one.batching.batch_isolation_timeout_ms
    body_ms = one.server.body_timeout_ms
    yield "body_timeout_ms", body_ms < request_ms, f"below {named('request_timeout_ms')}"
    yield "lock_timeout_ms", lock_ms <= statement_ms, f"at most {named('statement_timeout_ms')}"
    lost_ms = statement_ms + CLIENT_GRACE_MS + unknown_ms
    parts = f"{named('statement_timeout_ms')} + {named('unknown_outcome_timeout_ms')}"
    yield "request_timeout_ms", request_ms > lost_ms, f"above {parts} + {CLIENT_GRACE_MS}"
    yield (
        "request_timeout_ms",
        request_ms > isolate_ms + 2 * lock_ms,
        f"above {named('batch_isolation_timeout_ms')} + 2 * {named('lock_timeout_ms')}",
    )
    yield "batch_isolation_timeout_ms", isolate_ms > lock_ms, f"above {named('lock_timeout_ms')}"
