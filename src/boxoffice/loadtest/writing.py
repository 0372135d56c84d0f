"""Carries the command out, and writes what there is to write."""

from pathlib import Path

import msgspec
from rich.console import Console

from boxoffice.loadtest.errors import LoadtestError
from boxoffice.loadtest.model import Run, as_json, from_json
from boxoffice.loadtest.plan import Options
from boxoffice.settings import Settings, load


def carry_out(options: Options, report_from: Path | None, console: Console) -> int:
    """Run, or read an earlier run, write its report, and return the exit code."""
    from boxoffice.loadtest import service  # noqa: PLC0415 — a report alone needs no servers

    earlier = read(options.baseline) if options.baseline else None
    if report_from is not None:
        run = read(report_from)
    else:
        run = service.run(options, _settings(options), console)
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "report.json").write_bytes(as_json(run))
    _ = earlier
    console.print(f"{options.out}")
    return 0 if run.is_passed else 1


def _settings(options: Options) -> Settings | None:
    """Return the addresses of a running installation's servers, where they are told."""
    settings = load() if options.url else None
    return settings if settings is not None and settings.database_url else None


def read(path: Path) -> Run:
    """Read an earlier run; raise `LoadtestError` where there is none."""
    try:
        return from_json(path.read_bytes())
    except (OSError, msgspec.MsgspecError) as error:
        raise LoadtestError(f"{path} is no report.json of a load test: {error}") from error
