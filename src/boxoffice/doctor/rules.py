"""What the facts mean for a sale. Pure."""

from collections.abc import Iterator, Mapping
from datetime import datetime

from boxoffice.doctor.diagnosis import Diagnosis, Level
from boxoffice.doctor.facts import (
    AlertFacts,
    CertificateFacts,
    Fleet,
    MachineFacts,
    PostgresFacts,
    RoleFacts,
    ValkeyFacts,
)
from boxoffice.settings import Settings

# The alerts of deploy/alerts, which a test compares.
ALERTS = (
    "BoxofficeAuditFailed", "BoxofficeAuditOld", "BoxofficeAuditViolated", "BoxofficeBugs",
    "BoxofficeCashierBehind", "BoxofficeConnectionsWait", "BoxofficeDatabaseUnavailable",
    "BoxofficeEventLoopLate", "BoxofficeLogLost", "BoxofficeMailOverdue", "BoxofficeNotServing",
    "BoxofficeOutboxOld", "BoxofficeOverloaded", "BoxofficeProcessesRestart",
    "BoxofficeProviderAway", "BoxofficeProviderFailing", "BoxofficeProviderMisconfigured",
    "BoxofficeRequestsFailingFast", "BoxofficeRequestsFailingSlowly", "BoxofficeRequestsSlowFast",
    "BoxofficeRequestsSlowSlowly", "BoxofficeRoleMissing", "BoxofficeRoleStalled",
    "BoxofficeStandbyMissing", "BoxofficeSweepBehind", "BoxofficeValkeyBreakerOpen",
    "BoxofficeWebhooksOverdue",
)  # fmt: skip
# The SQL is written for the first and tested with the second.
_POSTGRES_MIN, _POSTGRES_TESTED = 150_000, 180_000
# Roles beside `serve`, each with a pool of its own.
_OTHER_ROLES = 6
_FILES_MARGIN = 256
_CLOCK_OFF_MAX_S = 0.5
_LAG_MAX_S = 30.0
_AUDIT_OLD_S = 86_400.0
_ROUND_TRIP_SLOW_MS = 10.0
_CERTIFICATE_DAYS_MIN, _CERTIFICATE_DAYS_LOW = 3, 21
_FREE_MIN_BYTES = 1 << 30


def of_settings(settings: Settings) -> Iterator[Diagnosis]:
    """What of the settings is meant for a laptop."""
    is_free = settings.payments.wallet_top_up_free
    yield _finding(
        "settings: money", not is_free, "free top-ups are on" if is_free else "top-ups are paid",
        "set BOXOFFICE_WALLET_TOP_UP_FREE to false: each buyer can take money without paying",
    )  # fmt: skip
    public = settings.notifications.public_url
    yield _finding(
        "settings: public address", public.startswith("https://"), public or "not set",
        "set BOXOFFICE_PUBLIC_URL to the https address of the shop: links in mails lead there",
        Level.WARN,
    )  # fmt: skip
    yield _finding(
        "settings: mail", bool(settings.notifications.smtp_url),
        "a mail server is set" if settings.notifications.smtp_url else "no mail server is set",
        "set BOXOFFICE_SMTP_URL: without it no ticket and no reset of a password leaves by mail",
        Level.WARN,
    )  # fmt: skip
    providers = settings.providers
    has_provider = bool(providers.toss_secret_key or providers.stripe_secret_key)
    yield _finding(
        "settings: payment provider", has_provider,
        "a provider's keys are set" if has_provider else "only the wallet takes money",
        "set the keys of a provider in serve and in the cashier (docs/payment-providers.md)",
        Level.WARN,
    )  # fmt: skip
    delay_ms = settings.server.drain_delay_ms
    yield _finding(
        "settings: drain", delay_ms > 0, f"BOXOFFICE_DRAIN_DELAY_MS is {delay_ms}",
        "set it above the time in which the edge sees that a pod is not ready, such as 2500",
        Level.WARN,
    )  # fmt: skip


def of_postgres(
    facts: PostgresFacts | None, failure: str, schema_fault: str, fleet: Fleet, settings: Settings
) -> Iterator[Diagnosis]:
    """Version, durability, role, connections and clock; `failure` where nothing could be read."""
    if facts is None:
        advice = "start it, or correct BOXOFFICE_DATABASE_URL; nothing is sold without it"
        yield Diagnosis("postgresql", Level.FAIL, failure, advice)
        return
    version = f"version {facts.version_num // 10_000}"
    level = Level.FAIL if facts.version_num < _POSTGRES_MIN else Level.WARN
    yield _finding(
        "postgresql: version", facts.version_num >= _POSTGRES_TESTED, version,
        "run PostgreSQL 18, with which boxoffice is tested", level,
    )  # fmt: skip
    yield _finding(
        "postgresql: schema", not schema_fault, schema_fault or "is that of this release",
        "run `boxoffice migrate` as the owner",
    )  # fmt: skip
    yield _finding(
        "postgresql: durability", facts.is_durable,
        "commits are on disk" if facts.is_durable else "a crash may lose commits",
        "set fsync and full_page_writes to on: an acknowledged ticket must survive a crash",
    )  # fmt: skip
    yield _finding(
        "postgresql: archive", facts.archives,
        "WAL is archived" if facts.archives else "WAL is not archived",
        "set archive_mode and archive_command (docs/backup.md)", Level.WARN,
    )  # fmt: skip
    yield _role(facts)
    yield _finding(
        "postgresql: encryption", facts.is_encrypted or facts.is_local,
        "this connection is " + ("encrypted" if facts.is_encrypted else "not encrypted"),
        "add sslmode=verify-full to the address", Level.WARN,
    )  # fmt: skip
    yield _connections(facts, fleet, settings)
    off_s = abs(facts.clock_offset_s)
    yield _finding(
        "clocks", off_s <= _CLOCK_OFF_MAX_S, f"this machine and PostgreSQL differ by {off_s:.3f} s",
        "run a time service on both: PostgreSQL's clock decides, logs and tokens use this one",
        Level.WARN,
    )  # fmt: skip


def _role(facts: PostgresFacts) -> Diagnosis:
    rights = "is a superuser" if facts.is_superuser else "owns the tables"
    return _finding(
        "postgresql: role", not (facts.is_superuser or facts.owns_tables),
        f"the role {rights if facts.is_superuser or facts.owns_tables else 'owns nothing'}",
        "serve as a role that owns nothing: `boxoffice migrate --runtime-role NAME`", Level.WARN,
    )  # fmt: skip


def _connections(facts: PostgresFacts, fleet: Fleet, settings: Settings) -> Diagnosis:
    pool = settings.database.db_pool_max
    wanted = (fleet.pods * fleet.workers + _OTHER_ROLES) * pool
    free = facts.max_connections - facts.reserved_connections
    is_pooled = settings.database.db_pooler != "none"
    seen = (
        f"{fleet.pods} pods with {fleet.workers} processes and 6 roles may open {wanted} of {free}"
    )
    return _finding(
        "postgresql: connections", is_pooled or wanted <= free,
        seen + (", through a pooler" if is_pooled else ""),
        "raise max_connections, lower BOXOFFICE_DB_POOL_MAX, or use a pooler",
    )  # fmt: skip


def of_standby(is_expected: bool, is_protected: bool | None) -> Iterator[Diagnosis]:
    """Whether an acknowledged promise is on two machines; None where that cannot be read."""
    if is_protected is None:
        return
    advice = "connect a synchronous standby (docs/high-availability.md)"
    level = Level.FAIL if is_expected else Level.WARN
    seen = (
        "commits wait for a standby" if is_protected else "an acknowledged ticket is on one machine"
    )
    yield _finding("postgresql: standby", is_protected, seen, advice, level)


def of_roles(facts: RoleFacts) -> Iterator[Diagnosis]:
    """Whether relay, sweep and auditor do their work."""
    for name, lag_s, what in (
        ("relay", facts.outbox_age_s, "the oldest event waits"),
        ("sweep", facts.sweep_lag_s, "the oldest lapsed hold waits"),
    ):
        yield _finding(
            f"role: {name}", lag_s <= _LAG_MAX_S, f"{what} {lag_s:.0f} s",
            f"start `boxoffice {name}`, or look at its log",
        )  # fmt: skip
    if facts.audit_age_s is None:
        advice = "start `boxoffice auditor`, or run `boxoffice audit` now"
        yield Diagnosis("role: auditor", Level.WARN, "no audit has ended yet", advice)
        return
    yield _finding(
        "audit", bool(facts.audit_is_clean),
        "every invariant held" if facts.audit_is_clean else "an invariant was broken",
        "do not open the sale: run `boxoffice audit` and read docs/runbooks.md",
    )  # fmt: skip
    hours = facts.audit_age_s / 3_600
    yield _finding(
        "role: auditor", facts.audit_age_s <= _AUDIT_OLD_S, f"the last audit is {hours:.1f} h old",
        "start `boxoffice auditor`, or look at its log", Level.WARN,
    )  # fmt: skip


def of_valkey(facts: ValkeyFacts, is_remote: bool) -> Iterator[Diagnosis]:
    """Whether Valkey answers in time; a sale goes on without it, waiting rooms do not."""
    if facts.failure:
        advice = (
            "start it, or correct BOXOFFICE_VALKEY_URL; waiting rooms admit no buyer without it"
        )
        yield Diagnosis("valkey", Level.FAIL, facts.failure, advice)
        return
    yield _finding(
        "valkey", facts.round_trip_ms <= _ROUND_TRIP_SLOW_MS,
        f"answers within {facts.round_trip_ms:.1f} ms",
        "move it nearer: a call above BOXOFFICE_VALKEY_TIMEOUT_MS counts as a failure", Level.WARN,
    )  # fmt: skip
    yield _finding(
        "valkey: encryption", facts.is_encrypted or not is_remote,
        "this connection is " + ("encrypted" if facts.is_encrypted else "not encrypted"),
        "use rediss:// and BOXOFFICE_VALKEY_TLS_CA_FILE", Level.WARN,
    )  # fmt: skip


def of_machine(facts: MachineFacts, settings: Settings) -> Iterator[Diagnosis]:
    """Whether this machine lets a process keep the connections that it is meant to."""
    wanted = settings.server.connections_max + _FILES_MARGIN
    yield _finding(
        "limits: open files", facts.open_files_max >= wanted,
        f"{facts.open_files_max:,} may be open, {wanted:,} are needed",
        "raise the hard limit of open files (LimitNOFILE, --ulimit nofile)",
    )  # fmt: skip
    if facts.backlog_max is not None:
        wanted = settings.server.backlog_max
        yield _finding(
            "limits: backlog", facts.backlog_max >= wanted,
            f"net.core.somaxconn is {facts.backlog_max:,}, BOXOFFICE_BACKLOG_MAX {wanted:,}",
            "raise net.core.somaxconn: the smaller one counts", Level.WARN,
        )  # fmt: skip
    for folder, free in facts.free_bytes.items():
        yield _finding(
            f"disk: {folder}", free >= _FREE_MIN_BYTES, f"{free / (1 << 30):.1f} GiB are free",
            "make room: logs, metrics and copies of backups are written there",
        )  # fmt: skip
    advice = "watch it there: it does not tell its clients"
    yield Diagnosis("disk: PostgreSQL", Level.UNSEEN, "cannot be seen from here", advice)


def of_certificate(facts: CertificateFacts | None, now: datetime) -> Iterator[Diagnosis]:
    """Whether browsers trust the public address, and for how long; None: there is no https address."""
    if facts is None:
        advice = "set BOXOFFICE_PUBLIC_URL to an https address"
        yield Diagnosis("tls", Level.UNSEEN, "there is no https address to look at", advice)
        return
    if facts.failure or facts.expires_at is None:
        advice = "correct name, chain or key at the edge (docs/edge.md)"
        yield Diagnosis("tls", Level.FAIL, facts.failure or "no certificate was shown", advice)
        return
    days = (facts.expires_at - now).days
    level = Level.FAIL if days < _CERTIFICATE_DAYS_MIN else Level.WARN
    yield _finding(
        "tls", days >= _CERTIFICATE_DAYS_LOW, f"the certificate ends in {days} days",
        "renew it now: it must not end during the sale", level,
    )  # fmt: skip


def of_backups(
    age_s: float | None, lag_s: float | None, failure: str, *, is_set: bool, age_max_s: float
) -> Iterator[Diagnosis]:
    """How old the newest complete backup is, and how far the archive lags behind."""
    if not is_set:
        advice = "back up before the sale, and run this where backups are made (docs/backup.md)"
        yield Diagnosis("backup", Level.WARN, "no place for backups is set here", advice)
        return
    if failure:
        yield Diagnosis("backup", Level.FAIL, failure, "correct the place of backups or its keys")
        return
    if age_s is None:
        advice = "run `boxoffice backup create`, then `boxoffice backup verify`"
        yield Diagnosis("backup", Level.FAIL, "there is no complete backup", advice)
        return
    yield _finding(
        "backup", age_s <= age_max_s, f"the newest is {age_s / 3_600:.1f} h old",
        "run `boxoffice backup create`, then `boxoffice backup verify`",
    )  # fmt: skip
    yield _finding(
        "backup: archive", lag_s is not None and lag_s <= age_max_s,
        "nothing is archived" if lag_s is None else f"the last WAL came {lag_s:.0f} s ago",
        "look at archive_command in PostgreSQL's log", Level.WARN,
    )  # fmt: skip


def of_alerts(facts: AlertFacts | None) -> Iterator[Diagnosis]:
    """Whether Prometheus has loaded our alerts; None: its address was not given."""
    if facts is None:
        advice = "give --prometheus URL"
        yield Diagnosis("alerts", Level.UNSEEN, "no Prometheus was named", advice)
        return
    missing = sorted(set(ALERTS) - set(facts.loaded))
    seen = f"{len(ALERTS) - len(missing)} of {len(ALERTS)} are loaded"
    if missing and not facts.failure:
        seen += f"; not {', '.join(missing[:3])}{' …' if len(missing) > 3 else ''}"
    yield _finding(
        "alerts", not facts.failure and not missing, facts.failure or seen,
        "load deploy/alerts/*.rules.yaml (docs/monitoring.md)",
    )  # fmt: skip


def of_sizing(fleet: Fleet, here: Mapping[str, object]) -> Iterator[Diagnosis]:
    """Whether the settings here, values by variable, are those with which the pods were sized."""
    if not fleet.settings:
        advice = "give --values FILE, the values that the load test wrote"
        yield Diagnosis("sizing", Level.UNSEEN, "no sizing was given", advice)
        return
    off = [
        f"{name} is {_as_variable(here.get(name))}, sized with {_as_variable(wanted)}"
        for name, wanted in sorted(fleet.settings.items())
        if here.get(name) != wanted
    ]
    yield _finding(
        "sizing", not off, "; ".join(off) or "the settings are those of the load test",
        "use the load test's values, or repeat it with these settings", Level.WARN,
    )  # fmt: skip


def _as_variable(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _finding(
    check: str, is_good: bool, seen: str, advice: str, level: Level = Level.FAIL
) -> Diagnosis:
    return Diagnosis(check, Level.OK, seen) if is_good else Diagnosis(check, level, seen, advice)
