"""Replaces itself by a command that ends with its parent and runs as a given user.

A script, run as `python -I -S exec_wrapper.py PARENT_PID DEATH_SIGNAL IDENTITY DIRECTORY COMMAND…`.
It replaces `preexec_fn`, which runs Python between fork and exec: unsafe in a process with threads, and
deprecated from 3.12 on. It imports little because every start pays for it.

IDENTITY is `same`, `user:UID:GID`, or `namespace:UID:GID`: the process keeps its user, and sees the
given ids inside a new user namespace.
"""

import ctypes
import os
import signal
import sys

CLONE_NEWUSER = 0x10000000
PR_SET_PDEATHSIG = 1
REFUSED_EXIT_CODE = 126

libc = ctypes.CDLL(None, use_errno=True)


def raise_errno(call: str) -> None:
    """Raise the error that the C library noted for a failed call."""
    errno = ctypes.get_errno()
    raise OSError(errno, f"{call}: {os.strerror(errno)}")


def enter_namespace(uid: int, gid: int) -> None:
    """Appear as other ids inside a new user namespace while owning the same files as before."""
    outer_uid, outer_gid = os.geteuid(), os.getegid()
    if libc.unshare(CLONE_NEWUSER) != 0:
        raise_errno("unshare")
    maps = {
        "setgroups": "deny",  # the kernel demands it before it accepts a gid map from us
        "uid_map": f"{uid} {outer_uid} 1",
        "gid_map": f"{gid} {outer_gid} 1",
    }
    for name, text in maps.items():
        with open(f"/proc/self/{name}", "w", encoding="ascii") as file:
            file.write(text)


def become_user(uid: int, gid: int) -> None:
    """Give up root for good."""
    os.setgroups([])
    os.setresgid(gid, gid, gid)
    os.setresuid(uid, uid, uid)


def assume(identity: str) -> None:
    """Switch to the identity of the command."""
    way, _, ids = identity.partition(":")
    if way == "same":
        return
    uid, gid = (int(part) for part in ids.split(":"))
    if way == "namespace":
        enter_namespace(uid, gid)
    else:
        become_user(uid, gid)


def die_with(parent_pid: int, death_signal: int) -> None:
    """Let the kernel send the signal when the parent ends, and fail if it has already ended.

    A change of credentials clears the setting, so this comes after `assume`.
    """
    if libc.prctl(PR_SET_PDEATHSIG, death_signal, 0, 0, 0) != 0:
        raise_errno("prctl")
    if os.getppid() != parent_pid:
        raise ProcessLookupError("the parent is gone")


def restore_signals() -> None:
    """Undo the signal settings of a Python start, which exec would pass on."""
    for number in (signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])


def main(arguments: list[str]) -> None:
    """Become the command; print one line and exit with 126 where that is refused."""
    parent_pid, death_signal, identity, directory, *command = arguments
    try:
        assume(identity)
        die_with(int(parent_pid), int(death_signal))
        os.chdir(directory)
        restore_signals()
        os.execvp(command[0], command)  # noqa: S606 - no shell is wanted
    except OSError as error:
        sys.stderr.write(f"cannot run {command[0]} as {identity} in {directory}: {error}\n")
        raise SystemExit(REFUSED_EXIT_CODE) from None


if __name__ == "__main__":
    main(sys.argv[1:])
