"""The rules of the house, held by tests: what a file may know, and that nothing is undescribed."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from boxoffice.app import describe
from boxoffice.errors import Problem
from boxoffice.http.api.statuses import STATUSES, every_problem
from boxoffice.platform.postgres import sql_files
from boxoffice.settings import SECTION_OF

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src"
PRODUCT = SOURCE / "boxoffice"
# What every module of a feature stands on; the other folders of the product are its features.
FOUNDATION = {"batching", "cli", "http", "observability", "platform"}
FEATURES = sorted(
    folder.name
    for folder in PRODUCT.iterdir()
    if (folder / "__init__.py").exists() and folder.name not in FOUNDATION
)
MODULES = sorted(SOURCE.rglob("*.py"))

IO = {
    "asyncio", "asyncpg", "redis", "socket", "subprocess", "os", "time", "random", "secrets",
    "structlog", "logging", "falcon", "uvicorn", "prometheus_client",
}  # fmt: skip

# Which modules (by file name, or by room for what is alike) must not import which.
FORBIDDEN: list[tuple[str, set[str]]] = [
    (r"boxoffice/(\w+/)+(rules|ledger|shuffle)\.py",
     IO | {"boxoffice.platform.postgres", "boxoffice.platform.valkey", "boxoffice.http",
           "boxoffice.observability"}),
    (r"boxoffice/(\w+)/service\.py", {"falcon", "uvicorn", "boxoffice.http", "asyncpg"}),
    (r"boxoffice/(\w+)/store\.py", {"falcon", "boxoffice.http", "boxoffice.batching"}),
    (r"boxoffice/(\w+)/(\w+_)?routes\.py", {"asyncpg", "redis", "boxoffice.platform.postgres",
                                            "boxoffice.platform.valkey"}),
    (r"boxoffice/(platform|observability|batching|http)/.*\.py",
     {f"boxoffice.{feature}" for feature in FEATURES} | {"boxoffice.app", "boxoffice.cli"}),
    (r"boxoffice/(platform|observability)/.*\.py", {"boxoffice.http", "boxoffice.batching"}),
    (r"boxoffice/.*\.py", {"boxoffice_embedded", "boxoffice_loadtest"}),
    # It looks at the shop from outside, as a buyer does, and what it concludes it can be asked about.
    (r"boxoffice_loadtest/.*\.py", {"boxoffice.catalog", "boxoffice.seats", "boxoffice.reservations",
                                   "boxoffice.payments"}),
    (r"boxoffice_loadtest/(analysis|report)/.*\.py", IO),
    (r"boxoffice_loadtest/(runner/plan|measurement/records)\.py", IO),
    # It shows what the API says, and decides nothing.
    (r"boxoffice/web/.*\.py", {f"boxoffice.{feature}" for feature in FEATURES if feature != "web"}),
    (r"boxoffice/audit/.*\.py", {f"boxoffice.{feature}" for feature in FEATURES if feature != "audit"}),
]  # fmt: skip


def _imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{name.name}" for name in node.names)


def _name(path: Path) -> str:
    return path.relative_to(SOURCE).as_posix()


@pytest.mark.parametrize("path", MODULES, ids=_name)
def test_a_file_imports_only_what_its_place_allows(path: Path) -> None:
    imported = set(_imports(path))
    for pattern, forbidden in FORBIDDEN:
        if re.fullmatch(pattern, _name(path)):
            broken = {
                name
                for name in imported
                for prefix in forbidden
                if name == prefix or name.startswith(prefix + ".")
            }
            assert not broken, f"{_name(path)} must not import {sorted(broken)}"


@pytest.mark.parametrize("path", MODULES, ids=_name)
def test_a_store_is_called_by_its_own_module_only(path: Path) -> None:
    if _name(path) in {"boxoffice/app.py", "boxoffice/cli/seeding.py"}:
        return
    for name in _imports(path):
        store = re.match(r"boxoffice\.(\w+)\.store\b", name)
        if store:
            # Types of another module's rows may be read, its statements may not be run.
            own = f"boxoffice/{store[1]}/"
            assert _name(path).startswith(own), f"{_name(path)} imports {name}"


def test_the_import_rules_can_fail() -> None:
    (pattern, forbidden), *_ = FORBIDDEN
    assert re.fullmatch(pattern, "boxoffice/reservations/rules.py")
    assert "asyncio" in forbidden


def test_a_deployment_loads_nothing_of_the_embedded_servers() -> None:
    program = (
        "import sys, boxoffice.app, boxoffice.cli.serve, boxoffice.http.server.server\n"
        "import boxoffice.reservations.sweeper, boxoffice.outbox.relay\n"
        "print(sorted(name for name in sys.modules if name.startswith('boxoffice_embedded')))"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert ran.stdout.strip() == "[]"


def test_only_the_composition_root_names_concrete_servers() -> None:
    for path in MODULES:
        if "platform" in path.parts or _name(path) == "boxoffice/app.py":
            continue
        assert not {"asyncpg.create_pool", "redis.asyncio.Redis"} & set(_imports(path))


def test_only_one_file_makes_consoles() -> None:
    """A console of rich takes what it prints for markup, unless it is told otherwise."""
    for path in MODULES:
        text = path.read_text(encoding="utf-8")
        if _name(path) != "boxoffice/cli/printing.py":
            assert not re.search(r"\b(Console|TextColumn)\(", text), _name(path)


def test_every_problem_has_one_code_and_one_status() -> None:
    problems = list(every_problem())
    codes = [problem.code for problem in problems]
    assert len(codes) == len(set(codes))
    assert set(codes) == set(STATUSES)
    for problem in problems:
        assert problem.title.endswith("."), problem
        assert issubclass(problem, Problem)


def test_every_problem_can_be_answered_by_some_documented_call() -> None:
    text = str(describe()["paths"])
    internal = {"draining", "method_not_allowed", "not_found", "outcome_unknown"}
    missing = {code for code in STATUSES if f"`{code}`" not in text} - internal
    assert not missing


@pytest.mark.parametrize("path", sorted(SOURCE.rglob("*.sql")), ids=lambda p: p.name)
def test_sql_files_are_named_and_described(path: Path) -> None:
    if path.name == "functions.sql":
        names = re.findall(r"CREATE OR REPLACE FUNCTION (\w+)", path.read_text(encoding="utf-8"))
        assert names
        assert all(re.search(r"_v\d+$", name) for name in names), "names carry a version"
    elif "-- name:" in path.read_text(encoding="utf-8"):
        assert sql_files.parse(path.read_text(encoding="utf-8"), path.name)


def test_every_named_statement_is_used() -> None:
    for path in SOURCE.rglob("*.sql"):
        text = path.read_text(encoding="utf-8")
        if "-- name:" not in text or path.parent.name == "audit":
            continue
        code = "".join(p.read_text(encoding="utf-8") for p in path.parent.glob("*.py"))
        for name in sql_files.parse(text, path.name):
            assert f'"{name}"' in code, f"{path.name}: nobody uses {name}"


@pytest.mark.parametrize("path", sorted(SOURCE.rglob("*.lua")), ids=lambda p: p.name)
def test_lua_scripts_say_what_they_touch(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.startswith("--")
    assert "KEYS" in text.split("\n\n")[0] + text.split("\n\n")[1]


def test_every_module_and_public_name_says_what_it_is_for() -> None:
    silent = []
    for path in MODULES:
        if _name(path) == "boxoffice/errors.py":
            continue  # a title is what an error says of itself; another test wants one of each
        tree = ast.parse(path.read_text(encoding="utf-8"))
        if not ast.get_docstring(tree):
            silent.append(_name(path))
        silent += [f"{_name(path)}:{node.name}" for node in _public(tree) if not _describes(node)]
    assert not silent


Described = ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def _public(tree: ast.Module) -> Iterator[Described]:
    """Yield the public classes and functions of a module and the public members of the classes."""
    for node in tree.body:
        if not isinstance(node, Described) or node.name.startswith("_"):
            continue
        yield node
        if isinstance(node, ast.ClassDef):
            members = (child for child in node.body if isinstance(child, Described))
            yield from (member for member in members if not member.name.startswith("_"))


def _describes(node: Described) -> bool:
    is_stub = not isinstance(node, ast.ClassDef) and isinstance(node.body[0], ast.Expr)
    return bool(ast.get_docstring(node)) or is_stub


def test_every_setting_is_documented() -> None:
    text = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    missing = [name for name in SECTION_OF if f"BOXOFFICE_{name.upper()}" not in text]
    assert not missing


def test_documents_link_to_what_exists() -> None:
    documents = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    broken = []
    for document in documents:
        targets = re.findall(r"\]\(([^)#\s]+)", document.read_text(encoding="utf-8"))
        broken += [
            f"{document.name}: {target}"
            for target in targets
            if "://" not in target and not (document.parent / target).exists()
        ]
    assert documents
    assert not broken


def test_the_korean_twin_has_the_same_shape() -> None:
    def shape(name: str) -> list[str]:
        text = (ROOT / name).read_text(encoding="utf-8")
        return [line.split(" ")[0] for line in text.splitlines() if re.match(r"#+ |```", line)]

    assert shape("README.md") == shape("README.ko.md")


def test_lock_files_pin_with_hashes_and_name_no_index() -> None:
    for path in (ROOT / "requirements").glob("*.lock"):
        text = path.read_text(encoding="utf-8")
        assert "--hash=sha256:" in text
        assert "://" not in text
        assert "index-url" not in text
        for line in text.splitlines():
            if re.match(r"[a-z0-9]", line):
                assert "==" in line, f"{path.name}: {line}"
