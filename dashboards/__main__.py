"""Writes the dashboards: `python -m dashboards`."""

from pathlib import Path

from dashboards.boards import BOARDS
from dashboards.panels import encoded

FOLDER = Path(__file__).parents[1] / "deploy" / "dashboards"


def main() -> None:
    """Write each dashboard to its file."""
    for board in BOARDS:
        (FOLDER / f"{board.name}.json").write_text(encoded(board), encoding="utf-8")


if __name__ == "__main__":
    main()
