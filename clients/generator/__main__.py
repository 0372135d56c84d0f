"""Write the clients, or with `--check` say which of them is out of date."""

import argparse
import sys

from boxoffice.app import describe
from clients.generator.files import stale, write


def main() -> int:
    """Return 0 if the clients are up to date afterwards."""
    parser = argparse.ArgumentParser(prog="python -m clients.generator", description=__doc__)
    parser.add_argument("--check", action="store_true", help="change nothing")
    document = describe()
    if parser.parse_args().check:
        found = stale(document)
        for path in found:
            print(f"out of date: {path.name}")
        return 1 if found else 0
    for path in write(document):
        print(f"written: {path.name}")
    return 0


sys.exit(main())
