"""The guards of the shop, as `guards.toml` declares them: what each one is, and how it is taken away.

A guard is a piece of text that decides: a condition of a statement, a lock, a comparison. Taking it
away is one replacement in one file, unique within its part of the file. Pure but for `declared`.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

ROOT = Path(__file__).parents[1]
FILE = Path(__file__).with_name("guards.toml")

# A line of SQL or Lua with one of these decides something.
_DECIDES = re.compile(
    r"\b(WHERE|AND|OR|IF|ELSIF|WHEN|ON|HAVING|BETWEEN|EXCEPT|FILTER|FOR UPDATE|FOR NO KEY UPDATE"
    r"|SKIP LOCKED|RAISE|LIMIT|DISTINCT|ROW_COUNT|ON CONFLICT|if|elseif|while|or|and)\b"
    r"|pg_(try_)?advisory"
)
_SAYS_NOTHING = re.compile(r"\s*(--|END IF;|CREATE OR REPLACE FUNCTION)")
_PARAMETER = re.compile(r"\$\d+")
_PARTS = {
    ".sql": re.compile(
        r"^(?:CREATE OR REPLACE FUNCTION (?P<function>\w+)|-- name: *(?P<name>\w+))", re.MULTILINE
    ),
    ".py": re.compile(r"^(?:class |def |async def )(?P<name>\w+)", re.MULTILINE),
}


class GuardsUnclear(ValueError):
    """The list of guards does not fit the source: a guard is not found, or is there twice."""


class Guard(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One guard: `old` becomes `new`, and one of the tests in `red` must fail.

    `behind` names guards that would notice the same: they are taken away first, and the tests have to
    stay green until this one is gone too.
    """

    name: str
    old: str
    new: str = ""
    red: Sequence[str] = ()
    behind: Sequence[str] = ()


class NoGuard(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A line that looks like a guard, and why taking it away loses nothing but speed or clarity."""

    old: str
    why: str


class Part(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The guards of one function or named statement, or of a whole file where `part` is empty.

    `red` is where its guards are noticed, unless they say it themselves.
    """

    file: str
    part: str = ""
    red: Sequence[str] = ()
    guard: Sequence[Guard] = ()
    no_guard: Sequence[NoGuard] = ()


class Listing(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All of `guards.toml`."""

    part: Sequence[Part]


@dataclass(frozen=True)
class Removal:
    """How one guard is taken away: `old` becomes `new` between two places of a file."""

    name: str
    file: str
    part: str
    old: str
    new: str
    red: Sequence[str]
    behind: Sequence[str] = ()


def declared(file: Path = FILE) -> Listing:
    """Read the list; raise `GuardsUnclear` where it is not one."""
    try:
        return msgspec.toml.decode(file.read_bytes(), type=Listing)
    except (msgspec.MsgspecError, ValueError) as error:
        raise GuardsUnclear(f"{file.name}: {error}") from error


def removals(listing: Listing, checks: Sequence[str] = ()) -> dict[str, Removal]:
    """Return every removal by the guard's name; `checks` are the audit's, each a guard of its own.

    Raises `GuardsUnclear` for a name that is used twice, or one that stands behind nothing known.
    """
    found: dict[str, Removal] = {}
    for one in (*_of_parts(listing), *map(_of_check, checks)):
        if one.name in found:
            raise GuardsUnclear(f"two guards are called {one.name!r}")
        if not one.red:
            raise GuardsUnclear(f"nobody notices {one.name!r}")
        found[one.name] = one
    for one in found.values():
        if unknown := set(one.behind) - found.keys():
            raise GuardsUnclear(f"{one.name!r} stands behind {sorted(unknown)}")
    return found


def _of_parts(listing: Listing) -> Iterator[Removal]:
    for part in listing.part:
        for guard in part.guard:
            yield Removal(
                guard.name,
                part.file,
                part.part,
                guard.old,
                guard.new,
                guard.red or part.red,
                guard.behind,
            )


def _of_check(check: str) -> Removal:
    """A check of the audit that finds nothing any more."""
    return Removal(
        f"audit: {check}",
        "src/boxoffice/audit/queries.sql",
        check,
        "LIMIT 20",
        "LIMIT 0",
        (f"tests/audit/test_audit.py::test_a_planted_violation_is_seen -k {check}__",),
    )


def without(text: str, removal: Removal) -> str:
    """Return the text of a file without the guard.

    Raises `GuardsUnclear` unless it is there once, and where it would take a parameter of a statement
    with it.
    """
    start, end = span(text, removal.file, removal.part)
    body = text[start:end]
    if body.count(removal.old) != 1:
        raise GuardsUnclear(
            f"{removal.name!r} is {body.count(removal.old)} times in {removal.file} {removal.part}:"
            f" {removal.old!r}"
        )
    left = body.replace(removal.old, removal.new)
    # The caller still sends it, and is refused by the driver: no guard's absence would be seen.
    if lost := set(_PARAMETER.findall(body)) - set(_PARAMETER.findall(left)):
        raise GuardsUnclear(f"{removal.name!r} takes {sorted(lost)} from {removal.part} with it")
    return text[:start] + left + text[end:]


def span(text: str, file: str, part: str) -> tuple[int, int]:
    """Return where a part of a file begins and ends; raise `GuardsUnclear` unless it is there once."""
    if not part:
        return 0, len(text)
    heads = [(next(filter(None, one.groups())), one.start()) for one in _heads(text, file)]
    places = [at for at, (name, _) in enumerate(heads) if name == part]
    if len(places) != 1:
        raise GuardsUnclear(f"{file} has {len(places)} parts called {part!r}")
    [at] = places
    return heads[at][1], heads[at + 1][1] if at + 1 < len(heads) else len(text)


def _heads(text: str, file: str) -> list[re.Match[str]]:
    return list(_PARTS[Path(file).suffix].finditer(text))


def undeclared(file: str, text: str, listing: Listing) -> list[str]:
    """Return the lines of a file that decide and are neither a guard nor declared to be none."""
    covered: set[int] = set()
    for part in listing.part:
        if part.file == file:
            start, end = span(text, file, part.part)
            for old in (one.old for some in (part.guard, part.no_guard) for one in some):
                covered |= _lines_of(text, start, end, old)
    return [
        f"{file}:{number}: {line.strip()}"
        for number, line in enumerate(text.splitlines(), start=1)
        if number not in covered and _decides(line)
    ]


def _decides(line: str) -> bool:
    return bool(_DECIDES.search(line)) and not _SAYS_NOTHING.match(line)


def _lines_of(text: str, start: int, end: int, old: str) -> set[int]:
    """The numbers of the lines that `old` touches, wherever it stands in the part."""
    lines: set[int] = set()
    at = text.find(old, start, end)
    while at >= 0:
        first = text.count("\n", 0, at) + 1
        lines |= set(range(first, first + old.strip("\n").count("\n") + 1))
        at = text.find(old, at + 1, end)
    return lines


def misfits(listing: Listing, texts: Mapping[str, str]) -> list[str]:
    """Return what the list says and the source does not have: guards and exceptions alike."""
    wrong = []
    for part in listing.part:
        text = texts[part.file]
        start, end = span(text, part.file, part.part)
        lost = [one.name for one in part.guard if text.count(one.old, start, end) != 1]
        lost += [one.old for one in part.no_guard if one.old not in text[start:end]]
        wrong += [f"{part.part or part.file}: {one!r}" for one in lost]
    return wrong
