"""`python -m release`: build a release, or look for known vulnerabilities of its parts."""

import sys
import tempfile
from hashlib import sha256
from pathlib import Path
from typing import Annotated

import typer

from release import parts, vulnerabilities, wheel
from release.errors import ReleaseFailed

ROOT = Path(__file__).resolve().parents[1]
_PROGRAMS = Path(sys.prefix) / "release" / "bin"
_VULNERABLE, _NOT_LOOKED_UP = 1, 3

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def build(
    commit: Annotated[str, typer.Option(help="The commit or tag that is released.")] = "HEAD",
    out: Annotated[Path, typer.Option(help="The folder of the files; it is made.")] = Path("dist"),
) -> None:
    """Build the wheel of a commit, the list of its parts, and their digests."""
    try:
        with tempfile.TemporaryDirectory(prefix="boxoffice-release-") as folder:
            wheel.export(ROOT, commit, Path(folder))
            built = wheel.build(ROOT, commit, out)
            listed = out / f"{built.name.removesuffix('-py3-none-any.whl')}.cdx.json"
            parts.write(_PROGRAMS / "cyclonedx-py", Path(folder), listed)
    except ReleaseFailed as failure:
        typer.echo(str(failure), err=True)
        raise typer.Exit(1) from None
    lines = [f"{sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in (built, listed)]
    (out / "SHA256SUMS").write_text("".join(lines))
    typer.echo("".join(lines), nl=False)


@app.command(name="vulnerabilities")
def look(
    timeout_s: Annotated[float, typer.Option(min=1, help="Seconds to wait for answers.")] = 300,
) -> None:
    """Look for known vulnerabilities; exit 1 where there are some, 3 where it could not look."""
    lock = ROOT / "requirements/server.lock"
    found = vulnerabilities.look(_PROGRAMS / "pip-audit", lock, timeout_s)
    for part in found.vulnerable:
        known = ", ".join(
            f"{one.id} (fixed in {', '.join(one.fix_versions) or 'no version'})"
            for one in part.vulns
        )
        typer.echo(f"{part.name} {part.version}: {known}")
    if not found.is_made:
        said = found.failure or f"{len(found.not_looked_up)} parts have no answer"
        typer.echo(f"NOT LOOKED UP: {said}. The check was not made.", err=True)
        raise typer.Exit(_NOT_LOOKED_UP)
    typer.echo(f"{found.looked_up} parts looked up, {len(found.vulnerable)} vulnerable")
    if found.vulnerable:
        raise typer.Exit(_VULNERABLE)


if __name__ == "__main__":
    app()
