"""Runs the embedded servers and says so in JSON lines; `run_servers.py DATA_DIR FALLBACK_ROOT`.

It waits until its standard input says `stop` or is closed, or until a signal ends it.
"""

import json
import sys
from pathlib import Path

from boxoffice_embedded import EmbeddedServers, EmbeddedUnavailable


def main() -> int:
    """0 after a clean stop, 3 with the reason when the servers cannot run."""
    data_dir, fallback_root = (Path(text) for text in sys.argv[1:3])
    servers = EmbeddedServers(data_dir, fallback_root=fallback_root)
    try:
        servers.start()
    except EmbeddedUnavailable as error:
        print(json.dumps({"error": str(error)}), flush=True)
        return 3
    try:
        report = {
            "database_url": servers.database_url,
            "valkey_url": servers.valkey_url,
            "pids": [servers.postgres.pid, servers.valkey.pid],
            "directory": str(servers.postgres.data_dir.parent),
        }
        print(json.dumps(report), flush=True)
        sys.stdin.readline()
    finally:
        servers.stop()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
