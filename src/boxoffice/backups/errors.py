"""Errors of backups; each says what to do."""

from boxoffice.errors import BoxofficeError


class BackupError(BoxofficeError):
    """A backup, an archive or a restore did not succeed."""


class BackupNotFound(BackupError):
    """The catalog has no such complete backup."""


class BackupDamaged(BackupError):
    """What is stored is not what was stored."""


class WalConflict(BackupError):
    """The archive has a file of this name with other content."""


class RestoreRefused(BackupError):
    """The place of a restore is in use."""


class ProgramFailed(BackupError):
    """A program of PostgreSQL is missing or has failed."""
