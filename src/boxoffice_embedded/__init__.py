"""Runs the real PostgreSQL and Valkey from their wheels, so that two commands are enough.

For a laptop, a demonstration, the tests and the load test. It starts the servers as our direct
children on a data directory that survives restarts, ends them with us however we end, and
starts again what dies. `platform/processes/supervisor.py` supervises our own workers in the same way.

It must never be needed: with BOXOFFICE_DATABASE_URL and BOXOFFICE_VALKEY_URL nothing here is
imported by a role. It must never import the wheels' own Python layers, listen beyond 127.0.0.1,
touch a data directory that it has not locked, end a process that it cannot prove to be of that
directory, or weaken what the servers promise about data on disk.
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
