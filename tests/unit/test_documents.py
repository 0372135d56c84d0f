"""The documents name only what exists, and their tables agree with the code."""

import ast
import re
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import boxoffice.app  # noqa: F401 - each module that it composes brings its refusals
from boxoffice.http.api.statuses import STATUSES, every_problem
from boxoffice.settings import SECTION_OF, Settings, variable

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src"
PRODUCT = SOURCE / "boxoffice"
ARCHITECTURE = ROOT / "docs" / "architecture.md"
OPERATIONS = ROOT / "docs" / "operations.md"
DECISIONS = sorted((ROOT / "docs" / "decisions").glob("0*.md"))

PATH = re.compile(r"[\w./-]+\.(?:py|sql|lua|js|md|toml)|[\w./-]+/")
MEMBER = re.compile(r"_?[A-Z]\w*\.\w+")
NAME = re.compile(r"_?[A-Za-z]\w+(?:\(\))?")


def _spans(path: Path) -> list[str]:
    """Return what a document sets in backquotes, without its blocks of code."""
    text = re.sub(
        r"^```.*?^```", "", path.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE
    )
    return re.findall(r"`([^`\n]+)`", text)


def _exists(name: str) -> bool:
    """Say whether a path exists: from the root, or from a package; a bare name in any module."""
    if "/" not in name.rstrip("/"):
        return any(base.joinpath(name).exists() for base in (ROOT, SOURCE)) or any(
            PRODUCT.rglob(name.rstrip("/"))
        )
    return any((base / name).exists() for base in (ROOT, SOURCE, PRODUCT))


@cache
def _members() -> frozenset[str]:
    """Return `Class.member` for every class of the source."""
    return frozenset(
        f"{node.name}.{member}"
        for path in SOURCE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ClassDef)
        for member in _names_in(node)
    )


def _names_in(node: ast.ClassDef) -> Iterator[str]:
    for child in node.body:
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            yield child.name
        elif isinstance(child, ast.AnnAssign) and isinstance(child.target, ast.Name):
            yield child.target.id


@cache
def _words() -> frozenset[str]:
    """Return every word of the source and of the migrations."""
    files = [path for base in (SOURCE, ROOT / "migrations") for path in base.rglob("*")]
    texts = (
        path.read_text(encoding="utf-8")
        for path in files
        if path.suffix in {".py", ".sql", ".lua", ".js", ".json"}
    )
    return frozenset(word for text in texts for word in re.findall(r"\w+", text))


def _unknown(span: str) -> bool:
    if PATH.fullmatch(span):
        return not _exists(span)
    if MEMBER.fullmatch(span):
        return span not in _members()
    if NAME.fullmatch(span):
        return span.removesuffix("()") not in _words()
    return False


def test_the_architecture_names_only_files_and_symbols_that_exist() -> None:
    spans = _spans(ARCHITECTURE)
    assert len(spans) > 50
    assert [span for span in spans if _unknown(span)] == []


@pytest.mark.parametrize(
    "span", ["reservations/gone.py", "Reservations.steal", "reservations_hold_v0", "NoSuchClass"]
)
def test_the_check_of_names_can_fail(span: str) -> None:
    assert _unknown(span)


def test_the_places_of_the_architecture_contain_the_line_that_they_quote() -> None:
    """The table names a file and quotes a line of it; there must be exactly one."""
    rows = re.findall(
        r"^\| [^|]+ \| `([^`]+)` \| [^|]+ \| `([^`]+)` \|$",
        ARCHITECTURE.read_text(encoding="utf-8"),
        flags=re.MULTILINE,
    )
    assert len(rows) >= 4
    for name, quoted in rows:
        lines = (PRODUCT / name).read_text(encoding="utf-8").splitlines()
        found = [line for line in lines if quoted in line]
        assert len(found) == 1, f"{name} has {len(found)} lines with {quoted!r}"


def test_the_api_guide_lists_every_problem_with_its_status_and_title() -> None:
    text = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    rows = set(re.findall(r"^\| (\d{3}) \| `(\w+)` \| (.+) \|$", text, flags=re.MULTILINE))
    assert rows == {(str(STATUSES[one.code]), one.code, one.title) for one in every_problem()}


def _default(name: str) -> str:
    """Return the default of a setting as the table writes it."""
    match Settings().get(name):
        case bool() as value:
            return f"`{str(value).lower()}`"
        case int() | float() as value:
            return f"{value:,.10g}" if isinstance(value, float) else f"{value:,}"
        case "":
            return "empty"
        case value:
            return f"`{value}`"


def test_the_settings_table_has_every_setting_with_its_default() -> None:
    text = OPERATIONS.read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(BOXOFFICE_\w+)` \| (.+?) \| .+ \|$", text, flags=re.MULTILINE)
    assert sorted(rows) == sorted((variable(name), _default(name)) for name in SECTION_OF)


def test_the_operations_guide_names_every_log_event() -> None:
    logged = re.compile(r"\blog\.(?:info|warning|error)\(([^,)]+)")
    calls = [
        call
        for path in PRODUCT.rglob("*.py")
        for call in logged.findall(path.read_text(encoding="utf-8"))
    ]
    events = {event for call in calls for event in re.findall(r'"(\w+)"', call)}
    assert len(events) > 40
    assert sorted(events - set(_spans(OPERATIONS))) == []


@pytest.mark.parametrize("path", DECISIONS, ids=lambda path: path.name[:4])
def test_a_decision_names_files_that_exist(path: Path) -> None:
    """Pages about other projects, or of a decision that was replaced, name other files."""
    if "side-by-side" in path.name or "*Superseded by" in path.read_text(encoding="utf-8"):
        return
    names = {span for span in _spans(path) if PATH.fullmatch(span) and "/" in span.rstrip("/")}
    assert sorted(name for name in names if not _exists(name)) == []


# What decisions name and the system no longer has.
REPLACED = re.compile(
    r"\b(Falcon|swift|framework's way|fast path|notices|journal|beat|logbook|charge of a wallet"
    r"|guards\.toml|admit\.lua)\b|`(embedded|loadtest|queue|events)/`"
)


@pytest.mark.parametrize("path", DECISIONS, ids=lambda path: path.name[:4])
def test_a_decision_with_a_replaced_part_says_so_at_its_top(path: Path) -> None:
    """The comparison with other projects and the replacing page itself name old parts as old."""
    text = path.read_text(encoding="utf-8")
    if path.name.startswith(("0024", "0025")) or not REPLACED.search(text):
        return
    top = text.split("\n\n")[1]
    assert "uperseded by" in top or top.startswith("> Changed since: "), REPLACED.findall(text)


# What of a release is written down elsewhere: the tag of the image, the names of files, the chart.
VERSIONS = re.compile(
    r"boxoffice[:-](\d+\.\d+\.\d+)|--commit v(\d+\.\d+\.\d+)|^(?:version|appVersion): \"?([\d.]+)",
    re.MULTILINE,
)


def _versions(text: str) -> set[str]:
    return {one for found in VERSIONS.findall(text) for one in found if one}


def test_every_page_and_file_of_a_deployment_names_this_version() -> None:
    files = [ROOT / "Makefile", *ROOT.glob("README*.md"), *(ROOT / "docs").glob("*.md")]
    files += [path for path in (ROOT / "deploy").rglob("*") if path.is_file()]
    named = {
        str(path.relative_to(ROOT)): found
        for path in files
        if (found := _versions(path.read_text(encoding="utf-8")))
    }
    # The file of compose, the chart, and the pages that build and install.
    assert {"deploy/compose.yaml", "deploy/chart/boxoffice/Chart.yaml", "docs/image.md"} <= set(
        named
    )
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert named == {name: {project["version"]} for name in named}


def test_a_version_that_stayed_behind_is_found() -> None:
    text = (
        'image: boxoffice:0.0.9\nappVersion: "0.0.8"\nmake release RELEASE_ARGS="--commit v0.0.7"'
    )
    assert _versions(text) == {"0.0.9", "0.0.8", "0.0.7"}
