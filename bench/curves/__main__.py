"""`python -m bench.curves`: measure how the cost of a hold grows, and write the page of it."""

import sys
import tempfile
import time
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from bench.curves import page
from bench.curves.laws import CurvePoint
from bench.curves.measuring import QUICK, CurveSizes, measured
from bench.environment import machine
from bench.environment.environment import running_environment
from bench.measurement.runner import RunProgress
from bench.scenarios.scenario import Sizes

_FULL_SIZES = Sizes(holds=4_000, open_s=8.0, huge=True)
_QUICK_SIZES = Sizes(holds=200, open_s=1.0, huge=False)

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


class CurveDocument(msgspec.Struct):
    """What is measured, as it is kept in a file."""

    about: dict[str, str]
    curves: dict[str, list[CurvePoint]]


@app.command()
def main(
    quick: Annotated[
        bool, typer.Option("--quick", help="Few points and requests, to check that it works.")
    ] = False,
    runs: Annotated[int, typer.Option(min=1, help="Runs per point; medians count.")] = 2,
    json: Annotated[Path | None, typer.Option(help="Where to write the points.")] = None,
    points: Annotated[
        Path | None, typer.Option(help="Write the page of these points, without a measurement.")
    ] = None,
    write: Annotated[
        Path | None, typer.Option(help="The folder of the page `costs.md` and its charts.")
    ] = None,
) -> None:
    """Measure the curves and write them; without --write, print the page."""
    if points is None:
        document = _measure(quick=quick, runs=1 if quick else runs)
    else:
        document = msgspec.json.decode(points.read_bytes(), type=CurveDocument)
    if json is not None:
        json.write_bytes(msgspec.json.format(msgspec.json.encode(document)))
    text = page.markdown(document.curves, document.about)
    if write is None:
        print(text)
        return
    folder = write / page.IMAGES
    folder.mkdir(parents=True, exist_ok=True)
    (write / "costs.md").write_text(text, encoding="utf-8")
    for name, image in page.images(document.curves).items():
        (folder / name).write_text(image, encoding="utf-8")


def _measure(*, quick: bool, runs: int) -> CurveDocument:
    started_at = time.monotonic()
    sizes, curve_sizes = (_QUICK_SIZES, QUICK) if quick else (_FULL_SIZES, CurveSizes())
    with tempfile.TemporaryDirectory(prefix="boxoffice-bench-", ignore_cleanup_errors=True) as home:
        about = machine.about("bench.curves")
        folder = Path(home)
        with running_environment(folder / "servers") as servers:
            curves = measured(servers, sizes, curve_sizes, folder, runs, _show)
    about["load after"] = machine.load_average()
    about["took"] = f"{time.monotonic() - started_at:.0f} s"
    return CurveDocument(about, curves)


def _show(step: RunProgress) -> None:
    print(f"… {step.done}/{step.total} {step.text}", file=sys.stderr)


if __name__ == "__main__":
    app()
