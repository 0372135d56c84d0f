"""Runs the command: run or read a load test, write the report, and print its results."""

import shutil
from pathlib import Path

import msgspec
from rich.console import Console

from boxoffice.settings import Settings, load
from boxoffice_loadtest.errors import LoadtestError
from boxoffice_loadtest.model import (
    FAIL,
    NOTE,
    PASS,
    LoadTestRun,
    as_json,
    from_json,
)
from boxoffice_loadtest.report import helm_values, report
from boxoffice_loadtest.report.texts import load as texts
from boxoffice_loadtest.runner.plan import Options

_VALUES = "values.json"
_STYLES = {PASS: "green", FAIL: "red"}


def execute(options: Options, report_from: Path | None, console: Console) -> int:
    """Run a test, or read an earlier run; write the report and return the exit code."""
    earlier = read(options.baseline) if options.baseline else None
    run = read(report_from) if report_from is not None else _run(options, console)
    write(run, options.out, options.lang, earlier)
    print_results(run, options.out, options.lang, console)
    return 0 if run.is_passed else 1


def _run(options: Options, console: Console) -> LoadTestRun:
    from boxoffice_loadtest import service  # noqa: PLC0415 — costs time

    is_new = not options.out.exists()
    try:
        return service.run(options, _settings(options), console)
    except BaseException:  # Ctrl-C as well leaves no half report
        if is_new:
            shutil.rmtree(options.out, ignore_errors=True)
        raise
    finally:
        # The tokens are credentials, and the servers' data is of no further use.
        (options.out / "raw" / "tokens.jsonl").unlink(missing_ok=True)
        shutil.rmtree(options.out / "raw" / "servers", ignore_errors=True)


def _settings(options: Options) -> Settings | None:
    """Return the settings of a running shop's servers, if they are given."""
    settings = load() if options.url else None
    return settings if settings is not None and settings.database.database_url else None


def read(path: Path) -> LoadTestRun:
    """Read an earlier run; raises `LoadtestError`."""
    try:
        return from_json(path.read_bytes())
    except (OSError, msgspec.MsgspecError) as error:
        raise LoadtestError(f"{path} is no report.json of a load test: {error}") from error


def write(run: LoadTestRun, folder: Path, lang: str, earlier: LoadTestRun | None = None) -> None:
    """Write the report, its data, and values for the chart if there is a deployment."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "report.json").write_bytes(as_json(run))
    (folder / "report.html").write_text(report.as_html(run, lang, earlier), encoding="utf-8")
    (folder / "report.md").write_text(report.as_markdown(run, lang, earlier), encoding="utf-8")
    if run.deployment is not None:
        values = helm_values.values(run.deployment)
        (folder / _VALUES).write_bytes(msgspec.json.format(msgspec.json.encode(values)))


def print_results(run: LoadTestRun, folder: Path, lang: str, console: Console) -> None:
    """Print the thresholds, the result, and the files of the report."""
    from boxoffice_loadtest.report.sections import summary  # noqa: PLC0415 — costs time

    t = texts(lang)
    for one in run.thresholds:
        text = f"{one.outcome:<5} {summary.metric(one, t)}: {one.measured} ({one.target})"
        console.print(text, style=_STYLES.get(one.outcome, "dim"), soft_wrap=True)
    if run.stopped is not None:
        text = t("partial", reason=summary.stop_reason(run.stopped, t))
        console.print(text, style="red", soft_wrap=True)
    failed = sum(one.outcome == FAIL for one in run.thresholds)
    if failed:
        total = sum(one.outcome != NOTE for one in run.thresholds)
        console.print(t("failed", count=failed, total=total), style="bold red")
    elif run.stopped is None:
        console.print(t("passed"), style="bold green")
    for name in ("report.html", "report.md", "report.json", _VALUES):
        if (folder / name).exists():
            console.print(f"  {folder / name}", soft_wrap=True, highlight=False)
