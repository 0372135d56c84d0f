"""Finds the processes that a run of the suite has started, at any depth."""

from contextlib import suppress

import psutil

MARK = "FAULTS_MARK"


def marked(mark: str) -> list[list[str]]:
    """Return the command lines of the processes with the mark in their environment."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.environ().get(MARK) == mark:
                found.append(process.cmdline())
    return found
