"""The command on an embedded shop: start, test, report, stop."""

import signal
from pathlib import Path

import psutil
import pytest

from tests.tools.loadtest.conftest import LoadtestCommand

SMALL = ("--quick", "--people=200", "--target-rps=10")


def _children(pid: int) -> list[psutil.Process]:
    return psutil.Process(pid).children(recursive=True)


def test_a_shop_of_its_own_is_started_tested_and_stopped(command: LoadtestCommand) -> None:
    ended = command(*SMALL, "--scenarios=lookup,onsale", "--lang=ko", "--hall=500")
    ended.require_pass()
    run = ended.run
    assert (run.stopped, run.not_sampled) == (None, [])
    assert run.environment["workers"] == "2"
    assert len({name for one in run.samples for name in one.cores if name.startswith("api-")}) == 2
    for name in ("postgres", "valkey", "generator", "sweep", "relay"):
        assert any(one.memory_mib.get(name) for one in run.samples), name
    assert run.audit
    assert run.memory is not None
    assert run.memory.by_connection is not None
    is_fast = "모든 기준을 충족합니다" in (ended.out / "report.html").read_text()
    assert is_fast == (ended.code == 0)
    # Without steps there is no knee, and the report says why.
    assert "no_steps" in {one.reason for one in run.analysis.inconclusive}
    assert sorted(path.name for path in ended.out.iterdir()) >= ["raw", "report.html"]
    assert not (ended.out / "raw" / "servers").exists()
    assert not (ended.out / "raw" / "tokens.jsonl").exists()


def test_an_earlier_report_is_written_anew_and_compared(
    command: LoadtestCommand, tmp_path: Path
) -> None:
    first = command(*SMALL, "--scenarios=lookup")
    first.require_pass()
    data = first.out / "report.json"
    again = LoadtestCommand(tmp_path / "again")(f"--from={data}", f"--baseline={data}", "--lang=ko")
    assert again.code == first.code, again.said
    assert "이전 실행과의 비교" in (again.out / "report.md").read_text()


@pytest.mark.parametrize("what", ["interrupt", "kill an API process"])
def test_what_ends_it_early_leaves_nothing_running(command: LoadtestCommand, what: str) -> None:
    process = command.start(*SMALL, "--scenarios=onsale,steps")
    command.wait_for_answers("onsale", process)
    ours = _children(process.pid)
    assert len(ours) > 8
    if what == "interrupt":
        process.send_signal(signal.SIGINT)
    else:
        serving = [one for one in ours if "--fd" in one.cmdline()]
        serving[0].kill()
    ended = command.end(process)
    assert ended.code == 1
    assert ended.run.stopped == ("interrupted" if what == "interrupt" else "an API process died")
    assert (ended.out / "report.html").exists()
    _, left = psutil.wait_procs(ours, timeout=30)
    assert not left
