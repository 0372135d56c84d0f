"""The guards: marked lines of the source that decide, how each is taken away, and which tests notice.

A marker is a comment above the line that it names, in SQL, Lua or Python:

    -- guard: NAME                  the line is deleted
    -- guard: NAME => CODE          the line becomes CODE
    -- guard: NAME: OLD => NEW      within the line, OLD becomes NEW (which may be empty)
    -- guard: NAME { => CODE        all lines up to `-- guard: }` are deleted, or become CODE
    -- no guard: REASON             the line looks like a guard, and why no test notices its absence
    -- no guard: { REASON           the same for all lines up to `-- guard: }`

Markers above one line all name that line. `tests.toml` maps guards to the tests that must fail.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

ROOT = Path(__file__).parents[2]
FILE = Path(__file__).with_name("tests.toml")
SOURCE = ROOT / "src"
AUDIT = "src/boxoffice/audit/queries.sql"
_SUFFIXES = (".sql", ".lua", ".py")

_COMMENT = re.compile(r"\s*(?:--|#)")
_MARKER = re.compile(r"\s*(?:--|#) (?P<no>no )?guard:(?: (?P<text>.*))?$")
_GUARD = re.compile(r"(?P<name>\w+)(?P<block> \{)?(?:: (?P<old>\S.*?))?(?: =>(?: (?P<new>.*))?)?$")
_BLOCK_END = "}"
# A line of SQL or Lua with one of these decides something.
_DECIDES = re.compile(
    r"\b(WHERE|AND|OR|IF|ELSIF|WHEN|ON|HAVING|BETWEEN|EXCEPT|FILTER|FOR UPDATE|FOR NO KEY UPDATE"
    r"|SKIP LOCKED|RAISE|LIMIT|DISTINCT|ROW_COUNT|ON CONFLICT|if|elseif|while|or|and)\b"
    r"|pg_(try_)?advisory"
)
_DECIDES_NOTHING = re.compile(r"\s*(--|END IF;|CREATE OR REPLACE FUNCTION)")
_PARAMETER = re.compile(r"\$\d+")
_PARTS = {
    ".sql": re.compile(
        r"^(?:CREATE OR REPLACE FUNCTION (?P<function>\w+)|-- name: *(?P<name>\w+))", re.MULTILINE
    ),
    ".lua": re.compile(r"(?!)"),
    ".py": re.compile(r"^(?:class |def |async def )(?P<name>\w+)", re.MULTILINE),
}


class GuardsUnclear(ValueError):
    """A marker cannot be read or applied, or the table of tests does not fit the markers."""


@dataclass(frozen=True)
class Guard:
    """One guard: lines `first` to `last` (from 0, exclusive) become `new`, or in them `old` does."""

    name: str
    file: str
    part: str
    first: int
    last: int
    old: str | None = None
    new: str = ""


@dataclass(frozen=True)
class Exemption:
    """Proxies that look like a guard, and why nothing but speed or clarity is lost without them."""

    first: int
    last: int
    why: str


@dataclass(frozen=True)
class Marked:
    """What the markers of one file say."""

    guards: Sequence[Guard]
    exemptions: Sequence[Exemption]


@dataclass(frozen=True)
class Removal:
    """A guard to take away: one of the tests in `red` must fail.

    `behind` names guards that would notice the same: they are taken away first, and the tests have to
    stay green until this one is gone too.
    """

    guard: Guard
    red: Sequence[str]
    behind: Sequence[str] = ()

    @property
    def name(self) -> str:
        """The guard's name."""
        return self.guard.name

    @property
    def file(self) -> str:
        """The guard's file, relative to the repository."""
        return self.guard.file


class MarkerTable(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All of `tests.toml`.

    `red` has tests by guard, by `file::part` or by file; the most precise entry holds. A part is a
    function of SQL, a named statement, or a class or function of Python.
    """

    red: Mapping[str, Sequence[str]]
    behind: Mapping[str, Sequence[str]] = {}


def table(file: Path = FILE) -> MarkerTable:
    """Read the table; raise `GuardsUnclear` where it is not one."""
    try:
        return msgspec.toml.decode(file.read_bytes(), type=MarkerTable)
    except (msgspec.MsgspecError, ValueError) as error:
        raise GuardsUnclear(f"{file.name}: {error}") from error


def marked_tree() -> list[Guard]:
    """Return the guards of all source files."""
    paths = (path for path in sorted(SOURCE.rglob("*")) if path.suffix in _SUFFIXES)
    return [
        guard
        for path in paths
        for guard in marked(path.relative_to(ROOT).as_posix(), path.read_text("utf-8")).guards
    ]


def marked(file: str, text: str) -> Marked:
    """Read the markers of a file; raise `GuardsUnclear` for one that cannot be read."""
    lines = text.splitlines()
    guards, exemptions = [], []
    for at, line in enumerate(lines):
        found = _MARKER.match(line)
        if found is None or found["text"] == _BLOCK_END:
            continue
        words = found["text"] or ""
        if found["no"]:
            first, last = _target(file, lines, at, is_block=words.startswith("{ "))
            exemptions.append(Exemption(first, last, words.removeprefix("{ ")))
        else:
            guards.append(_guard(file, text, lines, at, words))
    return Marked(guards, exemptions)


def _guard(file: str, text: str, lines: Sequence[str], at: int, words: str) -> Guard:
    parsed = _GUARD.match(words)
    if parsed is None:
        raise GuardsUnclear(f"{file}:{at + 1}: no marker: {words!r}")
    first, last = _target(file, lines, at, is_block=bool(parsed["block"]))
    part, new = part_at(text, file, at), parsed["new"] or ""
    return Guard(parsed["name"], file, part, first, last, parsed["old"], new)


def _target(file: str, lines: Sequence[str], at: int, *, is_block: bool) -> tuple[int, int]:
    """Return the lines that the marker at a line names: the next of code, or the rest of a block."""
    for last, line in enumerate(lines[at + 1 :], start=at + 1):
        if is_block:
            if (found := _MARKER.match(line)) and found["text"] == _BLOCK_END:
                return at + 1, last
        elif line.strip() and not _COMMENT.match(line):
            return last, last + 1
    raise GuardsUnclear(f"{file}:{at + 1}: the marker names no line")


def removals(
    guards: Iterable[Guard], tests: MarkerTable, checks: Sequence[str] = ()
) -> dict[str, Removal]:
    """Return every removal by the guard's name; `checks` are the audit's, each a guard of its own.

    Raises `GuardsUnclear` for a name that is used twice, a guard without tests, and an entry of the
    table that fits no guard.
    """
    found: dict[str, Removal] = {}
    used: set[str] = set()
    for guard in guards:
        if guard.name in found:
            raise GuardsUnclear(f"two guards are called {guard.name!r}")
        keys = (guard.name, f"{guard.file}::{guard.part}", guard.file)
        key = next((one for one in keys if one in tests.red), None)
        if key is None:
            raise GuardsUnclear(f"no test is named for {guard.name!r}")
        used.add(key)
        found[guard.name] = Removal(guard, tests.red[key], tests.behind.get(guard.name, ()))
    found |= {one.name: one for one in map(_of_check, checks)}
    behind = {name for names in tests.behind.values() for name in names}
    if unknown := (tests.red.keys() - used) | (tests.behind.keys() | behind) - found.keys():
        raise GuardsUnclear(f"the table names no guard: {sorted(unknown)}")
    return found


def known(checks: Sequence[str] = ()) -> dict[str, Removal]:
    """Return every removal of the tree by name."""
    return removals(marked_tree(), table(), checks)


def _of_check(check: str) -> Removal:
    """A check of the audit that finds nothing any more."""
    text = (ROOT / AUDIT).read_text("utf-8")
    guard = in_part(text, f"audit_{check}", AUDIT, check, "LIMIT 20", "LIMIT 0")
    return Removal(
        guard,
        (f"tests/integration/audit/test_audit.py::test_a_seeded_violation_is_found -k {check}__",),
    )


def in_part(text: str, name: str, file: str, part: str, old: str, new: str) -> Guard:
    """Return a guard without a marker: in a part of a file, `old` becomes `new`."""
    first, last = span(text, file, part)
    return Guard(name, file, part, first, last, old, new)


def texts_without(names: Iterable[str]) -> dict[str, str]:
    """Return the texts, by file, of the files that have the guards of these names, without them."""
    all_of_them = known()
    files: dict[str, list[Guard]] = {}
    for name in names:
        files.setdefault(all_of_them[name].file, []).append(all_of_them[name].guard)
    return {
        file: without((ROOT / file).read_text("utf-8"), *guards) for file, guards in files.items()
    }


def without(text: str, *guards: Guard) -> str:
    """Return the text of a file without the guards.

    Raises `GuardsUnclear` for a fragment that is not in its lines once, for two guards that change one
    line, and where a parameter of a statement would be lost: the driver would refuse the call.
    """
    lines = text.splitlines(keepends=True)
    untouched = len(lines)
    for guard in sorted(guards, key=lambda one: one.first, reverse=True):
        if guard.last > untouched:
            raise GuardsUnclear(f"{guard.name!r} and another guard change one line")
        lines[guard.first : guard.last] = [_changed(guard, lines)]
        untouched = guard.first
    left = "".join(lines)
    for guard in guards:
        if lost := _parameters(text, guard) - _parameters(left, guard):
            raise GuardsUnclear(f"{guard.name!r} takes {sorted(lost)} from {guard.part} with it")
    return left


def _changed(guard: Guard, lines: Sequence[str]) -> str:
    before = "".join(lines[guard.first : guard.last])
    if guard.old is None:
        indent = before[: len(before) - len(before.lstrip())]
        return f"{indent}{guard.new}\n" if guard.new else ""
    if (count := before.count(guard.old)) != 1:
        raise GuardsUnclear(f"{guard.name!r}: {guard.old!r} is {count} times in {guard.file}")
    return before.replace(guard.old, guard.new)


def _parameters(text: str, guard: Guard) -> set[str]:
    first, last = span(text, guard.file, guard.part)
    code = (line for line in text.splitlines()[first:last] if not _COMMENT.match(line))
    return {found for line in code for found in _PARAMETER.findall(line)}


def span(text: str, file: str, part: str) -> tuple[int, int]:
    """Return the lines of a part of a file; raise `GuardsUnclear` unless it is there once."""
    count = len(text.splitlines())
    if not part:
        return 0, count
    heads = _heads(text, file)
    places = [at for at, (name, _) in enumerate(heads) if name == part]
    if len(places) != 1:
        raise GuardsUnclear(f"{file} has {len(places)} parts called {part!r}")
    [at] = places
    return heads[at][1], heads[at + 1][1] if at + 1 < len(heads) else count


def part_at(text: str, file: str, at: int) -> str:
    """Return the name of the part in which a line stands; nothing before the first."""
    return next((name for name, first in reversed(_heads(text, file)) if first <= at), "")


def _heads(text: str, file: str) -> list[tuple[str, int]]:
    return [
        (next(filter(None, one.groups())), text.count("\n", 0, one.start()))
        for one in _PARTS[Path(file).suffix].finditer(text)
    ]


def unmarked(file: str, text: str) -> list[str]:
    """Return the lines of a file that decide and are neither marked as a guard nor as none."""
    found = marked(file, text)
    spans = [(one.first, one.last) for one in found.guards]
    spans += [(one.first, one.last) for one in found.exemptions]
    covered = {at for first, last in spans for at in range(first, last)}
    return [
        f"{file}:{at + 1}: {line.strip()}"
        for at, line in enumerate(text.splitlines())
        if at not in covered and _decides(line)
    ]


def _decides(line: str) -> bool:
    return bool(_DECIDES.search(line)) and not _DECIDES_NOTHING.match(line)


def broken_markers(file: str, text: str) -> Iterator[str]:
    """Return what cannot be applied in a file."""
    for guard in marked(file, text).guards:
        try:
            without(text, guard)
        except GuardsUnclear as error:
            yield str(error)
