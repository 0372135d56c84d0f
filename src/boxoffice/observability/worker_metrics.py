"""The metrics files of several workers: the counts of an ended worker stay, its files go.

`prometheus_client` writes files per process, and sums over all files.
"""

import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from prometheus_client import multiprocess
from prometheus_client.mmap_dict import MmapedDict

from boxoffice.observability.logs import log

# The sum of ended workers, in a file named as the collector expects: type first.
_ENDED = "ended"
_SUMMED = ("counter", "histogram")
_PREFIX = "boxoffice-metrics-"
_LOCK = "lock"


@contextmanager
def metrics_folder() -> Iterator[Path]:
    """Lend a folder for the files of one group of workers; it is removed at the end.

    Folders of killed groups of the same user are removed first: a live group holds a lock on its
    folder, which the system releases however the group ends.
    """
    _remove_abandoned()
    made = tempfile.TemporaryDirectory(prefix=_PREFIX)
    with ExitStack() as stack:
        # Released last, so that no other group removes the folder at the same time.
        locked = stack.enter_context(_locked(Path(made.name)))
        stack.enter_context(made)
        yield locked


@contextmanager
def _locked(folder: Path) -> Iterator[Path]:
    """Lock `folder`; its lock file is never visible while unlocked."""
    unknown = folder / f"{_LOCK}.new"
    lock = os.open(unknown, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        unknown.rename(folder / _LOCK)
        yield folder
    finally:
        os.close(lock)


def _remove_abandoned() -> None:
    for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError):
            if folder.is_symlink() or folder.stat().st_uid != os.geteuid():
                continue
            # A folder without a lock file is being created.
            lock = os.open(folder / _LOCK, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)
            finally:
                os.close(lock)


def forget_process(folder: Path, pid: int) -> None:
    """Remove an ended process from the gauges, and add its counts to the sum of ended workers.

    Without the sum the counters would decrease, as after a restart of the whole service. A file that
    cannot be read, such as one of a process killed while writing, is left out.
    """
    try:
        multiprocess.mark_process_dead(pid, str(folder))  # type: ignore[no-untyped-call]
        for kind in _SUMMED:
            file = folder / f"{kind}_{pid}.db"
            if file.exists():
                _add(file, folder / f"{kind}_{_ENDED}.db")
    except OSError as error:
        # The supervisor continues without these metrics.
        log.warning("worker_metrics_not_kept", error=str(error))


def _add(file: Path, total: Path) -> None:
    """Add the values of `file` to those of `total`, which is replaced atomically."""
    merged = total.with_suffix(".tmp")
    merged.unlink(missing_ok=True)
    sums: dict[str, tuple[float, float]] = {}
    for source in (total, file):
        for key, value, timestamp in _values(source):
            sums[key] = (sums.get(key, (0.0, 0.0))[0] + value, timestamp)
    written = MmapedDict(str(merged))  # type: ignore[no-untyped-call]
    for key, (value, timestamp) in sums.items():
        written.write_value(key, value, timestamp)  # type: ignore[no-untyped-call]
    written.close()  # type: ignore[no-untyped-call]
    file.unlink()
    os.replace(merged, total)


def _values(file: Path) -> list[tuple[str, float, float]]:
    try:
        read = MmapedDict.read_all_values_from_file(str(file))  # type: ignore[no-untyped-call]
        return [(key, value, timestamp) for key, value, timestamp, _ in read]
    except (OSError, RuntimeError, ValueError):
        return []
