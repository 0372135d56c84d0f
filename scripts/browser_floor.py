"""List what browsers learned after the oldest ones that the pages work in.

    python scripts/browser_floor.py data.json > tests/unit/web/newer_than_floor.txt

`data.json` is that of MDN's browser-compat-data (CC0). A name is listed where it is new wherever it
occurs: one that an older interface has too cannot be told apart without types.
"""

import json
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

FLOOR = {"safari_ios": (16, 4), "chrome": (111,), "firefox": (115,)}


def version(text: object) -> tuple[int, ...] | None:
    """Return a version as numbers; None where there is none."""
    try:
        return tuple(int(part) for part in str(text).lstrip("≤").split("."))
    except ValueError:
        return None


def is_newer(compat: dict[str, Any]) -> bool:
    """Say whether a browser at the floor lacks it, or has it in part or behind a flag."""
    for browser, oldest in FLOOR.items():
        found = compat["support"].get(browser, {})
        statement = found[0] if isinstance(found, list) else found
        hidden = ("flags", "prefix", "alternative_name")
        added = version(statement.get("version_added"))
        if added is None or added > oldest or any(name in statement for name in hidden):
            return True
    return False


def features(
    node: dict[str, Any], path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], bool]]:
    """Yield each feature by its path, and whether it is new."""
    if "__compat" in node:
        yield path, is_newer(node["__compat"])
    for name, inner in node.items():
        if name != "__compat" and isinstance(inner, dict):
            yield from features(inner, (*path, name))


def scripts(data: dict[str, Any]) -> Iterator[str]:
    """Yield `Name` of globals, `Name.member` of statics and `.member` of what instances have."""
    members: dict[str, set[bool]] = defaultdict(set)
    for root in (data["api"], data["javascript"]["builtins"]):
        for path, new in features(root):
            if len(path) == 1 and new and path[0][0].isupper():
                yield path[0]
            if len(path) == 2 and path[1].endswith("_static") and new:
                yield f"{path[0]}.{path[1].removesuffix('_static')}"
            elif len(path) == 2 and path[1].isidentifier() and path[0] != path[1]:
                members[path[1]].add(new)
    yield from (f".{name}" for name, news in members.items() if news == {True})


def styles(data: dict[str, Any]) -> Iterator[str]:
    """Yield `name:` of properties, `:name` of selectors and `@name` of rules."""
    for kind, shape in (("properties", "{}:"), ("selectors", ":{}"), ("at-rules", "@{}")):
        for path, new in features(data["css"][kind]):
            if len(path) == 1 and new:
                yield shape.format(path[0])


def main() -> None:
    data = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    print("\n".join(sorted({*scripts(data), *styles(data)})))


if __name__ == "__main__":
    main()
