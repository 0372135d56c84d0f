"""The command `boxoffice loadtest`; what costs time is imported when it runs."""

import shlex
import sys
from datetime import datetime
from pathlib import Path
from typing import Annotated
from uuid import UUID

import typer

from boxoffice.cli.printing import terminal

REPORTS = Path("loadtest-report")
LANGUAGES = ("en", "ko")


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(loadtest)


def loadtest(  # noqa: PLR0913 — each is an option of the command
    *,
    quick: Annotated[bool, typer.Option("--quick", help="Short: done within 90 s.")] = False,
    lang: Annotated[str, typer.Option(help="The report's language: en or ko.")] = "en",
    out: Annotated[Path | None, typer.Option(help="The folder of the report.")] = None,
    url: Annotated[str, typer.Option(help="Test this running installation.")] = "",
    tokens: Annotated[
        Path | None, typer.Option(help="With --url: the file of `boxoffice seed --tokens`.")
    ] = None,
    schedule: Annotated[str, typer.Option(help="With --url: the id of the schedule.")] = "",
    scenarios: Annotated[
        str, typer.Option(help="Some of lookup,reserve,pay,onsale,spike,steps,soak.")
    ] = "",
    people: Annotated[int, typer.Option(min=10, help="People to seed.")] = 4_000,
    hall: Annotated[int, typer.Option(min=60, help="Seats on sale in each scenario.")] = 1_000,
    rate: Annotated[float, typer.Option(min=0.01, help="A factor on all arrivals.")] = 1.0,
    workers: Annotated[int, typer.Option(min=1, max=64, help="API processes.")] = 2,
    soak_s: Annotated[float, typer.Option(min=5, help="How long a soak takes.")] = 900,
    check: Annotated[
        bool | None, typer.Option(help="Put the forecast to the test; a full run does.")
    ] = None,
    cpu_share: Annotated[float, typer.Option(min=0.05, max=1, help="Cores for that test.")] = 0.2,
    target_rps: Annotated[float, typer.Option(min=1, help="The throughput to reach.")] = 88,
    peak_rps: Annotated[float | None, typer.Option(min=1, help="The peak to size for.")] = None,
    expect_users: Annotated[int, typer.Option(min=0, help="People of a sale to come.")] = 0,
    seats: Annotated[int, typer.Option(min=1, help="The seats of that sale.")] = 20_000,
    sell_out_s: Annotated[float, typer.Option(min=1, help="How long it may take.")] = 60,
    baseline: Annotated[Path | None, typer.Option(help="The report.json of a run before.")] = None,
    data_dir: Annotated[Path | None, typer.Option(help="Where the servers keep data.")] = None,
    report_from: Annotated[
        Path | None, typer.Option("--from", help="Write the report of this report.json anew.")
    ] = None,
) -> None:
    """Test a sale under load with k6, and write a report that audits itself; exit 1 if it fails."""
    from boxoffice_loadtest import output  # noqa: PLC0415 — costs time
    from boxoffice_loadtest.model import Sale  # noqa: PLC0415 — costs time
    from boxoffice_loadtest.runner.plan import ALL, Options  # noqa: PLC0415 — costs time

    names = tuple(name.strip() for name in scenarios.split(",") if name.strip())
    unknown = [name for name in names if name not in ALL]
    if unknown:
        raise typer.BadParameter(f"{unknown[0]} is not one of {', '.join(ALL)}")
    lang = _primary(lang)
    if lang not in LANGUAGES:
        raise typer.BadParameter(f"--lang is one of {', '.join(LANGUAGES)}")
    options = Options(
        out=out or REPORTS / f"{datetime.now():%Y-%m-%dT%H-%M-%S}",  # noqa: DTZ005 — a name for people
        lang=lang,
        is_quick=quick,
        url=url,
        tokens=tokens,
        schedule_id=_uuid(schedule),
        scenarios=names,
        people=people,
        seats=hall,
        rate=rate,
        workers=workers,
        soak_s=soak_s,
        check=check,
        share=cpu_share,
        target_per_s=target_rps,
        peak_per_s=peak_rps,
        sale=Sale(users=expect_users, seats=seats, sell_out_s=sell_out_s) if expect_users else None,
        baseline=baseline,
        data_dir=data_dir,
        command=shlex.join(["boxoffice", *sys.argv[1:]]),
    )
    console = terminal(stderr=True)
    raise typer.Exit(output.carry_out(options, report_from, console))


def _primary(tag: str) -> str:
    """Return the subtag that names a language (RFC 5646): `ko` for `ko-KR`, and `kok` for `kok-IN`."""
    return tag.replace("_", "-").partition("-")[0].lower()


def _uuid(text: str) -> UUID | None:
    if not text:
        return None
    try:
        return UUID(text)
    except ValueError:
        raise typer.BadParameter(f"--schedule is an id like {UUID(int=0)}, not {text!r}") from None
