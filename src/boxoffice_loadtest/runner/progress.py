"""Shows the progress of a load test."""

from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TimeElapsedColumn

from boxoffice.cli.printing import text_column


class ProgressLine:
    """A progress bar on a terminal; elsewhere one line per scenario."""

    def __init__(self, console: Console) -> None:
        self.console = console
        columns = (text_column("… {task.description:<10}"), BarColumn(30), TimeElapsedColumn(),
                   text_column("{task.fields[counts]}"))  # fmt: skip
        self._bar = Progress(*columns, console=console, transient=True)
        self._task = self._bar.add_task("", counts="", visible=False)
        self._scenario = ""

    def __enter__(self) -> Self:
        if self.console.is_terminal:
            self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def print(self, text: str) -> None:
        """Print the next stage of the test."""
        self._bar.update(self._task, visible=False)
        self.console.print(f"… {text}", style="dim", soft_wrap=True)

    def update(self, scenario: str, done_s: float, total_s: float, counts: str) -> None:
        """Show the progress of a scenario."""
        if self.console.is_terminal:
            self._bar.update(
                self._task, description=scenario, completed=done_s, total=total_s, counts=counts,
                visible=True,
            )  # fmt: skip
        elif scenario != self._scenario:
            self.console.print(f"… running {scenario} for {total_s:.0f} s", style="dim")
        self._scenario = scenario
