"""The most common passwords, from a file of this package."""

import gzip
from functools import cache
from importlib.resources import files

_FILE = "common_passwords.txt.gz"


@cache
def common_passwords() -> frozenset[str]:
    """Return the most common passwords of eight or more characters, in lower case.

    Some 11,600 of the 30,000 in zxcvbn's list; see `common_passwords.LICENSE`.
    """
    packed = files("boxoffice.accounts.passwords").joinpath(_FILE).read_bytes()
    return frozenset(gzip.decompress(packed).decode("utf-8").split())
