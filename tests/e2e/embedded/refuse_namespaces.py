"""Runs a command as a root that may not make user namespaces, as in a container.

`refuse_namespaces.py COMMAND…`. It makes one namespace in which every id is mapped to itself,
and sets the limit of further ones inside it to zero, so the refusal is the kernel's own.
"""

import ctypes
import os
import sys
from pathlib import Path

CLONE_NEWUSER = 0x10000000


def write_maps(pid: int) -> None:
    """Map all ids of the child's namespace to themselves."""
    for name in ("uid_map", "gid_map"):
        Path(f"/proc/{pid}/{name}").write_text("0 0 65536")


def in_child(maps_written: int, namespace_made: int) -> None:
    """Make the namespace, have it mapped, forbid further ones, and become the command."""
    if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWUSER) != 0:
        raise OSError(ctypes.get_errno(), "unshare")
    os.write(namespace_made, b"x")
    os.read(maps_written, 1)
    Path("/proc/sys/user/max_user_namespaces").write_text("0")
    os.execv(sys.argv[1], sys.argv[1:])  # noqa: S606 - no shell is wanted


def main() -> int:
    """The command's exit code."""
    made_reader, made_writer = os.pipe()
    written_reader, written_writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        in_child(written_reader, made_writer)
    os.close(made_writer)
    if os.read(made_reader, 1):
        write_maps(pid)
        os.write(written_writer, b"x")
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


if __name__ == "__main__":
    raise SystemExit(main())
