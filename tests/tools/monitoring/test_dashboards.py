"""The committed dashboards are those of the code, and can be shown."""

import json
from pathlib import Path

import pytest

from dashboards.__main__ import FOLDER
from dashboards.boards import BOARDS
from dashboards.panels import Board, encoded, expressions

from .test_alerts import promtool


@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.name)
def test_the_committed_dashboard_is_that_of_the_code(board: Board) -> None:
    path = FOLDER / f"{board.name}.json"
    assert path.read_text(encoding="utf-8") == encoded(board), "run python -m dashboards"


def test_there_is_no_other_dashboard() -> None:
    assert {path.name for path in Path(FOLDER).iterdir()} == {f"{one.name}.json" for one in BOARDS}


@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.name)
def test_panels_do_not_overlap_and_each_query_has_a_name(board: Board) -> None:
    panels = json.loads(encoded(board))["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        at = panel["gridPos"]
        assert at["x"] + at["w"] <= 24
        cells = {
            (x, y)
            for x in range(at["x"], at["x"] + at["w"])
            for y in range(at["y"], at["y"] + at["h"])
        }
        assert not cells & taken, panel["title"]
        taken |= cells
        names = [target["refId"] for target in panel.get("targets", [])]
        assert all(names)
        assert len(set(names)) == len(names)
        if panel["type"] != "row":
            assert panel["description"].endswith(".")
            assert panel["fieldConfig"]["defaults"]["unit"]


def test_every_expression_is_promql(tmp_path: Path) -> None:
    shown = [one for board in BOARDS for one in expressions(json.loads(encoded(board)))]
    rules = [
        {"record": f"panel:{number}", "expr": one.replace("$__rate_interval", "5m")}
        for number, one in enumerate(shown)
    ]
    file = tmp_path / "panels.json"
    file.write_text(json.dumps({"groups": [{"name": "panels", "rules": rules}]}), encoding="utf-8")
    promtool("check", "rules", str(file))
