"""Carries the command out: run or read, write the report, and say where it is."""

import shutil
from collections.abc import Iterable
from pathlib import Path

import msgspec
from rich.console import Console

from boxoffice.settings import Settings, load
from boxoffice_loadtest.errors import LoadtestError
from boxoffice_loadtest.model import Run, Verdict, as_json, from_json
from boxoffice_loadtest.report import manifests, report
from boxoffice_loadtest.report.texts import load as texts
from boxoffice_loadtest.runner.plan import Options

_MANIFESTS, _VALUES = "kubernetes.yaml", "values.yaml"


def carry_out(options: Options, report_from: Path | None, console: Console) -> int:
    """Run, or read an earlier run, write the report, and return the exit code."""
    earlier = read(options.baseline) if options.baseline else None
    run = read(report_from) if report_from is not None else _run(options, console)
    write(run, options.out, options.lang, earlier)
    tell(run, options.out, options.lang, console)
    return 0 if run.is_passed else 1


def _run(options: Options, console: Console) -> Run:
    from boxoffice_loadtest import service  # noqa: PLC0415 — costs time

    is_ours = not options.out.exists()
    try:
        return service.run(options, _settings(options), console)
    except BaseException:
        if is_ours:
            shutil.rmtree(options.out, ignore_errors=True)
        raise
    finally:
        # The tokens let their reader act for people, and the servers' data is of no use to anybody.
        (options.out / "raw" / "tokens.jsonl").unlink(missing_ok=True)
        shutil.rmtree(options.out / "raw" / "servers", ignore_errors=True)


def _settings(options: Options) -> Settings | None:
    """Return the addresses of a running installation's servers, where they are told."""
    settings = load() if options.url else None
    return settings if settings is not None and settings.database.database_url else None


def read(path: Path) -> Run:
    """Read an earlier run; raise `LoadtestError` where there is none."""
    try:
        return from_json(path.read_bytes())
    except (OSError, msgspec.MsgspecError) as error:
        raise LoadtestError(f"{path} is no report.json of a load test: {error}") from error


def write(run: Run, folder: Path, lang: str, earlier: Run | None = None) -> None:
    """Write the report, its data, and the manifests where there are figures for them."""
    folder.mkdir(parents=True, exist_ok=True)
    run = _with_manifests(run, folder)
    (folder / "report.json").write_bytes(as_json(run))
    (folder / "report.html").write_text(report.as_html(run, lang, earlier), encoding="utf-8")
    (folder / "report.md").write_text(report.as_markdown(run, lang, earlier), encoding="utf-8")


def _with_manifests(run: Run, folder: Path) -> Run:
    if run.spec is None:
        return run
    made = manifests.documents(run.spec)
    comment = (
        f"From the load test {run.run_id} of {run.started_at}, for a peak of "
        f"{run.spec.peak_per_s:,.0f} answers per second.\n"
        "The addresses of PostgreSQL and Valkey come from a Secret named boxoffice, with the keys\n"
        "DATABASE_URL and VALKEY_URL."
    )
    (folder / _MANIFESTS).write_text(manifests.as_yaml(made, comment), encoding="utf-8")
    values = manifests.as_yaml([manifests.values(run.spec)], comment)
    (folder / _VALUES).write_text(values, encoding="utf-8")
    return msgspec.structs.replace(run, manifests=validate(made))


def validate(documents: Iterable[dict[str, object]]) -> str:
    """Return `valid VERSION`, `invalid SENTENCE`, or nothing where kubernetes-validate is missing."""
    try:
        import kubernetes_validate  # noqa: PLC0415 — an extra
    except ImportError:
        return ""
    found: str = kubernetes_validate.latest_version()
    for one in documents:
        try:
            kubernetes_validate.validate(one, found, strict=True)
        except kubernetes_validate.ValidationError as error:
            return f"invalid {one['kind']}: {error.message}"
    return f"valid {found}"


def tell(run: Run, folder: Path, lang: str, console: Console) -> None:
    """Say how it ended, line by line, and in the last lines where the report is."""
    from boxoffice_loadtest.report.sections import summary  # noqa: PLC0415 — costs time

    t = texts(lang)
    for one in run.verdicts:
        style = {"PASS": "green", "FAIL": "red"}.get(one.outcome, "dim")
        console.print(_line(one, summary.metric(one, t)), style=style, soft_wrap=True)
    if run.stopped is not None:
        console.print(
            t("partial", reason=summary.reason(run.stopped, t)), style="red", soft_wrap=True
        )
    failed = sum(one.outcome == "FAIL" for one in run.verdicts)
    counted = sum(one.outcome != "NOTE" for one in run.verdicts)
    if failed:
        console.print(t("failed", count=failed, total=counted), style="bold red")
    elif run.stopped is None:
        console.print(t("passed"), style="bold green")
    for name in ("report.html", "report.md", "report.json", _MANIFESTS, _VALUES):
        if (folder / name).exists():
            console.print(f"  {folder / name}", soft_wrap=True, highlight=False)


def _line(one: Verdict, name: str) -> str:
    return f"{one.outcome:<5} {name}: {one.measured} ({one.target})"
