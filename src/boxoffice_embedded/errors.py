"""What can go wrong while the embedded servers are found, started or kept running.

EmbeddedUnavailable
├── DataDirectoryBusy    another boxoffice runs on the data directory
└── ServerFailed         a server ended or stayed silent; carries the tail of its log
"""

from boxoffice.errors import BoxofficeError


class EmbeddedUnavailable(BoxofficeError, RuntimeError):
    """The embedded servers cannot run here; the message says what to do about it."""


class DataDirectoryBusy(EmbeddedUnavailable):
    """Another process of ours holds the data directory; the message names its pid."""


class ServerFailed(EmbeddedUnavailable):
    """A server ended or did not become ready in time; the message ends with its log."""
