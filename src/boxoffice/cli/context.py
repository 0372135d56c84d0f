"""What the commands share: options, settings, and progress on standard error."""

from pathlib import Path
from typing import Annotated, Any

import typer

from boxoffice.cli import plugins
from boxoffice.cli.printing import terminal
from boxoffice.errors import BoxofficeError
from boxoffice.settings import Settings, load

DATA_DIR = Path(".boxoffice")

DataDir = Annotated[Path, typer.Option(help="Where the embedded servers keep their data.")]
Host = Annotated[
    str | None,
    typer.Option(help="The address to listen on; `::` is every one, of IPv4 as well."),
]
Port = Annotated[int | None, typer.Option(help="The port to serve on.")]
Workers = Annotated[int | None, typer.Option(help="How many API processes share the port.")]

progress = terminal(stderr=True)


def say(text: str) -> None:
    """Print a step of a command's progress."""
    progress.print(f"… {text}", style="dim", soft_wrap=True)


def settings_of(**options: Any) -> Settings:
    """Return the settings, changed by the options that were given."""
    return load(**{name: value for name, value in options.items() if value is not None})


def addressed_database(data_dir: Path = DATA_DIR) -> Settings:
    """Return settings with the database's address: the given one, else that of a running `up`."""
    settings = settings_of()
    if settings.database.database_url:
        return settings
    return addressed_settings(data_dir)


def addressed_settings(data_dir: Path = DATA_DIR, **options: Any) -> Settings:
    """Return settings with the servers' addresses: the given ones, else those of a running `up`."""
    settings = settings_of(**options)
    if settings.database.database_url and settings.valkey.valkey_url:
        return settings
    running = plugins.server_addresses(data_dir)
    if not running:
        raise BoxofficeError(
            "set BOXOFFICE_DATABASE_URL and BOXOFFICE_VALKEY_URL, or start `boxoffice up` first"
        )
    missing = {name: url for name, url in running.items() if not settings.get(name)}
    return settings.replace(**missing)
