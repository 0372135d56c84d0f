"""What settings must agree on."""

from collections.abc import Iterator
from zoneinfo import ZoneInfo

from boxoffice.errors import SettingsInvalid
from boxoffice.platform.currencies import DECIMALS
from boxoffice.settings.provider_keys import check_providers
from boxoffice.settings.settings import Settings
from boxoffice.settings.values import CLIENT_GRACE_MS, variable


def check_together(settings: Settings) -> None:
    """Raise `SettingsInvalid` for the first setting that does not agree with another one."""
    for name, agrees, wants in (*_agreements(settings), *_deadlines(settings)):
        if not agrees:
            raise SettingsInvalid(f"{variable(name)} is {settings.get(name)}: it must be {wants}")
    check_providers(settings.providers)


# A setting, whether it agrees with the others, and what it must be.
Agreement = tuple[str, bool, str]


def _agreements(one: Settings) -> Iterator[Agreement]:
    def named(name: str) -> str:
        return f"{variable(name)} ({one.get(name)})"

    differs = one.observability.metrics_port != one.server.port
    yield "metrics_port", differs, f"another one than {named('port')}"
    known = one.payments.currency in DECIMALS
    yield "currency", known, "a currency of ISO 4217, such as KRW or EUR"
    yield from _valkey_tls(one)
    zone = one.payments.venue_time_zone
    yield "venue_time_zone", _is_time_zone(zone), "a time zone of the IANA database, as Asia/Seoul"
    enough = one.database.db_pool_max > one.batching.batches_in_flight
    yield "db_pool_max", enough, f"above {named('batches_in_flight')}, as reads need a connection"
    room = one.waiting_room
    long_enough = room.queue_lease_ms >= 3 * room.queue_tick_ms
    yield "queue_lease_ms", long_enough, f"at least three times {named('queue_tick_ms')}"
    within = room.queue_grace_default_s <= room.queue_inside_default_s
    yield "queue_grace_default_s", within, f"at most {named('queue_inside_default_s')}"
    has_sender = bool(one.notifications.mail_from) or not one.notifications.smtp_url
    yield "mail_from", has_sender, f"set where {variable('smtp_url')} is"
    lists = one.waiting_lists
    soon_enough = lists.waiting_list_turn_s * 1000 >= 5 * lists.waiting_list_interval_ms
    yield (
        "waiting_list_turn_s",
        soon_enough,
        f"at least five times {named('waiting_list_interval_ms')}",
    )
    posters = one.posters
    in_s3 = posters.poster_storage == "s3"
    for name in ("s3_url", "s3_bucket", "s3_access_key", "s3_secret_key"):
        yield name, bool(one.get(name)) or not in_s3, f"set where {named('poster_storage')} is s3"
    for name in ("backup_s3_url", "backup_s3_access_key", "backup_s3_secret_key"):
        is_needed = one.backups.backup_location.startswith("s3://")
        yield name, bool(one.get(name)) or not is_needed, "set where the backups are in s3://"
    ordered = one.holds.hold_cooldown_first_s <= one.holds.hold_cooldown_max_s
    yield "hold_cooldown_first_s", ordered, f"at most {named('hold_cooldown_max_s')}"


def _valkey_tls(one: Settings) -> Iterator[Agreement]:
    """Yield the rules of the files for TLS; a process reads them when it starts."""
    valkey = one.valkey
    is_tls = not valkey.valkey_url or valkey.valkey_url.startswith("rediss")
    for name in ("valkey_tls_ca_file", "valkey_tls_cert_file"):
        yield (
            name,
            is_tls or not one.get(name),
            f"empty unless {variable('valkey_url')} begins with rediss",
        )
    together = bool(valkey.valkey_tls_cert_file) == bool(valkey.valkey_tls_key_file)
    yield "valkey_tls_key_file", together, f"set where {variable('valkey_tls_cert_file')} is"


def _is_time_zone(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (KeyError, OSError, ValueError):
        return False
    return True


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
    connect_ms, provider_ms = (
        one.providers.provider_connect_timeout_ms,
        one.providers.provider_timeout_ms,
    )
    within = connect_ms < provider_ms
    yield "provider_connect_timeout_ms", within, f"below {named('provider_timeout_ms')}"
    within = connect_ms < one.providers.confirm_timeout_ms
    yield "provider_connect_timeout_ms", within, f"below {named('confirm_timeout_ms')}"
    yield from _fences(one)


def _fences(one: Settings) -> Iterator[Agreement]:
    """Yield the rules by which a hold outlasts the call that pays it, and a request its wait."""

    def named(name: str) -> str:
        return f"{variable(name)} ({one.get(name)})"

    money = one.payments
    # The database is asked before and after the wait.
    within = money.confirm_wait_ms * 4 <= one.server.request_timeout_ms * 3
    wants = f"at most three quarters of {named('request_timeout_ms')}"
    yield "confirm_wait_ms", within, wants
    outlasts = money.payment_fence_s * 1000 > one.providers.confirm_timeout_ms
    yield "payment_fence_s", outlasts, f"longer than {named('confirm_timeout_ms')}"
    ordered = money.payment_fence_s <= money.payment_fence_max_s
    yield "payment_fence_max_s", ordered, f"at least {named('payment_fence_s')}"
