"""Named SQL statements: each module keeps its statements in `queries.sql`.

A statement starts with `-- name: identifier`, continues with comment lines that describe it, and ends
where the next one starts.
"""

from collections.abc import Mapping
from importlib.resources import files
from types import MappingProxyType
from typing import TypeAlias

from boxoffice.errors import IntegrityError

_MARK = "-- name:"


# The statements of one module by name.
Queries: TypeAlias = Mapping[str, str]


def load(package: str, name: str = "queries.sql") -> Queries:
    """Read the statements of `package`; raise `IntegrityError` for a nameless or repeated one."""
    return parse(read(package, name), f"{package}/{name}")


def read(package: str, name: str) -> str:
    """Return the text of a file that belongs to `package`."""
    return files(package).joinpath(name).read_text(encoding="utf-8")


def parse(text: str, source: str) -> Queries:
    """Split `text` into its statements."""
    head, *blocks = ("\n" + text).split("\n" + _MARK)
    if any(line.strip() and not line.startswith("--") for line in head.splitlines()):
        raise IntegrityError(f"{source} has a statement before its first name")
    statements: dict[str, str] = {}
    for block in blocks:
        name, _, body = block.partition("\n")
        name = name.strip()
        if not name.isidentifier() or name in statements:
            raise IntegrityError(f"{source} has a nameless or repeated statement: {name!r}")
        if not body.lstrip().startswith("--"):
            raise IntegrityError(f"{source}: {name} has no description")
        statements[name] = _without_comments(body)
    return MappingProxyType(statements)


def _without_comments(body: str) -> str:
    lines = [line for line in body.splitlines() if not line.lstrip().startswith("--")]
    return "\n".join(lines).strip().rstrip(";")
