"""The command `boxoffice loadtest`; slow imports are inside the function."""

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

QuickOption = Annotated[bool, typer.Option("--quick", help="Short scenarios, about 90 s.")]
LangOption = Annotated[str, typer.Option(help="The report's language: en or ko.")]
OutOption = Annotated[Path | None, typer.Option(help="Folder of the report.")]
UrlOption = Annotated[str, typer.Option(help="URL of a running shop to test.")]
TokensOption = Annotated[
    Path | None, typer.Option(help="With --url: the file of `boxoffice seed --tokens`.")
]
ScheduleOption = Annotated[str, typer.Option(help="With --url: id of the schedule.")]
ScenariosOption = Annotated[
    str, typer.Option(help="Some of lookup,reserve,pay,onsale,spike,steps,queue,soak.")
]
PeopleOption = Annotated[int, typer.Option(min=10, help="Users to seed.")]
HallOption = Annotated[int, typer.Option(min=60, help="Seats on sale in each scenario.")]
RateOption = Annotated[float, typer.Option(min=0.01, help="Multiplies all arrival rates.")]
WorkersOption = Annotated[int, typer.Option(min=1, max=64, help="API processes.")]
SoakSOption = Annotated[float, typer.Option(min=5, help="Seconds of a soak.")]
ValidateOption = Annotated[
    bool | None, typer.Option(help="Validate the prediction; on in full runs.")
]
CpuShareOption = Annotated[float, typer.Option(min=0.05, max=1, help="Cores for the validation.")]
TargetRpsOption = Annotated[float, typer.Option(min=1, help="Required throughput.")]
PeakRpsOption = Annotated[float | None, typer.Option(min=1, help="Peak to size for.")]
ExpectUsersOption = Annotated[int, typer.Option(min=0, help="Users of an expected sale.")]
SeatsOption = Annotated[int, typer.Option(min=1, help="Seats of that sale.")]
SellOutSOption = Annotated[float, typer.Option(min=1, help="Seconds until it is sold out.")]
BaselineOption = Annotated[Path | None, typer.Option(help="report.json of an earlier run.")]
DataDirOption = Annotated[Path | None, typer.Option(help="Data of the embedded servers.")]
ReportFromOption = Annotated[
    Path | None, typer.Option("--from", help="Write the report from this report.json.")
]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(loadtest)


def loadtest(  # noqa: PLR0913 — each is an option of the command
    *,
    quick: QuickOption = False,
    lang: LangOption = "en",
    out: OutOption = None,
    url: UrlOption = "",
    tokens: TokensOption = None,
    schedule: ScheduleOption = "",
    scenarios: ScenariosOption = "",
    people: PeopleOption = 4_000,
    hall: HallOption = 1_000,
    rate: RateOption = 1.0,
    workers: WorkersOption = 2,
    soak_s: SoakSOption = 900,
    validate: ValidateOption = None,
    cpu_share: CpuShareOption = 0.2,
    target_rps: TargetRpsOption = 88,
    peak_rps: PeakRpsOption = None,
    expect_users: ExpectUsersOption = 0,
    seats: SeatsOption = 20_000,
    sell_out_s: SellOutSOption = 60,
    baseline: BaselineOption = None,
    data_dir: DataDirOption = None,
    report_from: ReportFromOption = None,
) -> None:
    """Run an on-sale under load with k6 and write a report; exit 1 if a threshold fails."""
    from boxoffice_loadtest import output  # noqa: PLC0415 — costs time
    from boxoffice_loadtest.model import ExpectedSale  # noqa: PLC0415 — costs time
    from boxoffice_loadtest.runner.plan import Options  # noqa: PLC0415 — costs time

    sale = None
    if expect_users:
        sale = ExpectedSale(users=expect_users, seats=seats, sell_out_s=sell_out_s)
    options = Options(
        out=out or REPORTS / f"{datetime.now():%Y-%m-%dT%H-%M-%S}",  # noqa: DTZ005 — local time for a folder name
        lang=_language(lang),
        is_quick=quick,
        url=url,
        tokens=tokens,
        schedule_id=_uuid(schedule),
        scenarios=_scenario_names(scenarios),
        people=people,
        seats=hall,
        rate=rate,
        workers=workers,
        soak_s=soak_s,
        validate=validate,
        cpu_share=cpu_share,
        target_per_s=target_rps,
        peak_per_s=peak_rps,
        sale=sale,
        baseline=baseline,
        data_dir=data_dir,
        command=shlex.join(["boxoffice", *sys.argv[1:]]),
    )
    console = terminal(stderr=True)
    raise typer.Exit(output.execute(options, report_from, console))


def _scenario_names(text: str) -> tuple[str, ...]:
    from boxoffice_loadtest.runner.plan import ALL  # noqa: PLC0415 — costs time

    names = tuple(name.strip() for name in text.split(",") if name.strip())
    unknown = [name for name in names if name not in ALL]
    if unknown:
        raise typer.BadParameter(f"{unknown[0]} is not one of {', '.join(ALL)}")
    return names


def _language(tag: str) -> str:
    """Return the primary language subtag (RFC 5646): `ko` for `ko-KR`, `kok` for `kok-IN`."""
    lang = tag.replace("_", "-").partition("-")[0].lower()
    if lang not in LANGUAGES:
        raise typer.BadParameter(f"--lang is one of {', '.join(LANGUAGES)}")
    return lang


def _uuid(text: str) -> UUID | None:
    if not text:
        return None
    try:
        return UUID(text)
    except ValueError:
        raise typer.BadParameter(f"--schedule is an id like {UUID(int=0)}, not {text!r}") from None
