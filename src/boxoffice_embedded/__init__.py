"""PostgreSQL and Valkey from their wheels, and the commands `up` and `demo`.

For a laptop, a demonstration, the tests and the load test. The servers are child processes on a data
directory that survives restarts; they end with their parent, and are restarted when they die.

A role with BOXOFFICE_DATABASE_URL and BOXOFFICE_VALKEY_URL imports nothing of this package. The package
must never import the wheels' Python layers, listen beyond 127.0.0.1, touch a data directory that it has
not locked, end a process that it cannot prove to belong to it, or weaken the servers' durability.
"""

from boxoffice_embedded.errors import DataDirectoryBusy, EmbeddedUnavailable, ServerFailed
from boxoffice_embedded.servers.embedded_servers import (
    Addresses,
    EmbeddedServers,
    running_addresses,
)

__all__ = [
    "Addresses",
    "DataDirectoryBusy",
    "EmbeddedServers",
    "EmbeddedUnavailable",
    "ServerFailed",
    "running_addresses",
]
