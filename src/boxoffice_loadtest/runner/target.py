"""The shop under test, embedded or already running."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from boxoffice.settings import Settings
from boxoffice_loadtest.measurement import database_reader
from boxoffice_loadtest.measurement.database_reader import TargetSchedule
from boxoffice_loadtest.users import UserTokens


@dataclass
class LoadTarget:
    """A shop under test.

    Without `settings` its servers cannot be read. `pids` returns the top processes of each component,
    `failure` says why the target no longer works, and `prepare_schedule` takes the number of seats and
    whether there is a waiting room.
    """

    base_url: str
    users: UserTokens
    settings: Settings | None
    pids: Callable[[], dict[str, list[int]]]
    failure: Callable[[], str | None]
    prepare_schedule: Callable[[int, bool], TargetSchedule]
    not_sampled: list[str] = field(default_factory=list)
    environment: dict[str, str] = field(default_factory=dict)
    is_embedded: bool = False


def database_environment(settings: Settings) -> dict[str, str]:
    """Return the version and the settings of PostgreSQL."""

    async def read() -> dict[str, str]:
        async with database_reader.open_reader(settings) as reader:
            return await reader.server()

    return {f"postgresql_{name}": text for name, text in asyncio.run(read()).items()}
