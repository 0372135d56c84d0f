"""The examination: read what can be read, then judge it."""

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import NamedTuple
from urllib.parse import urlsplit

import msgspec

from boxoffice.backups.catalog import backup_status
from boxoffice.backups.stores.objects import open_storage
from boxoffice.doctor import probes, rules, store
from boxoffice.doctor.diagnosis import Diagnosis
from boxoffice.doctor.facts import Fleet
from boxoffice.errors import BoxofficeError
from boxoffice.settings import Settings, variable


class Examination(NamedTuple):
    """What is examined: how many pods there will be, the address of Prometheus, the age of a backup."""

    fleet: Fleet
    prometheus_url: str
    backup_age_max_s: float


class _Backups(NamedTuple):
    age_s: float | None = None
    lag_s: float | None = None
    failure: str = ""


async def examine(settings: Settings, wanted: Examination) -> list[Diagnosis]:
    """Return everything that was found; nothing is changed."""
    # Alone: what this process does beside it would be measured as Valkey's delay.
    valkey = await probes.valkey(settings)
    database, certificate, alerts, backups = await asyncio.gather(
        store.read(settings),
        probes.certificate(settings.notifications.public_url),
        probes.alerts(wanted.prometheus_url),
        asyncio.to_thread(_backups, settings),
    )
    location = settings.backups.backup_location
    folders = [location] if location.startswith("/") else []
    is_remote = urlsplit(settings.valkey.valkey_url).hostname not in {
        "127.0.0.1",
        "::1",
        "localhost",
    }
    expected = settings.database.db_standby != "optional"
    fleet = wanted.fleet
    return [
        *rules.of_settings(settings),
        *rules.of_postgres(
            database.postgres, database.failure, database.schema_fault, fleet, settings
        ),
        *rules.of_standby(expected, database.is_protected),
        *(rules.of_roles(database.roles) if database.roles else ()),
        *rules.of_valkey(valkey, is_remote),
        *rules.of_machine(probes.machine(folders), settings),
        *rules.of_certificate(certificate, datetime.now(UTC)),
        *rules.of_backups(
            backups.age_s,
            backups.lag_s,
            backups.failure,
            is_set=bool(location),
            age_max_s=wanted.backup_age_max_s,
        ),
        *rules.of_alerts(alerts),
        *rules.of_sizing(fleet, dict(_variables(settings))),
    ]


def _backups(settings: Settings) -> _Backups:
    if not settings.backups.backup_location:
        return _Backups()
    try:
        status = backup_status(open_storage(settings.backups), datetime.now(UTC))
    except (BoxofficeError, OSError) as error:
        return _Backups(failure=f"the backups cannot be read: {error}")
    return _Backups(status.backup_age_s, status.archive_lag_s)


def _variables(settings: Settings) -> Iterator[tuple[str, object]]:
    for section in msgspec.structs.asdict(settings).values():
        for name, value in msgspec.structs.asdict(section).items():
            yield variable(name), value
