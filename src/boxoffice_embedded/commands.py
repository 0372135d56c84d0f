"""The commands `up` and `demo`, and what the embedded servers add to the others."""

import asyncio
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from boxoffice.cli.context import (
    DATA_DIR,
    DataDir,
    Port,
    Workers,
    addressed_settings,
    progress,
    settings_of,
)
from boxoffice.errors import BoxofficeError
from boxoffice.settings import Settings


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(up)
    app.command()(demo)


def server_addresses(data_dir: Path) -> Mapping[str, str]:
    """Return the settings that address the servers of a running `boxoffice up`; empty without one."""
    from boxoffice_embedded.servers.embedded_servers import running_addresses  # noqa: PLC0415 — costs time

    running = running_addresses(data_dir)
    if running is None:
        return {}
    return {"database_url": running.database_url, "valkey_url": running.valkey_url}


def server_programs() -> Path | None:
    """Return the folder of the programs of the embedded PostgreSQL; None where it is not installed."""
    from boxoffice_embedded.errors import EmbeddedUnavailable  # noqa: PLC0415 — costs time
    from boxoffice_embedded.servers.binaries import find_binaries  # noqa: PLC0415 — costs time

    try:
        return find_binaries().postgres.parent
    except EmbeddedUnavailable:
        return None


def check_serving(settings: Settings) -> None:
    """Raise `SettingsInvalid` where a demo would be served to other machines."""
    from boxoffice_embedded.demo import require_private  # noqa: PLC0415 — costs time

    asyncio.run(require_private(settings))


def up(
    data_dir: DataDir = DATA_DIR,
    port: Port = None,
    workers: Workers = None,
    demo: Annotated[
        bool, typer.Option("--demo", help="Make the demo also on servers of one's own.")
    ] = False,
    log: Annotated[
        str, typer.Option(help="What is printed: `people`, or `json` for machines.")
    ] = "people",
) -> None:
    """Run everything: servers, schema, a demo concert on sale, the API and all other roles."""
    from boxoffice_embedded import up as running  # noqa: PLC0415 — costs time

    if log not in running.LOGS:
        raise typer.BadParameter(f"--log is one of {', '.join(running.LOGS)}")
    options = running.UpOptions(data_dir=data_dir, has_demo=demo, log=log)
    running.run(settings_of(port=port, workers=workers), options, progress)


def demo(
    data_dir: DataDir = DATA_DIR,
    remove: Annotated[
        bool, typer.Option("--remove", help="Close the demo's accounts for good.")
    ] = False,
) -> None:
    """Print as whom the demo can be used, or close its accounts."""
    from boxoffice_embedded import demo as demos  # noqa: PLC0415 — costs time

    settings = addressed_settings(data_dir)
    if remove:
        closed = asyncio.run(demos.remove(settings))
        progress.print(f"closed: {', '.join(closed)}" if closed else "there is no demo")
        return
    password = demos.password_of(data_dir)
    emails = asyncio.run(demos.existing_accounts(settings))
    if password is None or not emails:
        raise BoxofficeError(f"{data_dir} has no demo: `boxoffice up` makes one")
    for email in emails:
        sys.stdout.write(f"{demos.ROLES[email]:<10} {email}, password {password}\n")
