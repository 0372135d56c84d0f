"""Every limit of the system: one frozen value, read once from `BOXOFFICE_…` variables.

Names end in their unit: `_s` seconds, `_ms` milliseconds, `_bytes`, `_minor` minor units of the
currency, `_max` a count. An unknown `BOXOFFICE_` variable is refused, so that a misspelt limit is
noticed at the start and not during a sale.
"""

import os
import re
from collections.abc import Mapping
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from boxoffice.errors import SettingsInvalid
from boxoffice.platform.currencies import DECIMALS

PREFIX = "BOXOFFICE_"
# The client of PostgreSQL gives up that much later than the server, whose word is better.
CLIENT_GRACE_MS = 1_000

Port = Annotated[int, Meta(ge=1, le=65535)]
Count = Annotated[int, Meta(ge=1, le=1_000_000)]
Milliseconds = Annotated[int, Meta(ge=1, le=3_600_000)]
Seconds = Annotated[float, Meta(gt=0, le=31_536_000)]
Bytes = Annotated[int, Meta(ge=1, le=1 << 30)]
Minor = Annotated[int, Meta(ge=1, le=9_000_000_000_000)]


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The settings of one process; `.env` style names are the field names in capitals."""

    # Servers of one's own; empty means the embedded ones (`boxoffice up` only).
    database_url: str = ""
    valkey_url: str = ""

    # HTTP
    host: str = "127.0.0.1"
    port: Port = 8000
    workers: Annotated[int, Meta(ge=1, le=64)] = 1
    body_max_bytes: Bytes = 65_536
    seat_map_max_bytes: Bytes = 16 * 1024 * 1024
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

    # Event streams
    streams_max: Count = 10_000
    streams_per_client_max: Count = 500
    streams_per_address_max: Count = 1_000
    stream_lifetime_ms: Milliseconds = 1_800_000
    stream_heartbeat_ms: Milliseconds = 15_000
    stream_unread_timeout_ms: Milliseconds = 45_000
    stream_retry_ms: Milliseconds = 2_000
    stream_buffer_max_bytes: Bytes = 262_144
    stream_socket_buffer_bytes: Bytes = 65_536

    # PostgreSQL
    db_pool_max: Annotated[int, Meta(ge=2, le=200)] = 6
    db_pooler: Literal["none", "transaction"] = "none"
    db_connect_timeout_ms: Milliseconds = 5_000
    db_acquire_timeout_ms: Milliseconds = 3_000
    db_reads_waiting_max: Count = 2_000
    standby_look_ms: Milliseconds = 5_000
    statement_timeout_ms: Milliseconds = 5_000
    lock_timeout_ms: Milliseconds = 500
    idle_in_transaction_timeout_ms: Milliseconds = 10_000

    # Group commit
    batch_max: Annotated[int, Meta(ge=1, le=512)] = 64
    batches_in_flight: Annotated[int, Meta(ge=1, le=32)] = 2
    batch_beside_min: Annotated[int, Meta(ge=1, le=512)] = 32
    batch_beside_after_ms: Milliseconds = 5
    batch_queue_max: Count = 5_000
    batch_wait_max_ms: Milliseconds = 500
    comeback_max_s: Annotated[int, Meta(ge=1, le=60)] = 10
    comeback_share_min_percent: Annotated[int, Meta(ge=1, le=100)] = 10
    batch_retry_for_ms: Milliseconds = 1_500
    batch_isolate_for_ms: Milliseconds = 4_000
    outcome_settle_for_ms: Milliseconds = 4_000

    # Valkey
    valkey_timeout_ms: Annotated[int, Meta(ge=1, le=100)] = 100
    valkey_pool_max: Annotated[int, Meta(ge=1, le=200)] = 8
    breaker_failures_max: Count = 3
    breaker_open_ms: Milliseconds = 1_000

    # Reservations
    # Whether seats that are known to be gone are refused from memory.
    seat_cache: bool = True
    seat_lock: Literal["auto", "always", "off"] = "auto"
    seat_lock_hot_ms: Milliseconds = 5_000
    seat_lock_ttl_ms: Annotated[int, Meta(ge=100, le=10_000)] = 9_000
    hold_ttl_default_s: Annotated[int, Meta(ge=1, le=86_400)] = 300
    seats_per_hold_max: Annotated[int, Meta(ge=1, le=64)] = 10
    ticket_limit_default: Annotated[int, Meta(ge=1, le=1000)] = 10
    sweep_interval_ms: Milliseconds = 1_000
    sweep_batch_max: Annotated[int, Meta(ge=1, le=5_000)] = 200

    # Waiting room: what an organizer does not say, and how it is run
    queue_rate_default_per_s: Annotated[float, Meta(ge=0.01, le=100_000)] = 50.0
    queue_inside_default_max: Annotated[int, Meta(ge=1, le=100_000)] = 500
    queue_inside_default_s: Annotated[int, Meta(ge=10, le=86_400)] = 600
    queue_grace_default_s: Annotated[int, Meta(ge=3, le=3_600)] = 60
    queue_ticket_ttl_s: Annotated[int, Meta(ge=60, le=604_800)] = 86_400
    queue_tickets_cached_max: Count = 20_000
    queue_rooms_max: Annotated[int, Meta(ge=1, le=10_000)] = 1_000
    queue_rooms_per_organizer_max: Annotated[int, Meta(ge=1, le=10_000)] = 100
    queue_refresh_ms: Annotated[int, Meta(ge=10, le=900)] = 250
    queue_beat_ms: Annotated[int, Meta(ge=10, le=900)] = 200
    queue_beat_max: Annotated[int, Meta(ge=1, le=5_000)] = 1_000
    queue_lease_ms: Annotated[int, Meta(ge=300, le=60_000)] = 1_500
    queue_numbers_ahead: Annotated[int, Meta(ge=100, le=1_000_000)] = 10_000
    queue_line_ttl_s: Annotated[int, Meta(ge=600, le=31_536_000)] = 259_200
    queue_account_requests_per_s_max: Count = 100
    queue_address_requests_per_s_max: Count = 5_000

    # Catalog
    seats_per_schedule_max: Count = 100_000
    seat_maps_in_flight_max: Annotated[int, Meta(ge=1, le=64)] = 1
    seat_map_errors_max: Annotated[int, Meta(ge=1, le=1_000)] = 100
    catalog_cache_ms: Milliseconds = 1_000
    seats_cache_ms: Milliseconds = 250
    seats_verify_ms: Milliseconds = 1_000
    seat_events_every_ms: Milliseconds = 30
    seat_events_kept_max: Count = 1_000
    seat_events_alive_ms: Milliseconds = 2_000
    catalog_cache_entries_max: Count = 256
    # Seats of all the schedules that a process keeps; each takes about 200 bytes, twice with its map.
    seats_cached_max: Count = 200_000
    schedules_per_concert_max: Count = 100

    # Live figures
    figures_cache_ms: Milliseconds = 1_000
    figures_schedules_max: Count = 64

    # Accounts
    access_token_ttl_s: Annotated[int, Meta(ge=1, le=604_800)] = 3_600
    token_key_refresh_s: Seconds = 15.0
    token_cache_max: Count = 20_000
    password_hashes_in_flight_max: Annotated[int, Meta(ge=1, le=64)] = 2
    password_hashes_waiting_max: Count = 64
    login_failures_max: Count = 10
    login_window_s: Annotated[int, Meta(ge=1, le=86_400)] = 60

    # Money
    currency: Annotated[str, Meta(pattern="^[A-Z]{3}$")] = "KRW"
    wallet_charge_max_minor: Minor = 10_000_000
    wallet_balance_max_minor: Minor = 1_000_000_000_000

    # Outbox
    relay_interval_ms: Milliseconds = 200
    relay_batch_max: Annotated[int, Meta(ge=1, le=10_000)] = 500
    relay_lease_ms: Milliseconds = 5_000
    relay_stream: str = "boxoffice:events"
    relay_stream_max: Count = 100_000

    # Audits
    audit_interval_s: Annotated[int, Meta(ge=60, le=604_800)] = 3_600
    audit_again_after_s: Annotated[int, Meta(ge=1, le=86_400)] = 60
    audit_statement_timeout_ms: Annotated[int, Meta(ge=1_000, le=3_600_000)] = 60_000
    audit_runs_kept_max: Annotated[int, Meta(ge=1, le=10_000)] = 200

    # Logs and metrics; the API serves its metrics itself, the other roles only where a port is given.
    metrics_port: Annotated[int, Meta(ge=0, le=65535)] = 0
    metrics_token: Annotated[str, Meta(pattern="^([!-~]{16,256})?$")] = ""
    role_metrics_port: Annotated[int, Meta(ge=0, le=65535)] = 0
    log_format: Literal["json", "console"] = "json"
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_requests: bool = True


def load(environ: Mapping[str, str] | None = None, **overrides: object) -> Settings:
    """Read the settings from the environment, changed by `overrides` (options of a command).

    Raises `SettingsInvalid` that names the variable.
    """
    source = os.environ if environ is None else environ
    given = {
        name.removeprefix(PREFIX).lower(): value
        for name, value in source.items()
        if name.startswith(PREFIX) and not name.startswith(PREFIX + "TEST_")
    }
    given |= {name: str(value) for name, value in overrides.items()}
    unknown = sorted(set(given) - set(Settings.__struct_fields__))
    if unknown:
        raise SettingsInvalid(f"{PREFIX}{unknown[0].upper()} is not a setting of boxoffice")
    try:
        settings = msgspec.convert(given, Settings, strict=False)
    except msgspec.ValidationError as error:
        raise SettingsInvalid(_sentence(error)) from error
    _check_together(settings)
    return settings


def _sentence(error: msgspec.ValidationError) -> str:
    message, _, path = str(error).partition(" - at `$.")
    return f"{PREFIX}{path.rstrip('`').upper()}: {message}"


def _check_together(settings: Settings) -> None:
    if not re.match(r"(postgres(ql)?://|$)", settings.database_url):
        raise SettingsInvalid("BOXOFFICE_DATABASE_URL must start with postgresql://")
    if not re.match(r"((rediss?|unix)://|$)", settings.valkey_url):
        raise SettingsInvalid("BOXOFFICE_VALKEY_URL must start with redis://, rediss:// or unix://")
    if settings.metrics_port == settings.port:
        raise SettingsInvalid("BOXOFFICE_METRICS_PORT must not be BOXOFFICE_PORT")
    if settings.currency not in DECIMALS:
        raise SettingsInvalid(
            f"BOXOFFICE_CURRENCY must be a currency of ISO 4217, such as KRW or EUR, and not"
            f" '{settings.currency}'"
        )
    if settings.db_pool_max <= settings.batches_in_flight:
        raise SettingsInvalid(
            "BOXOFFICE_DB_POOL_MAX must be above BOXOFFICE_BATCHES_IN_FLIGHT: reads need a connection"
        )
    if settings.body_timeout_ms >= settings.request_timeout_ms:
        raise SettingsInvalid(
            "BOXOFFICE_BODY_TIMEOUT_MS must be below BOXOFFICE_REQUEST_TIMEOUT_MS"
        )
    if settings.queue_lease_ms < 3 * settings.queue_beat_ms:
        raise SettingsInvalid(
            "BOXOFFICE_QUEUE_LEASE_MS must be at least three times BOXOFFICE_QUEUE_BEAT_MS"
        )
    if settings.queue_grace_default_s > settings.queue_inside_default_s:
        raise SettingsInvalid(
            "BOXOFFICE_QUEUE_GRACE_DEFAULT_S must not be above BOXOFFICE_QUEUE_INSIDE_DEFAULT_S"
        )
    if settings.lock_timeout_ms > settings.statement_timeout_ms:
        raise SettingsInvalid(
            "BOXOFFICE_LOCK_TIMEOUT_MS must not be above BOXOFFICE_STATEMENT_TIMEOUT_MS"
        )
    _check_deadlines(settings)


def _check_deadlines(settings: Settings) -> None:
    """Let the parts of a request end before the request does, so that it gets the specific answer."""
    lost_ms = settings.statement_timeout_ms + CLIENT_GRACE_MS + settings.outcome_settle_for_ms
    if settings.request_timeout_ms <= lost_ms:
        raise SettingsInvalid(
            "BOXOFFICE_REQUEST_TIMEOUT_MS must be above BOXOFFICE_STATEMENT_TIMEOUT_MS + "
            f"BOXOFFICE_OUTCOME_SETTLE_FOR_MS + {CLIENT_GRACE_MS}"
        )
    if settings.request_timeout_ms <= settings.batch_isolate_for_ms + 2 * settings.lock_timeout_ms:
        raise SettingsInvalid(
            "BOXOFFICE_REQUEST_TIMEOUT_MS must be above BOXOFFICE_BATCH_ISOLATE_FOR_MS + "
            "2 * BOXOFFICE_LOCK_TIMEOUT_MS"
        )
    if settings.batch_isolate_for_ms <= settings.lock_timeout_ms:
        raise SettingsInvalid(
            "BOXOFFICE_BATCH_ISOLATE_FOR_MS must be above BOXOFFICE_LOCK_TIMEOUT_MS"
        )
