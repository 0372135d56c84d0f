"""The user that the servers run as: PostgreSQL refuses root, and files must stay reachable."""

import os
import pwd
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from boxoffice.platform.processes.supervisor import wrapped_command
from boxoffice_embedded.servers.binaries import Binaries
from boxoffice_embedded.servers.server_process import server_environment

PROBE_TIMEOUT_S = 20.0
# In every /etc/passwd, where initdb looks up the name of the user it believes to be.
NOBODY = "nobody"


@dataclass(frozen=True)
class Identity:
    """The exec wrapper's identity argument, and the owner of the server's files."""

    wrapper_argument: str
    owner_uid: int
    owner_gid: int


def same_user() -> Identity:
    """Runs as we do."""
    return Identity("same", os.geteuid(), os.getegid())


def other_user(entry: pwd.struct_passwd) -> Identity:
    """Runs as another user, for good; takes root."""
    return Identity(f"user:{entry.pw_uid}:{entry.pw_gid}", entry.pw_uid, entry.pw_gid)


def namespace() -> Identity:
    """Keeps our access to files, and appears to itself as `nobody` in a user namespace."""
    nobody = pwd.getpwnam(NOBODY)
    return Identity(f"namespace:{nobody.pw_uid}:{nobody.pw_gid}", os.geteuid(), os.getegid())


def candidates(data_owner_uid: int | None, tree_owner_uid: int) -> list[Identity]:
    """The identities worth trying, best first.

    `data_owner_uid` owns an existing database, which keeps its owner if it can, so that root and
    an ordinary user can take turns; `tree_owner_uid` owns the folder in which all of it lies.
    """
    if os.geteuid() == 0:
        return list(dict.fromkeys(_candidates_of_root(data_owner_uid, tree_owner_uid)))
    if _passwd_entry(os.geteuid()) is None:
        # A container's arbitrary uid has no name, and initdb insists on one.
        return [namespace(), same_user()]
    return [same_user()]


def _candidates_of_root(data_owner_uid: int | None, tree_owner_uid: int) -> Iterator[Identity]:
    if data_owner_uid == 0:
        yield namespace()
    for uid in (data_owner_uid, tree_owner_uid):
        entry = _passwd_entry(uid) if uid else None
        if entry is not None:
            yield other_user(entry)
    yield other_user(pwd.getpwnam(NOBODY))
    yield namespace()


def _passwd_entry(uid: int) -> pwd.struct_passwd | None:
    try:
        return pwd.getpwuid(uid)
    except KeyError:
        return None


def refusal(identity: Identity, binaries: Binaries, directory: Path) -> str | None:
    """Why the binaries cannot run there as the identity; None if they can, found by trying."""
    for binary in (binaries.postgres, binaries.valkey_server):
        command = wrapped_command(
            [str(binary), "--version"],
            identity=identity.wrapper_argument,
            death_signal=signal.SIGKILL,
            directory=directory,
        )
        tried = subprocess.run(  # noqa: S603 - our own command, no shell
            command,
            capture_output=True,
            text=True,
            check=False,
            timeout=PROBE_TIMEOUT_S,
            env=server_environment(),
        )
        if tried.returncode != 0:
            return tried.stderr.strip() or f"{binary} ended with code {tried.returncode}"
    return None


def own(path: Path, identity: Identity) -> None:
    """Give one file or folder to the identity; nothing to do for an ordinary user."""
    if os.geteuid() == 0:
        os.chown(path, identity.owner_uid, identity.owner_gid, follow_symlinks=False)


def own_tree(folder: Path, identity: Identity) -> None:
    """Give a folder to the identity, itself last so that an interrupted change is seen."""
    if folder.stat().st_uid == identity.owner_uid:
        return
    for path in folder.rglob("*"):
        own(path, identity)
    own(folder, identity)
