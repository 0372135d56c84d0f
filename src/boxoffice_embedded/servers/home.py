"""The data directory: its lock, its state file, and the installation that its servers run from."""

import contextlib
import fcntl
import hashlib
import os
import random
import secrets
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec

from boxoffice.platform.processes.supervisor import wait_until
from boxoffice.platform.storage.files import give_to_folder_owner, write_private
from boxoffice_embedded.errors import DataDirectoryBusy, EmbeddedUnavailable
from boxoffice_embedded.servers.binaries import Binaries, copy_binaries, find_binaries
from boxoffice_embedded.servers.identity import Identity, candidates, own_tree, refusal

LOCK_NAME = "lock"
STATE_NAME = "servers.json"
POSTGRES_NAME = "postgres"
FALLBACK_ROOT = Path("/var/lib/boxoffice")
# Below the kernel's usual range for outgoing connections, which would squat on a fixed port.
PORT_RANGE = range(15_000, 32_000)
PORT_TRIES = 200
LOCK_TIMEOUT_S = 0.3


class State(msgspec.Struct, kw_only=True):
    """What a data directory keeps between runs, in a file that only its owner may read."""

    instance: str
    postgres_password: str
    postgres_port: int
    valkey_password: str
    valkey_port: int


@dataclass(frozen=True)
class Place:
    """The folder of the servers' files, the binaries, and the user that runs them."""

    directory: Path
    binaries: Binaries
    identity: Identity


class Home:
    """A locked data directory; made by `open_home`, released by `close`."""

    def __init__(self, data_dir: Path, lock: int, state: State, place: Place) -> None:
        self.data_dir = data_dir
        self.state = state
        self.place = place
        self._lock = lock

    @property
    def tag(self) -> str:
        """A word in the command line of every server process of this directory.

        It depends on the path, so that a copy of the directory never passes for the original.
        """
        return f"boxoffice-{_digest(self.state.instance, self.place.directory)[:16]}"

    def folder(self, name: str) -> Path:
        """A folder of the servers' own, made if need be, closed to others."""
        path = self.place.directory / name
        path.mkdir(mode=0o700, exist_ok=True)
        own_tree(path, self.place.identity)
        return path

    def log_path(self, name: str) -> Path:
        """The path of a server's log, always beside the lock."""
        return self.data_dir / f"{name}.log"

    def save(self) -> None:
        """Write the state, whole or not at all."""
        _write_state(self.data_dir, self.state)

    def close(self) -> None:
        """Release the lock."""
        os.close(self._lock)


def open_home(data_dir: Path, *, fallback_root: Path, say: Callable[[str], None]) -> Home:
    """Lock a data directory, created if need be, and choose how its servers run."""
    binaries = find_binaries()
    data_dir = data_dir.resolve()
    try:
        _make_folder(data_dir)
        lock = _take_lock(data_dir)
    except OSError as error:
        raise EmbeddedUnavailable(
            f"cannot use {data_dir} (of user {_nearest_owner(data_dir)}) as user {os.geteuid()}: "
            f"{error}; choose another data directory"
        ) from error
    try:
        place = choose_place(data_dir, binaries, fallback_root=fallback_root, say=say)
        state = read_state(data_dir) or _new_state(data_dir)
        return Home(data_dir, lock, state, place)
    except BaseException:
        os.close(lock)
        raise


def read_state(data_dir: Path) -> State | None:
    """Return the state of a directory; None where there is none that can be read."""
    try:
        return msgspec.json.decode((data_dir / STATE_NAME).read_bytes(), type=State)
    except (FileNotFoundError, msgspec.DecodeError):
        return None


def lock_holder(data_dir: Path) -> int | None:
    """Return the pid that holds the lock, 0 if it is not written yet; None if the lock is free."""
    try:
        descriptor = os.open(data_dir / LOCK_NAME, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return int(os.read(descriptor, 20) or b"0")
    else:
        return None
    finally:
        os.close(descriptor)


def choose_place(
    data_dir: Path, binaries: Binaries, *, fallback_root: Path, say: Callable[[str], None]
) -> Place:
    """Find a folder and a user with which the servers can run; an existing database decides."""
    home = fallback_root / _digest("", data_dir)[:8]
    directory = data_dir
    if _database_owner(data_dir) is None and _database_owner(home) is not None:
        directory = home
        say(f"The data of {data_dir} is in {home}, where an earlier run put it.")
    identities = candidates(_database_owner(directory), _nearest_owner(data_dir))
    refusals = []
    for identity in identities:
        refused = refusal(identity, binaries, directory)
        if refused is None:
            return Place(directory, binaries, identity)
        refusals.append(refused)
    reasons = "\n".join(refusals)
    if os.geteuid() != 0:
        raise EmbeddedUnavailable(f"the embedded servers do not run here:\n{reasons}")
    return _fall_back(directory, home, binaries, reasons, say)


def _digest(salt: str, path: Path) -> str:
    return hashlib.sha256(salt.encode() + os.fsencode(path)).hexdigest()


def _fall_back(
    directory: Path, home: Path, binaries: Binaries, reasons: str, say: Callable[[str], None]
) -> Place:
    """Copy the binaries to a folder that every user can read, for a user other than root."""
    identities = candidates(_database_owner(directory), 0)
    say(f"PostgreSQL must not run as root, and others cannot reach this tree; using {home}.")
    try:
        _make_folder(home)
        if all(refusal(identity, binaries, home) for identity in identities):
            binaries = copy_binaries(binaries, home / "packages")
    except OSError as error:
        raise EmbeddedUnavailable(f"cannot prepare {home}: {error}\n{reasons}") from error
    tried = [directory] if _database_owner(directory) is not None else [directory, home]
    for identity in identities:
        for place in tried:
            if refusal(identity, binaries, place) is None:
                return Place(place, binaries, identity)
    raise EmbeddedUnavailable(
        f"no user but root can reach {directory}, and PostgreSQL must not run as root: run as an "
        f"ordinary user, or use a data directory outside of closed folders\n{reasons}"
    )


def _database_owner(directory: Path) -> int | None:
    try:
        return (directory / POSTGRES_NAME).stat().st_uid
    except FileNotFoundError:
        return None


def _nearest_owner(path: Path) -> int:
    """The owner of the path, or of the nearest folder above it that exists."""
    while not path.exists():
        path = path.parent
    return path.stat().st_uid


def _make_folder(path: Path) -> None:
    """Make a folder that belongs to the owner of the tree; root's can be passed through."""
    if path.is_dir():
        return
    if not path.parent.is_dir():
        _make_folder(path.parent)
    path.mkdir(mode=0o700)
    if os.geteuid() == 0:
        path.chmod(0o711)
    give_to_folder_owner(path)


def _take_lock(data_dir: Path) -> int:
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(data_dir / LOCK_NAME, flags, 0o644)
    # `lock_holder` holds the lock for an instant, too.
    if not wait_until(lambda: _try_lock(descriptor), LOCK_TIMEOUT_S):
        holder = os.read(descriptor, 20).decode(errors="replace").strip() or "unknown"
        os.close(descriptor)
        raise DataDirectoryBusy(
            f"{data_dir} is in use by process {holder}: stop it, or choose another data directory"
        )
    os.ftruncate(descriptor, 0)
    os.write(descriptor, f"{os.getpid()}\n".encode())
    give_to_folder_owner(data_dir / LOCK_NAME)
    return descriptor


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _new_state(data_dir: Path) -> State:
    state = State(
        instance=secrets.token_hex(8),
        postgres_password=secrets.token_urlsafe(24),
        postgres_port=0,
        valkey_password=secrets.token_urlsafe(24),
        valkey_port=0,
    )
    _write_state(data_dir, state)
    return state


def _write_state(data_dir: Path, state: State) -> None:
    path = data_dir / STATE_NAME
    temporary = path.with_suffix(".new")
    write_private(temporary, msgspec.json.encode(state))
    give_to_folder_owner(temporary)
    temporary.replace(path)


def free_port(preferred: int) -> int:
    """Return the preferred port if it is free, else another free one on 127.0.0.1."""
    for port in _ports_to_try(preferred):
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
            return port
    raise EmbeddedUnavailable(f"no free port on 127.0.0.1 among {PORT_TRIES} tries")


def _ports_to_try(preferred: int) -> Iterator[int]:
    if preferred:
        yield preferred
    yield from random.sample(PORT_RANGE, PORT_TRIES)
