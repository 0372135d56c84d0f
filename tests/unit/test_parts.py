"""What the wheel depends on: private parts of others are pinned, and nothing comes for nothing."""

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "boxoffice"
# Modules without an underscore that their documentation does not promise.
UNDOCUMENTED = ("prometheus_client.mmap_dict", "redis._parsers")
PACKAGES = {
    "prometheus_client": "prometheus-client",
    "jwt": "pyjwt",
    "argon2": "argon2-cffi",
    "nacl": "pynacl",
}


def _requirements() -> dict[str, str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    named = [re.fullmatch(r"([a-z0-9-]+)(.*)", one) for one in project["dependencies"]]
    return {one[1]: one[2] for one in named if one is not None}


def _imported() -> Iterator[tuple[str, str]]:
    for path in SOURCE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                yield from ((path.name, one.name) for one in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                yield from ((path.name, f"{node.module}.{one.name}") for one in node.names)


def private_parts(imported: Iterator[tuple[str, str]]) -> dict[str, set[str]]:
    """Return what is imported that is private, by package."""
    found: dict[str, set[str]] = {}
    for _file, name in imported:
        top = name.partition(".")[0]
        is_private = any(part.startswith("_") and part != "__future__" for part in name.split("."))
        if top not in ("boxoffice", "__future__") and (is_private or name.startswith(UNDOCUMENTED)):
            found.setdefault(PACKAGES.get(top, top), set()).add(name)
    return found


def test_whose_private_parts_are_used_is_pinned_exactly() -> None:
    wanted = _requirements()
    found = private_parts(_imported())
    assert "prometheus-client" in found, "the search finds what there is"
    for package, names in found.items():
        assert re.fullmatch(r"==\d+(\.\d+)*", wanted[package]), f"{package}: {sorted(names)}"


@pytest.mark.parametrize("name", ["asyncpg._x.y", "redis.asyncio._z"])
def test_the_search_can_fail(name: str) -> None:
    assert private_parts(iter([("x.py", name)]))
    assert not private_parts(iter([("x.py", "asyncpg.pool.Pool")]))


def test_what_is_pinned_is_what_is_locked() -> None:
    lock = (ROOT / "requirements" / "run.lock").read_text(encoding="utf-8")
    for package, wanted in _requirements().items():
        if wanted.startswith("=="):
            assert re.search(rf"^{package}{re.escape(wanted)} ", lock, re.MULTILINE), package


@pytest.mark.parametrize("package", ["jinja2", "pyyaml", "swagger-ui-py", "markupsafe"])
def test_the_api_reference_brings_no_package_along(package: str) -> None:
    lock = (ROOT / "requirements" / "run.lock").read_text(encoding="utf-8")
    assert f"\n{package}==" not in f"\n{lock}"


def test_a_part_of_one_feature_is_loaded_by_that_feature_alone() -> None:
    asked = "import sys, boxoffice.app; print(*{'PIL', 'nacl', 'xlsxwriter'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True)
    assert done.stdout == "\n"


def test_the_venues_time_zone_needs_no_files_of_the_system() -> None:
    asked = "import zoneinfo; print(zoneinfo.TZPATH, zoneinfo.ZoneInfo('Asia/Seoul'))"
    without = {"PYTHONTZPATH": ""}
    done = subprocess.run(
        [sys.executable, "-c", asked], env=without, capture_output=True, text=True, check=False
    )
    assert done.stdout == "() Asia/Seoul\n", done.stderr
