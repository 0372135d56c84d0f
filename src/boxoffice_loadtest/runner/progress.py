"""Shows whoever waits what is going on."""

from typing import Self

from rich.console import Console
from rich.progress import BarColumn, TimeElapsedColumn
from rich.progress import Progress as Bar

from boxoffice.cli.printing import text_column


class Progress:
    """One line that moves on a terminal, and one line per step elsewhere."""

    def __init__(self, console: Console) -> None:
        self.console = console
        columns = (text_column("… {task.description:<10}"), BarColumn(30), TimeElapsedColumn(),
                   text_column("{task.fields[counts]}"))  # fmt: skip
        self._bar = Bar(*columns, console=console, transient=True)
        self._task = self._bar.add_task("", counts="", visible=False)
        self._named = ""

    def __enter__(self) -> Self:
        if self.console.is_terminal:
            self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def say(self, text: str) -> None:
        """Tell of a step that takes a while."""
        self._bar.update(self._task, visible=False)
        self.console.print(f"… {text}", style="dim", soft_wrap=True)

    def show(self, name: str, done_s: float, total_s: float, counts: str) -> None:
        """Tell how far a scenario is."""
        if not self.console.is_terminal:
            if name != self._named:
                self.console.print(f"… playing {name} for {total_s:.0f} s", style="dim")
        else:
            self._bar.update(
                self._task, description=name, completed=done_s, total=total_s, counts=counts,
                visible=True,
            )  # fmt: skip
        self._named = name
