"""The rules of the code: imports, SQL table ownership, names, sizes, and descriptions."""

import ast
import itertools
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
from tests.support import house

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src"
PRODUCT = SOURCE / "boxoffice"
FEATURES = sorted(
    folder.name
    for folder in PRODUCT.iterdir()
    if (folder / "__init__.py").exists() and folder.name not in house.FOUNDATION
)
MODULES = sorted(SOURCE.rglob("*.py"))
# Tests, benchmarks and fault injection: the code beside the product.
BESIDE = sorted(
    path
    for folder in ("tests", "bench", "faults", "drills", "dashboards", "release")
    for path in (ROOT / folder).rglob("*.py")
)
# The book of a simulator is a database of its own.
STATEMENTS = sorted(
    path for path in SOURCE.rglob("*.sql") if "boxoffice_simulators" not in path.parts
)
FORBIDDEN = house.forbidden_imports(FEATURES)

# The composition root names stores; seeding writes people and tokens in bulk.
NAMES_STORES = {
    "boxoffice/app.py",
    "boxoffice/app_cashier.py",
    "boxoffice/app_parts.py",
    "boxoffice/cli/seeding.py",
}


def _name(path: Path) -> str:
    return path.relative_to(SOURCE).as_posix()


def _path(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def _module(path: Path) -> str:
    """Return the module of the product, or the package beside it, that a file is part of."""
    package, *rest = path.relative_to(SOURCE).parts
    return rest[0] if package == "boxoffice" else package


@pytest.mark.parametrize("path", MODULES, ids=_name)
def test_a_file_imports_only_what_its_place_allows(path: Path) -> None:
    assert house.import_faults(_name(path), _text(path), FORBIDDEN) == []


def test_no_features_import_each_other_in_a_circle() -> None:
    assert house.import_cycle({_name(path): _text(path) for path in MODULES}) == []


def test_a_circle_of_imports_is_found() -> None:
    files = {
        "boxoffice/seats/a.py": "from boxoffice.catalog.paths import SCHEDULE",
        "boxoffice/catalog/b.py": "from boxoffice.platform import ids",
    }
    assert house.import_cycle(files) == []
    files["boxoffice/catalog/c.py"] = "from boxoffice import seats"
    assert set(house.import_cycle(files)) == {"catalog", "seats"}


@pytest.mark.parametrize("path", MODULES, ids=_name)
def test_a_store_is_called_by_its_own_module_only(path: Path) -> None:
    if _name(path) not in NAMES_STORES:
        assert house.foreign_stores(_name(path), _text(path)) == []


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("boxoffice/reservations/rules.py", "import asyncio"),
        ("boxoffice/payments/ledger.py", "from time import monotonic"),
        ("boxoffice/payments/rules.py", "from boxoffice.platform.postgres import database"),
        ("boxoffice/catalog/service.py", "import httptools.parser"),
        ("boxoffice/seats/feed/service.py", "from boxoffice.http.streams import Streams"),
        ("boxoffice/catalog/store.py", "from boxoffice.batching import GroupCommit"),
        ("boxoffice/catalog/organizer_routes.py", "import asyncpg"),
        ("boxoffice/platform/ids.py", "from boxoffice.seats import layout"),
        ("boxoffice/http/streams.py", "import boxoffice.reservations.rules"),
        ("boxoffice/observability/logs.py", "from boxoffice.http import streams"),
        (
            "boxoffice/observability/metrics.py",
            "from boxoffice.platform.clock import DatabaseClock",
        ),
        ("boxoffice/cli/main.py", "def up():\n    from boxoffice_embedded import up"),
        ("boxoffice/app.py", "import boxoffice_loadtest.commands"),
        ("boxoffice_embedded/up.py", "import boxoffice_loadtest"),
        ("boxoffice_embedded/up.py", "import boxoffice_simulators.server"),
        ("boxoffice/payments/providers/toss.py", "import boxoffice_simulators.toss"),
        ("boxoffice_simulators/toss/wire.py", "from boxoffice.payments.providers import port"),
        ("boxoffice_loadtest/service.py", "from boxoffice.seats import layout"),
        ("boxoffice_loadtest/analysis/costs.py", "import os"),
        ("boxoffice/web/routes.py", "from boxoffice.payments import rules"),
        ("boxoffice/audit/service.py", "from boxoffice.payments import rules"),
    ],
)
def test_a_forbidden_import_is_found(name: str, line: str) -> None:
    assert house.import_faults(name, line, FORBIDDEN)
    assert not house.import_faults(name, "from boxoffice.errors import Problem", FORBIDDEN)


def test_the_store_of_another_module_is_found() -> None:
    line = "from boxoffice.payments.store import PaymentStore"
    assert house.foreign_stores("boxoffice/reservations/service.py", line)
    assert not house.foreign_stores("boxoffice/payments/service.py", line)


@pytest.mark.parametrize("path", STATEMENTS, ids=_name)
def test_a_module_writes_its_own_tables_only(path: Path) -> None:
    assert house.table_faults(_module(path), _text(path)) == []


def test_every_table_has_one_owner() -> None:
    sources = [*sorted((ROOT / "migrations").glob("*.sql")), *STATEMENTS]
    created = set().union(*(house.created_tables(_text(path)) for path in sources))
    owned = [table for tables in house.TABLES.values() for table in tables]
    assert len(owned) == len(set(owned))
    assert set(owned) == created
    assert set(house.TABLES) <= {*FEATURES, *house.FOUNDATION}


def test_every_exception_to_the_ownership_is_needed() -> None:
    written = {
        (_module(path), table) for path in STATEMENTS for table in house.written_tables(_text(path))
    }
    assert set(house.WRITES_BESIDE) <= written


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO users (id) VALUES (1)",
        "insert\n  into users SELECT 1",
        "UPDATE users SET name = 'x'",
        "WITH a AS (UPDATE users u SET name = 'x' RETURNING 1) SELECT 1",
        "UPDATE ONLY users AS u\nSET name = 'x'",
        "DELETE FROM users WHERE true",
        "MERGE INTO users USING x ON true WHEN MATCHED THEN DO NOTHING",
        "TRUNCATE TABLE users",
    ],
)
def test_a_write_into_a_foreign_table_is_found(statement: str) -> None:
    assert house.table_faults("seats", statement) == ["users"]
    assert house.table_faults("accounts", statement) == []


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT 1 FROM users FOR UPDATE SKIP LOCKED",
        "SELECT 1 FROM users u FOR NO KEY UPDATE OF u",
        "-- UPDATE users SET name = 'x'\nSELECT 1",
        "INSERT INTO seats VALUES (1) ON CONFLICT (id) DO UPDATE SET name = 'x'",
    ],
)
def test_a_read_is_no_write(statement: str) -> None:
    assert house.table_faults("seats", statement) == []


def test_no_class_name_means_two_things() -> None:
    folders = (SOURCE, ROOT / "bench", ROOT / "faults", ROOT / "drills", ROOT / "release")
    paths = [path for folder in folders for path in folder.rglob("*.py")]
    twice = house.names_twice({str(path.relative_to(ROOT)): _text(path) for path in paths})
    assert twice == {}


def test_a_class_name_used_twice_is_found() -> None:
    files = {"a.py": "class One: pass", "b.py": "def f():\n    class One: pass", "c.py": "One = 1"}
    assert house.names_twice(files) == {"One": ["a.py", "b.py"]}


def test_no_package_is_a_long_list_of_files() -> None:
    assert house.flat_packages(map(_name, MODULES)) == {}


def test_a_flat_package_is_found() -> None:
    names = [f"a/{number}.py" for number in range(12)]
    assert house.flat_packages([*names, "a/__init__.py", "a/b/c.py"]) == {}
    assert house.flat_packages([*names, "a/13.py"]) == {"a": 13}


@pytest.mark.parametrize("path", [*MODULES, *BESIDE], ids=_path)
def test_files_and_functions_are_short(path: Path) -> None:
    assert house.long_parts(_text(path)) == []


def test_a_long_file_and_a_long_function_are_found() -> None:
    function = "async def f():\n" + "    pass\n" * 60
    assert house.long_parts(function) == ["f: 61 lines"]
    assert house.long_parts(function.replace("    pass\n", "", 1)) == []
    assert house.long_parts("x = 1\n" * 501) == ["501 lines"]
    assert house.long_parts("x = 1\n" * 500) == []


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
        if "platform" in path.parts or _name(path).startswith("boxoffice/app"):
            continue
        assert not {"asyncpg.create_pool", "redis.asyncio.Redis"} & set(house.imports(_text(path)))


def test_only_one_file_makes_consoles() -> None:
    """A console of rich interprets markup in what it prints, unless it is configured not to."""
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
            assert f'"{name}"' in code, f"{path.name}: {name} is not used"


@pytest.mark.parametrize("path", sorted(SOURCE.rglob("*.lua")), ids=lambda p: p.name)
def test_lua_scripts_say_what_they_touch(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.startswith("--")
    assert "KEYS" in text.split("\n\n")[0] + text.split("\n\n")[1]


def test_every_module_and_public_name_says_what_it_is_for() -> None:
    silent = []
    for path in MODULES:
        if _name(path).startswith("boxoffice/errors/") or path.name == "errors.py":
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
    links = [
        (document, path, anchor)
        for document in documents
        for path, anchor in _links(document.read_text(encoding="utf-8"))
    ]
    assert any(anchor for _, _, anchor in links)
    broken = [link for link in links if not _leads_somewhere(*link)]
    assert not broken


def _links(text: str) -> list[tuple[str, str]]:
    """Return path and anchor of the links to files of the repository."""
    targets = re.findall(r"\]\(([^)\s]+)", text)
    parts = [target.partition("#") for target in targets if "://" not in target]
    return [(path, anchor) for path, _, anchor in parts]


def _leads_somewhere(document: Path, path: str, anchor: str) -> bool:
    target = document.parent / path if path else document
    if not target.exists() or not anchor:
        return target.exists()
    return target.suffix == ".md" and anchor in _anchors(target.read_text(encoding="utf-8"))


def _anchors(text: str) -> set[str]:
    """Return the anchors that GitHub gives the headings of a document."""
    text = re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)
    anchors: set[str] = set()
    for heading in re.findall(r"^#+ +(.+)$", text, flags=re.MULTILINE):
        shown = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading.strip())
        slug = re.sub(r"[^\w\- ]", "", shown.lower()).replace(" ", "-")
        again = (f"{slug}-{number}" for number in itertools.count(1))
        anchors.add(next(one for one in itertools.chain([slug], again) if one not in anchors))
    return anchors


def test_the_check_of_links_can_fail() -> None:
    text = "# One `two`, three\n## Four\n## Four\n```\n# five\n```\n"
    assert _anchors(text) == {"one-two-three", "four", "four-1"}
    architecture = ROOT / "docs" / "architecture.md"
    assert _leads_somewhere(architecture, "waiting-room.md", "state")
    assert not _leads_somewhere(architecture, "waiting-room.md", "gone")
    assert not _leads_somewhere(architecture, "", "gone")


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
