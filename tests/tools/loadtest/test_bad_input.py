"""Bad input has a message; an interrupted run leaves a partial report and no process."""

import asyncio
import os
import signal
from pathlib import Path

import asyncpg
import pytest

from boxoffice_loadtest.errors import GeneratorMissing
from boxoffice_loadtest.runner import k6
from tests.support.shop import free_port
from tests.tools.loadtest.conftest import LoadtestCommand, Opening


def test_no_k6_anywhere_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("sys.executable", str(tmp_path / "python"))
    monkeypatch.setattr(k6, "_WHEEL", "no-such-wheel")
    with pytest.raises(GeneratorMissing, match="make loadtest"):
        k6.find()


def test_a_k6_that_does_not_run_is_said(tmp_path: Path) -> None:
    broken = tmp_path / "k6"
    broken.write_text("#!/bin/sh\nexit 3\n")
    broken.chmod(0o755)
    with pytest.raises(GeneratorMissing, match="does not run"):
        k6.version(broken)


def test_a_k6_on_path_is_preferred(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    mine = tmp_path / "k6"
    mine.write_text("#!/bin/sh\necho k6 v9.9.9 '(mine)'\n")
    mine.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    assert k6.find() == mine
    assert k6.version(mine) == "k6 v9.9.9"


def test_a_summary_that_is_not_there_says_nothing(tmp_path: Path) -> None:
    assert k6.read_summary(tmp_path / "none") == k6.K6Summary()


@pytest.mark.parametrize(
    ("args", "code", "sentence"),
    [
        (["--scenarios=nonsense"], 2, "nonsense is not one of"),
        (["--lang=fr"], 2, "--lang is one of en, ko"),
        (["--lang=kok-IN"], 2, "--lang is one of en, ko"),
        (["--lang=ko-KR", "--from=/nowhere.json"], 1, "is no report.json of a load test"),
        (["--url=http://127.0.0.1:9"], 1, "--url needs --tokens FILE and --schedule ID"),
        (["--url=http://x", "--schedule=12"], 2, "--schedule is an id like"),
        (["--baseline=/nowhere.json"], 1, "is no report.json of a load test"),
        (["--from=/nowhere.json"], 1, "is no report.json of a load test"),
    ],
)
def test_options_that_make_no_sense(
    command: LoadtestCommand, args: list[str], code: int, sentence: str
) -> None:
    ended = command(*args)
    assert ended.code == code
    assert sentence in " ".join(ended.said.split()).replace("│ ", "")
    assert not ended.out.exists()


def test_a_wrong_address(command: LoadtestCommand, tmp_path: Path) -> None:
    tokens = tmp_path / "tokens"
    tokens.write_text('{"user_id": "u", "access_token": "t"}\n')
    schedule = "--schedule=01890000-0000-7000-8000-000000000001"
    for url, sentence in (
        (f"http://127.0.0.1:{free_port()}", "does not answer"),
        ("ftp://somewhere", "is not an address like http://127.0.0.1:8000"),
        ("http://[::1", "is not an address like http://127.0.0.1:8000"),
    ):
        ended = command(f"--url={url}", f"--tokens={tokens}", schedule)
        assert (ended.code, ended.out.exists()) == (1, False)
        assert sentence in ended.said, ended.said
        assert "Traceback" not in ended.said


def test_what_cannot_be_bought_from(
    open_shop: Opening, command: LoadtestCommand, tmp_path: Path
) -> None:
    shop = open_shop()
    empty, foreign = tmp_path / "empty", tmp_path / "foreign"
    empty.write_text("")
    foreign.write_text('{"user_id": "u", "access_token": "t"}\n')
    unknown = "--schedule=01890000-0000-7000-8000-000000000001"
    assert "has no schedule" in command(*shop.options(), unknown).said
    assert "has no tokens" in command(*shop.options(), f"--tokens={empty}").said
    assert "tokens are not valid there" in command(*shop.options(), f"--tokens={foreign}").said
    asyncio.run(_close(shop.settings.database.database_url))
    ended = command(*shop.options())
    assert (ended.code, ended.out.exists()) == (1, False)
    assert "is not on sale" in ended.said


async def _close(database_url: str) -> None:
    connection = await asyncpg.connect(database_url)
    await connection.execute("UPDATE schedules SET status = 'CLOSED'")
    await connection.close()


def test_a_target_that_dies_in_the_middle(open_shop: Opening, command: LoadtestCommand) -> None:
    shop = open_shop()
    command.env = shop.env
    process = command.start(*shop.options(), "--scenarios=lookup,onsale,steps")
    command.wait_for_answers("onsale", process)
    shop.pod.kill()
    ended = command.end(process)
    assert ended.code == 1
    run = ended.run
    assert run.stopped == "the target does not answer any more"
    assert [one.name for one in run.scenarios] == ["lookup", "onsale"]
    assert run.deployment is None
    assert "This report is partial" in (ended.out / "report.html").read_text()
    assert "This report is partial" in ended.said


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interruption_leaves_a_partial_report_and_nothing_running(
    open_shop: Opening, command: LoadtestCommand, number: signal.Signals
) -> None:
    shop = open_shop()
    command.env = shop.env
    process = command.start(*shop.options(), "--scenarios=onsale,steps")
    command.wait_for_answers("onsale", process)
    process.send_signal(number)
    ended = command.end(process)
    assert ended.code == 1
    run = ended.run
    assert run.stopped == "interrupted"
    assert [one.name for one in run.scenarios] == ["onsale"]
    broken = [one.kind for one in run.scenarios[0].findings if one.is_broken]
    assert broken == []
    assert "interrupted by a signal" in (ended.out / "report.md").read_text()
