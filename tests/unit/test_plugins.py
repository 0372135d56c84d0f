"""Commands of packages beside the product are found by name, and imported only when needed."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer

import boxoffice
from boxoffice.cli import main, plugins
from boxoffice.settings import Settings


@pytest.fixture
def found() -> Iterator[None]:
    """Forget which plugins were found, before and after."""
    plugins._modules.cache_clear()
    yield
    plugins._modules.cache_clear()


def _help(*arguments: str) -> str:
    ran = subprocess.run(
        [sys.executable, "-m", "boxoffice", *arguments],
        capture_output=True,
        text=True,
        check=True,
    )
    return ran.stdout


def test_the_help_lists_the_commands_of_all_packages() -> None:
    shown = _help("--help")
    for name in ("serve", "rotate-keys", "up", "demo", "loadtest", "simulate"):
        assert f" {name} " in shown


@pytest.mark.parametrize("name", ["up", "demo", "loadtest", "simulate", "serve"])
def test_each_command_describes_itself(name: str) -> None:
    assert f"boxoffice {name}" in _help(name, "--help")


def test_a_role_imports_no_plugin() -> None:
    program = (
        "import sys; sys.argv = ['boxoffice', 'sweep', '--help']\n"
        "from boxoffice.cli.main import main\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "print([name for name in sys.modules if name.startswith('boxoffice_')])"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert ran.stdout.splitlines()[-1] == "[]"


@pytest.mark.usefixtures("found")
def test_without_plugins_there_are_the_products_commands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "boxoffice").mkdir()
    monkeypatch.setattr(boxoffice, "__file__", str(tmp_path / "boxoffice" / "__init__.py"))
    app = typer.Typer()
    plugins.register(app)
    plugins.check_serving(Settings())
    assert not app.registered_commands
    assert plugins.server_addresses(tmp_path) == {}


@pytest.mark.usefixtures("found")
def test_a_package_with_commands_is_a_plugin(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "boxoffice").mkdir()
    for name, text in {
        "boxoffice_probe": "def register(app):\n    app.command('probe')(lambda: None)\n",
        "boxoffice_silent": "",
    }.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").touch()
        if text:
            (tmp_path / name / "commands.py").write_text(text)
    monkeypatch.setattr(boxoffice, "__file__", str(tmp_path / "boxoffice" / "__init__.py"))
    monkeypatch.syspath_prepend(str(tmp_path))
    app = typer.Typer()
    plugins.register(app)
    assert [one.name for one in app.registered_commands] == ["probe"]


def test_commands_of_the_product_are_known_by_their_names() -> None:
    assert main._is_own(["rotate-keys"])
    assert not main._is_own(["up"])
    assert not main._is_own([])
