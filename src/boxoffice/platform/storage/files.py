"""Files that hold secrets, archives, and what root leaves in another user's folders."""

import os
import shutil
import tarfile
from pathlib import Path

_COPIED_BYTES = 1 << 20


def write_private(path: Path, content: bytes) -> None:
    """Replace a file by one that its owner alone may read, without following a link."""
    path.unlink(missing_ok=True)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with open(os.open(path, flags, 0o600), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def give_to_folder_owner(path: Path) -> None:
    """Keep what root makes in another user's tree usable to that user."""
    if os.geteuid() == 0:
        folder = path.parent.stat()
        os.chown(path, folder.st_uid, folder.st_gid, follow_symlinks=False)


def unpack(archive: tarfile.TarFile, folder: Path) -> None:
    """Write the folders and files of an archive below a folder, writable by their owner only.

    Raises `tarfile.TarError` for what would be written elsewhere, and for links and devices. The
    filter of the standard library does so from Python 3.11.4 on only; Debian 12 has 3.11.2.
    """
    root = folder.resolve()
    for member in archive:
        path = root / member.name
        # guard: unpacked_files_stay_in_their_folder => if False:
        if not path.resolve().is_relative_to(root):
            raise tarfile.TarError(f"{member.name} leads out of the folder")
        if member.isdir():
            path.mkdir(parents=True, exist_ok=True)
        else:
            _write_member(archive, member, path)
        path.chmod(member.mode & 0o755)


def _write_member(archive: tarfile.TarFile, member: tarfile.TarInfo, path: Path) -> None:
    content = archive.extractfile(member) if member.isreg() else None
    if content is None:
        raise tarfile.TarError(f"{member.name} is neither a file nor a folder")
    path.parent.mkdir(parents=True, exist_ok=True)
    with content, path.open("wb") as file:
        shutil.copyfileobj(content, file, _COPIED_BYTES)


def sync_folder(folder: Path) -> None:
    """Make a rename in the folder survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
