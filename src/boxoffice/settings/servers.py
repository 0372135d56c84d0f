"""Settings of what the features run on: servers, connections, batches, logs."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from boxoffice.settings.values import (
    Bytes,
    CollectorUrl,
    Commit,
    Count,
    FilePath,
    Host,
    Milliseconds,
    Port,
    Role,
    Token,
)


class DatabaseSettings(msgspec.Struct, frozen=True, kw_only=True):
    """PostgreSQL: the address, the connections and their timeouts."""

    database_url: str = ""
    # The serving role; `boxoffice migrate` creates it and grants its rights.
    runtime_role: Role = ""
    db_pool_max: Annotated[int, Meta(ge=2, le=200)] = 6
    db_pooler: Literal["none", "transaction", "transaction_prepared"] = "none"
    db_standby: Literal["optional", "expected", "required"] = "optional"
    db_connect_timeout_ms: Milliseconds = 5_000
    db_acquire_timeout_ms: Milliseconds = 3_000
    db_reads_waiting_max: Count = 2_000
    standby_check_interval_ms: Milliseconds = 5_000
    statement_timeout_ms: Milliseconds = 5_000
    lock_timeout_ms: Milliseconds = 500
    idle_in_transaction_timeout_ms: Milliseconds = 10_000


class ValkeySettings(msgspec.Struct, frozen=True, kw_only=True):
    """Valkey: the address, TLS, the connections and the circuit breaker of each server."""

    valkey_url: str = ""
    # Files in PEM: the CA of the servers' certificates, and this client's certificate with its key.
    valkey_tls_ca_file: FilePath = ""
    valkey_tls_cert_file: FilePath = ""
    valkey_tls_key_file: FilePath = ""
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
    large_body_max_bytes: Bytes = 4 * 1024 * 1024
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

    def authority(self, port: int) -> str:
        """Return the host with a port of it, as in an address (RFC 3986, section 3.2)."""
        return f"[{self.host}]:{port}" if ":" in self.host else f"{self.host}:{port}"


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
    # Workers of one `serve` batch together.
    hand_over: bool = False
    hand_over_commands_max: Count = 1_000
    hand_over_max_bytes: Annotated[int, Meta(ge=65_536, le=1 << 28)] = 1 << 20
    hand_over_timeout_ms: Milliseconds = 1_000


class ObservabilitySettings(msgspec.Struct, frozen=True, kw_only=True):
    """Logs and metrics."""

    metrics_port: Annotated[int, Meta(ge=0, le=65535)] = 0
    metrics_token: Token = ""
    role_metrics_port: Annotated[int, Meta(ge=0, le=65535)] = 0
    lag_check_interval_ms: Milliseconds = 5_000
    build_commit: Commit = ""
    traces_url: CollectorUrl = ""
    traces_sample_percent: Annotated[float, Meta(ge=0, le=100)] = 1.0
    traces_trust_parent: bool = False
    traces_queue_max: Count = 4_096
    traces_export_timeout_ms: Milliseconds = 5_000
    log_format: Literal["json", "console"] = "json"
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_requests: bool = True
