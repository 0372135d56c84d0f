"""Which files are generated, and whether they are up to date."""

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from clients.generator import python, typescript
from clients.generator.model import Api

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "python" / "src" / "boxoffice_client"
TYPESCRIPT = ROOT / "typescript" / "boxoffice.ts"


def generated(document: Mapping[str, Any]) -> dict[Path, str]:
    """Return the text of each generated file."""
    api = Api(document)
    return {
        PACKAGE / "types.py": _formatted(python.types(api)),
        PACKAGE / "client.py": _formatted(python.client(api)),
        PACKAGE / "__init__.py": _formatted(python.package(api)),
        TYPESCRIPT: typescript.module(api),
    }


def stale(document: Mapping[str, Any]) -> list[Path]:
    """Return the files that differ from what the document says."""
    return [
        path
        for path, text in generated(document).items()
        if not path.exists() or path.read_text(encoding="utf-8") != text
    ]


def write(document: Mapping[str, Any]) -> list[Path]:
    """Write the files that differ, and return them."""
    texts = generated(document)
    found = stale(document)
    for path in found:
        path.write_text(texts[path], encoding="utf-8")
    return found


def _formatted(text: str) -> str:
    """Return a module as the linter wants it: sorted imports, none unused."""
    sorted_text = _ruff(text, "check", "--fix-only", "--select", "F401,I")
    return _ruff(sorted_text, "format", "--line-length", "100")


def _ruff(text: str, *arguments: str) -> str:
    argv = [sys.executable, "-m", "ruff", *arguments, "--quiet", "-"]
    done = subprocess.run(argv, input=text, capture_output=True, text=True, check=True, cwd=ROOT)  # noqa: S603 - fixed
    return done.stdout
