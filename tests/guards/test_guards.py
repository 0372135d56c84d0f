"""The list of guards fits the source, leaves nothing out, and a sample of it is put to the proof."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import asyncpg
import msgspec
import pytest

from boxoffice.audit import store
from boxoffice.platform.postgres.database import Database
from boxoffice.platform.valkey import Valkey, ValkeyAway
from faults.guards import (
    ROOT,
    GuardsUnclear,
    Listing,
    Removal,
    declared,
    misfits,
    removals,
    span,
    undeclared,
    without,
)
from faults.mutants import Tree, TrialBroken, copied_tree, nonsense
from tests.conftest import Servers

# What looks and tells, and decides nothing about a seat, a person's place or money; a test of its own
# notices each check of the audit that finds nothing any more.
LOOK_ONLY = {
    "boxoffice/audit/queries.sql": "each check is a guard as a whole",
    "boxoffice/audit/runs.sql": "when the audit runs",
    "boxoffice/audit/snapshot.sql": "that one audit runs at a time",
    "boxoffice/sales_stats/queries.sql": "sales statistics for the organizer; whose they are is listed",
    "boxoffice_loadtest/measurement/queries.sql": "figures of a measurement",
    "boxoffice/platform/postgres/migrations.sql": "what the schema lacks",
    "boxoffice/platform/postgres/queries.sql": "the clock, the sessions, an empty message",
    "boxoffice/platform/postgres/runtime_role.sql": "who may do what; a test tries all of it",
    "boxoffice/cli/seeding.sql": "the demo",
    "boxoffice_embedded/demo.sql": "the demo",
}
FILES = [
    path
    for pattern in ("**/*.sql", "**/*.lua")
    for path in sorted(ROOT.glob(f"src/{pattern}"))
    if path.relative_to(ROOT / "src").as_posix() not in LOOK_ONLY
]

# One of each kind; `make faults` takes all of them away, one after the other.
SAMPLE = [
    "hold: only free seats",
    "decide: a seat is won once in a batch",
    "pay: nothing after its end",
    "pay: there is enough in the wallet",
    "charge: a repetition is replayed",
    "token: the signature of our own spelling",
    "audit: one_live_ticket_per_seat",
]


def _texts(listing: Listing) -> dict[str, str]:
    files = {part.file for part in listing.part}
    return {file: (ROOT / file).read_text(encoding="utf-8") for file in files}


def test_every_guard_is_in_the_source_once() -> None:
    listing = declared()
    assert misfits(listing, _texts(listing)) == []
    known = removals(listing, store.names())
    guards = [name for name in known if not name.startswith("audit: ")]
    print(f"{len(guards)} guards and {len(store.names())} checks of the audit")
    assert len(known) == len(guards) + len(store.names())


def test_every_guard_names_tests_that_exist() -> None:
    wanted = {word.partition("::")[0] for one in removals(declared()).values() for word in one.red}
    assert [path for path in wanted if not (ROOT / path).exists()] == []


@pytest.mark.parametrize("path", FILES, ids=lambda path: "/".join(path.parts[-3:]))
def test_every_line_that_decides_is_a_guard_or_says_why_not(path: Path) -> None:
    file = path.relative_to(ROOT).as_posix()
    assert undeclared(file, path.read_text(encoding="utf-8"), declared()) == []


def test_what_is_not_listed_is_there() -> None:
    assert [name for name in LOOK_ONLY if not (ROOT / "src" / name).exists()] == []


def test_a_new_condition_is_noticed() -> None:
    """The control of the one before."""
    file = "src/boxoffice/reservations/functions.sql"
    text = (ROOT / file).read_text(encoding="utf-8")
    more = text.replace(
        "    IF closed > 0 THEN\n", "    IF closed > 7 THEN\n    IF closed > 0 THEN\n"
    )
    [line] = undeclared(file, more, declared())
    assert line.endswith("IF closed > 7 THEN")
    assert len(undeclared(file, text, Listing(part=()))) > 100


def test_what_is_not_there_or_there_twice_is_unclear() -> None:
    removal = Removal("g", "x.sql", "", "AND a", "", ("tests",))
    with pytest.raises(GuardsUnclear, match="0 times"):
        without("WHERE b", removal)
    with pytest.raises(GuardsUnclear, match="2 times"):
        without("WHERE b AND a AND a", removal)
    assert without("WHERE b AND a;", removal) == "WHERE b ;"
    removal = Removal("g", "x.sql", "", "AND a = $2", "", ("tests",))
    with pytest.raises(GuardsUnclear, match=r"\['\$2'\]"):
        without("WHERE b = $1 AND a = $2;", removal)
    assert without("WHERE b = $2 AND a = $2;", removal) == "WHERE b = $2 ;"
    with pytest.raises(GuardsUnclear, match="0 parts"):
        span("-- name: one\n", "x.sql", "other")


def test_a_list_that_says_nothing_useful_is_refused() -> None:
    def listing(*guards: dict[str, object]) -> Listing:
        part = {"file": "x.sql", "guard": list(guards)}
        return msgspec.convert({"part": [part]}, Listing)

    one: dict[str, object] = {"name": "a", "old": "x", "red": ["tests"]}
    assert set(removals(listing(one))) == {"a"}
    with pytest.raises(GuardsUnclear, match="two guards"):
        removals(listing(one, one))
    with pytest.raises(GuardsUnclear, match="nobody notices"):
        removals(listing({"name": "a", "old": "x"}))
    with pytest.raises(GuardsUnclear, match="stands behind"):
        removals(listing({**one, "behind": ["b"]}))


def test_the_audits_checks_are_guards_of_their_own() -> None:
    [removal] = removals(Listing(part=()), ["wallet_is_not_negative"]).values()
    text = (ROOT / removal.file).read_text(encoding="utf-8")
    assert without(text, removal).count("LIMIT 0") == 1


@pytest.fixture(scope="module")
def tree(servers: Servers) -> Iterator[Tree]:
    """A copy of the tree whose tests use this run's servers, with a template of their own."""
    with copied_tree() as copy:
        copy.servers = {
            "BOXOFFICE_TEST_DATABASE_URL": servers.database_url,
            "BOXOFFICE_TEST_VALKEY_URL": servers.valkey_url,
            "BOXOFFICE_TEST_TEMPLATE": "boxoffice_template_of_guards",
        }
        yield copy


def _without_one(removal: Removal, known: Mapping[str, Removal]) -> str:
    """The text of a removal's part when it and those before it are gone."""
    text = (ROOT / removal.file).read_text(encoding="utf-8")
    for one in (*(known[name] for name in removal.behind), removal):
        if one.file == removal.file:
            text = without(text, one)
    start, end = span(text, removal.file, removal.part)
    return text[start:end]


async def test_what_is_left_of_a_statement_or_a_script_is_one(db: Database, valkey: Valkey) -> None:
    """A removal that breaks the text would be noticed by everybody, and prove nothing."""
    known = removals(declared(), store.names())
    texts = {name: _without_one(one, known) for name, one in known.items()}
    for name, text in texts.items():
        if (file := known[name].file).endswith(".lua"):
            await valkey.command("SCRIPT", "LOAD", text)
        elif file.endswith("queries.sql"):
            async with db.connection() as connection:
                await connection.prepare(text)


async def test_a_broken_statement_and_a_broken_script_are_refused(
    db: Database, valkey: Valkey
) -> None:
    """The control of the one before."""
    with pytest.raises(ValkeyAway):
        await valkey.command("SCRIPT", "LOAD", "return {")
    async with db.connection() as connection:
        with pytest.raises(asyncpg.UndefinedColumnError):
            await connection.prepare("SELECT user_id FROM users WHERE no_such_column")


@pytest.mark.parametrize("name", SAMPLE)
def test_a_guard_that_is_taken_away_is_missed(name: str, tree: Tree) -> None:
    known = removals(declared(), store.names())
    trial = tree.trial([known[name]], known[name].red)
    assert trial.noticed, trial.printed
    print(f"{name}: {trial.red} in {trial.seconds:.1f} s")


def test_with_every_guard_in_place_the_same_tests_are_green(tree: Tree) -> None:
    known = removals(declared(), store.names())
    tests = sorted({test for name in SAMPLE for test in known[name].red if " " not in test})
    trial = tree.trial([], tests)
    assert not trial.noticed, trial.printed


def test_tests_that_do_not_run_are_no_verdict(tree: Tree) -> None:
    with pytest.raises(TrialBroken):
        tree.trial([], ["tests/nowhere"])
    with pytest.raises(TrialBroken):
        tree.trial([], ["tests/reservations/test_hold.py -k nothing_of_that_name"])


_HOLD_SQL = "src/boxoffice/reservations/functions.sql"
_HOLD = "reservations_hold_v3"
_CLAIM_LUA = "src/boxoffice/reservations/lua/claim.lua"
_HOLD_TESTS = ["tests/reservations/test_hold.py"]


@pytest.mark.parametrize(
    ("removal", "says"),
    [
        (
            Removal("slip", _HOLD_SQL, _HOLD, "FOR UPDATE OF s", "FOR UPDATE OF", _HOLD_TESTS),
            "PostgresSyntaxError",
        ),
        (
            Removal("slip", _HOLD_SQL, _HOLD, "s.status = 'OPEN'", "s.state = 'OPEN'", _HOLD_TESTS),
            "UndefinedColumnError",
        ),
        (Removal("slip", _CLAIM_LUA, "", "local mine = {}", "local mine = {", ()), "no script"),
    ],
)
def test_a_broken_text_is_no_guard_that_is_missed(tree: Tree, removal: Removal, says: str) -> None:
    """The control: these trials end red, or are never begun, and none of it is a guard's doing."""
    with pytest.raises(TrialBroken, match=says):
        tree.trial([removal], removal.red)


def test_what_is_nonsense_and_what_is_a_finding() -> None:
    assert nonsense(
        "E       asyncpg.exceptions.UndefinedFunctionError: function f() does not exist"
    )
    assert nonsense("    | asyncpg.exceptions.PostgresSyntaxError: syntax error at end of input")
    assert nonsense("E   NameError: name 'now' is not defined")
    assert nonsense("E   redis.exceptions.ResponseError: Error compiling script (new function)")
    # An audit in the end of a fixture, a constraint behind a guard, and a test that is about class 42.
    assert not nonsense("ERROR tests/x.py::test - AssertionError: one_live_ticket_per_seat: 1")
    assert not nonsense("E   asyncpg.exceptions.UniqueViolationError: duplicate key value")
    assert not nonsense("E   asyncpg.exceptions.InsufficientPrivilegeError: permission denied")
    assert not nonsense(">       with pytest.raises(asyncpg.UndefinedColumnError): ...")
