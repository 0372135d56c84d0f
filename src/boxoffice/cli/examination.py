"""The command `boxoffice doctor`."""

import asyncio
import sys
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from boxoffice.cli.context import addressed_database
from boxoffice.cli.printing import printable
from boxoffice.errors import SettingsInvalid


def doctor(
    pods: Annotated[int | None, typer.Option(min=1, help="How many pods are to serve.")] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Processes of each pod.")] = None,
    values: Annotated[
        Path | None,
        typer.Option(
            help="The chart's values in JSON, as the load test writes them; - reads them."
        ),
    ] = None,
    prometheus: Annotated[str, typer.Option(help="The address of Prometheus.")] = "",
    backup_age_max_h: Annotated[
        float, typer.Option(min=0.1, help="Hours that the newest backup may be old.")
    ] = 26,
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False,
) -> None:
    """Examine the installation before a sale, and say what to do; exit 1 if a check failed."""
    from boxoffice.doctor import diagnosis, service, sizing  # noqa: PLC0415 — costs time
    from boxoffice.doctor.facts import Fleet  # noqa: PLC0415 — costs time

    settings = addressed_database()
    fleet = Fleet(pods or 1, workers or settings.server.workers)
    if values is not None:
        fleet = sizing.fleet_of(_content(values), pods, workers)
    wanted = service.Examination(fleet, prometheus, backup_age_max_h * 3_600)
    found = asyncio.run(service.examine(settings, wanted))
    if as_json:
        document = {"ok": diagnosis.is_fit(found), "findings": found}
        sys.stdout.write(msgspec.json.format(msgspec.json.encode(document)).decode() + "\n")
    else:
        lines = [*diagnosis.render(found), diagnosis.summary(found)]
        sys.stdout.write("".join(printable(line) + "\n" for line in lines))
    raise typer.Exit(0 if diagnosis.is_fit(found) else 1)


def _content(values: Path) -> bytes:
    if values == Path("-"):
        return sys.stdin.buffer.read()
    try:
        return values.read_bytes()
    except OSError as error:
        raise SettingsInvalid(f"{values} has no values of the chart: {error}") from error
