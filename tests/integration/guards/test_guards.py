"""The markers of guards can be applied, no deciding line lacks one, and a sample is taken away."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import asyncpg
import pytest

from boxoffice.audit import store
from boxoffice.platform.postgres.database import Database
from boxoffice.platform.valkey import Valkey, ValkeyUnavailable
from faults.guards.markers import (
    ROOT,
    Guard,
    GuardsUnclear,
    MarkerTable,
    Removal,
    broken_markers,
    in_part,
    known,
    marked,
    removals,
    span,
    unmarked,
    without,
)
from faults.guards.mutation import SourceCopy, TrialBroken, broken_text, copied_tree
from tests.conftest import Servers

# Files that only read, and decide nothing about a seat, a place in a queue or money; each check of
# the audit has a test of its own.
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
    "boxoffice_simulators/book.sql": "the book of a simulated provider",
}
FILES = [
    path
    for pattern in ("**/*.sql", "**/*.lua")
    for path in sorted(ROOT.glob(f"src/{pattern}"))
    if path.relative_to(ROOT / "src").as_posix() not in LOOK_ONLY
]

# One of each kind; `make faults` takes all of them away, one after the other.
SAMPLE = [
    "hold_only_free_seats",
    "decide_seat_is_won_once_in_batch",
    "pay_nothing_after_its_end",
    "pay_there_is_enough_in_wallet",
    "top_up_repetition_is_replayed",
    "token_signature_is_canonical",
    "audit_one_live_ticket_per_seat",
]
HOLD_SQL = "src/boxoffice/reservations/functions.sql"


def _text(file: str) -> str:
    return (ROOT / file).read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def guards() -> dict[str, Removal]:
    """Every guard of the source, and the checks of the audit."""
    return known(store.names())


def test_every_guard_can_be_taken_away(guards: Mapping[str, Removal]) -> None:
    files = {one.file for one in guards.values()}
    assert [said for file in files for said in broken_markers(file, _text(file))] == []
    print(f"{len(guards) - len(store.names())} guards and {len(store.names())} checks of the audit")


def test_every_guard_names_tests_that_exist(guards: Mapping[str, Removal]) -> None:
    named = {word for one in guards.values() for test in one.red for word in test.split()}
    missing = []
    for path, _, test in (word.partition("::") for word in named if word.startswith("tests/")):
        function = f"def {test.partition('[')[0]}("
        if not (ROOT / path).exists() or (test and function not in _text(path)):
            missing.append(f"{path}::{test}")
    assert missing == []


@pytest.mark.parametrize("path", FILES, ids=lambda path: "/".join(path.parts[-3:]))
def test_every_deciding_line_has_a_marker(path: Path) -> None:
    file = path.relative_to(ROOT).as_posix()
    assert unmarked(file, _text(file)) == []


def test_files_that_only_read_exist() -> None:
    assert [name for name in LOOK_ONLY if not (ROOT / "src" / name).exists()] == []


def test_a_new_condition_is_noticed() -> None:
    """The control of the test above."""
    more = _text(HOLD_SQL).replace("$$;\n", "    IF closed > 7 THEN\n$$;\n", 1)
    [line] = unmarked(HOLD_SQL, more)
    assert line.endswith("IF closed > 7 THEN")
    bare = "\n".join(line for line in _text(HOLD_SQL).splitlines() if "guard:" not in line)
    assert len(unmarked(HOLD_SQL, bare)) > 100


_STATEMENT = """\
-- name: one
-- A statement.
SELECT a
  FROM t
 -- guard: of_b => WHERE $1::int IS NOT NULL
 -- guard: whose: AND t.c = $2 =>
 WHERE t.b = $1 AND t.c = $2
   -- guard: line
   AND t.d
   -- no guard: { It saves a look.
   -- guard: block { => AND true
   AND (t.e
        OR t.f = $2)
   -- guard: }
   -- no guard: It is bounded.
 LIMIT 1;
"""


def _marked(text: str = _STATEMENT) -> dict[str, Guard]:
    return {one.name: one for one in marked("x.sql", text).guards}


@pytest.mark.parametrize(
    ("name", "gone", "new"),
    [
        ("of_b", [" WHERE t.b = $1 AND t.c = $2"], [" WHERE $1::int IS NOT NULL"]),
        ("whose", [" WHERE t.b = $1 AND t.c = $2"], [" WHERE t.b = $1 "]),
        ("line", ["   AND t.d"], []),
        ("block", ["   AND (t.e", "        OR t.f = $2)"], ["   AND true"]),
    ],
)
def test_a_marker_says_what_becomes_of_its_lines(
    name: str, gone: Sequence[str], new: Sequence[str]
) -> None:
    # The parameters stand in one more place, so that no removal loses one.
    text = _STATEMENT.replace("SELECT a", "SELECT $1, $2")
    before = text.splitlines()
    after = without(text, _marked(text)[name]).splitlines()
    assert [line for line in before if line not in after] == gone
    assert [line for line in after if line not in before] == new
    assert unmarked("x.sql", text) == []
    assert [one.why for one in marked("x.sql", text).exemptions] == [
        "It saves a look.",
        "It is bounded.",
    ]


def test_several_guards_go_at_once() -> None:
    names = _marked()
    left = without(_STATEMENT, names["line"], names["block"])
    assert "AND t.d" not in left
    assert "t.e" not in left
    with pytest.raises(GuardsUnclear, match="change one line"):
        without(_STATEMENT, names["of_b"], names["whose"])


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("-- guard: two words", "no marker"),
        ("-- guard:", "no marker"),
        ("-- guard: last", "names no line"),
        ("-- guard: open {\nSELECT 1;", "names no line"),
    ],
)
def test_a_marker_that_cannot_be_read_is_refused(line: str, says: str) -> None:
    with pytest.raises(GuardsUnclear, match=says):
        marked("x.sql", f"{_STATEMENT}{line}\n")


def test_a_fragment_that_is_not_there_once_is_refused() -> None:
    absent = _STATEMENT.replace("whose: AND t.c = $2", "whose: AND t.x = $2")
    twice = _STATEMENT.replace("whose: AND t.c = $2", "whose: t.")
    for text, count in ((absent, "0 times"), (twice, "2 times")):
        with pytest.raises(GuardsUnclear, match=count):
            without(text, _marked(text)["whose"])
    [said] = broken_markers("x.sql", absent)
    assert "0 times" in said
    with pytest.raises(GuardsUnclear, match="0 parts"):
        span(_STATEMENT, "x.sql", "other")


def test_a_removal_that_takes_a_parameter_along_is_refused() -> None:
    text = _STATEMENT.replace("t.f = $2", "t.f")
    with pytest.raises(GuardsUnclear, match=r"\['\$2'\]"):
        without(text, _marked(text)["whose"])


def test_a_table_that_does_not_fit_the_markers_is_refused() -> None:
    one = Guard("a", "x.sql", "p", 0, 1)
    for key in ("a", "x.sql::p", "x.sql"):
        assert removals([one], MarkerTable(red={key: ["tests"]}))["a"].red == ["tests"]
    with pytest.raises(GuardsUnclear, match="two guards"):
        removals([one, one], MarkerTable(red={"a": ["tests"]}))
    with pytest.raises(GuardsUnclear, match="no test"):
        removals([one], MarkerTable(red={}))
    for table in (
        MarkerTable(red={"a": ["tests"], "b": ["tests"]}),
        MarkerTable(red={"a": ["tests"]}, behind={"a": ["b"]}),
        MarkerTable(red={"a": ["tests"]}, behind={"b": ["a"]}),
    ):
        with pytest.raises(GuardsUnclear, match="names no guard"):
            removals([one], table)


def test_the_audits_checks_are_guards_of_their_own(guards: Mapping[str, Removal]) -> None:
    removal = guards["audit_wallet_is_not_negative"]
    assert without(_text(removal.file), removal.guard).count("LIMIT 0") == 1


@pytest.fixture(scope="module")
def tree(servers: Servers) -> Iterator[SourceCopy]:
    """A copy of the tree whose tests use this run's servers, with a template of their own."""
    with copied_tree() as copy:
        copy.servers = {
            "BOXOFFICE_TEST_DATABASE_URL": servers.database_url,
            "BOXOFFICE_TEST_VALKEY_URL": servers.valkey_url,
            "BOXOFFICE_TEST_TEMPLATE": "boxoffice_template_of_guards",
        }
        yield copy


def _without_one(removal: Removal, guards: Mapping[str, Removal]) -> str:
    """The text of a guard's part without it and the guards before it."""
    gone = [guards[name].guard for name in removal.behind] + [removal.guard]
    text = without(_text(removal.file), *(one for one in gone if one.file == removal.file))
    first, last = span(text, removal.file, removal.guard.part)
    return "\n".join(text.splitlines()[first:last])


async def test_what_is_left_of_a_statement_or_a_script_parses_without_an_error(
    db: Database, valkey: Valkey, guards: Mapping[str, Removal]
) -> None:
    """A removal that breaks the text would make every test fail, and prove nothing."""
    texts = {name: _without_one(one, guards) for name, one in guards.items()}
    for name, text in texts.items():
        if (file := guards[name].file).endswith(".lua"):
            await valkey.command("SCRIPT", "LOAD", text)
        elif file.endswith("queries.sql"):
            async with db.connection() as connection:
                await connection.prepare(text)


async def test_a_broken_statement_and_a_broken_script_are_refused(
    db: Database, valkey: Valkey
) -> None:
    """The control of the test above."""
    with pytest.raises(ValkeyUnavailable):
        await valkey.command("SCRIPT", "LOAD", "return {")
    async with db.connection() as connection:
        with pytest.raises(asyncpg.UndefinedColumnError):
            await connection.prepare("SELECT user_id FROM users WHERE no_such_column")


@pytest.mark.parametrize("name", SAMPLE)
def test_a_guard_that_is_taken_away_is_missed(
    name: str, tree: SourceCopy, guards: Mapping[str, Removal]
) -> None:
    trial = tree.trial([guards[name]], guards[name].red)
    assert trial.noticed, trial.printed
    print(f"{name}: {trial.red} in {trial.seconds:.1f} s")


def test_with_every_guard_in_place_the_same_tests_are_green(
    tree: SourceCopy, guards: Mapping[str, Removal]
) -> None:
    tests = sorted({test for name in SAMPLE for test in guards[name].red if " " not in test})
    trial = tree.trial([], tests)
    assert not trial.noticed, trial.printed


def test_tests_that_do_not_run_are_no_verdict(tree: SourceCopy) -> None:
    with pytest.raises(TrialBroken):
        tree.trial([], ["tests/nowhere"])
    with pytest.raises(TrialBroken):
        tree.trial([], ["tests/integration/reservations/test_hold.py -k nothing_of_that_name"])


_CLAIM_LUA = "src/boxoffice/reservations/lua/claim.lua"
_HOLD_TESTS = ("tests/integration/reservations/test_hold.py",)


@pytest.mark.parametrize(
    ("file", "part", "old", "new", "says"),
    [
        (HOLD_SQL, "reservations_hold_v4", "FOR UPDATE OF s ", "FOR UPDATE OF ", "SyntaxError"),
        (
            HOLD_SQL,
            "reservations_hold_v4",
            "s.hold_ttl_s, s.ticket_limit,",
            "s.hold_ttl_s, s.limit,",
            "UndefinedColumnError",
        ),
        (_CLAIM_LUA, "", "local mine = {}", "local mine = {", "no script"),
    ],
)
def test_a_broken_text_is_no_guard_that_is_missed(
    tree: SourceCopy, file: str, part: str, old: str, new: str, says: str
) -> None:
    """The control: these trials fail or do not begin, for reasons other than a guard."""
    slip = in_part(_text(file), "slip", file, part, old, new)
    with pytest.raises(TrialBroken, match=says):
        tree.trial([Removal(slip, _HOLD_TESTS)], _HOLD_TESTS)


def test_broken_text_differs_from_a_finding() -> None:
    assert broken_text(
        "E       asyncpg.exceptions.UndefinedFunctionError: function f() does not exist"
    )
    assert broken_text("    | asyncpg.exceptions.PostgresSyntaxError: syntax error at end of input")
    assert broken_text("E   NameError: name 'now' is not defined")
    assert broken_text("E   redis.exceptions.ResponseError: Error compiling script (new function)")
    # An audit at the end of a fixture, a constraint behind a guard, and a test about class 42.
    assert not broken_text("ERROR tests/x.py::test - AssertionError: one_live_ticket_per_seat: 1")
    assert not broken_text("E   asyncpg.exceptions.UniqueViolationError: duplicate key value")
    assert not broken_text("E   asyncpg.exceptions.InsufficientPrivilegeError: permission denied")
    assert not broken_text(">       with pytest.raises(asyncpg.UndefinedColumnError): ...")
