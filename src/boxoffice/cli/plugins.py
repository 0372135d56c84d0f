"""Packages beside the product that add commands.

A plugin is a package `boxoffice_*` in the folder that holds `boxoffice`, with a module `commands`. The
product finds it by that name, and imports it nowhere else. The module has `register(app)`, and may have
`server_addresses(data_dir)`, `server_programs()` and `check_serving(settings)`.
"""

import pkgutil
from collections.abc import Mapping
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

import typer

import boxoffice
from boxoffice.settings import Settings

_PREFIX = "boxoffice_"


def register(app: typer.Typer) -> None:
    """Let every plugin add its commands."""
    for module in _modules():
        module.register(app)


def server_addresses(data_dir: Path) -> Mapping[str, str]:
    """Return the settings that address the servers a plugin runs on `data_dir`; empty if none does."""
    for module in _modules():
        if hasattr(module, "server_addresses"):
            found: Mapping[str, str] = module.server_addresses(data_dir)
            if found:
                return found
    return {}


def server_programs() -> Path | None:
    """Return the folder of the PostgreSQL programs that a plugin brings; None where none does."""
    for module in _modules():
        if hasattr(module, "server_programs"):
            found: Path | None = module.server_programs()
            if found is not None:
                return found
    return None


def check_serving(settings: Settings) -> None:
    """Let every plugin refuse to serve with these settings, with a `BoxofficeError`."""
    for module in _modules():
        if hasattr(module, "check_serving"):
            module.check_serving(settings)


@cache
def _modules() -> list[ModuleType]:
    folder = Path(boxoffice.__file__).parents[1]
    found = pkgutil.iter_modules([str(folder)])
    names = sorted(one.name for one in found if one.ispkg and one.name.startswith(_PREFIX))
    modules = [f"{name}.commands" for name in names]
    return [import_module(module) for module in modules if find_spec(module)]
