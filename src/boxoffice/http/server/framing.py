"""Checks of RFC 9112 that the parser leaves out, and the pieces in which data is parsed. Pure.

The parser (llhttp) is strict about line ends, lengths and chunks. This module checks `Host` and
transfer codings other than chunked, and bounds how much is parsed at a time.
"""

import re
from collections.abc import Sequence
from functools import lru_cache

Fields = Sequence[tuple[bytes, bytes]]

# Bytes per parser call. Smaller pieces cost time, larger pieces cost memory.
PIECE_MAX_BYTES = 16_384
# Nine requests of the smallest size.
_FEW_HEADS_BYTES = 256
# The parser requires CRLF, so every head ends with this; the next piece begins after it.
HEAD_END = b"\r\n\r\n"
_BLANK_LINES = re.compile(rb"(?:\r\n)*")
# uri-host [ ":" port ] (RFC 9110, section 7.2; RFC 3986, section 3.2.2); a reg-name may be empty.
_HOST = re.compile(
    rb"(?:\[[0-9A-Za-z:.%_~-]+\]|(?:[A-Za-z0-9._~!$&'()*+,;=-]|%[0-9A-Fa-f]{2})*)(?::[0-9]*)?"
)
_CHUNKED = b"chunked"


class HeadInvalid(ValueError):
    """A head that is refused with 400."""


def has_many_heads(data: bytes) -> bool:
    """Say whether `data` is to be parsed in pieces: more than a few heads may end in it."""
    size = len(data)
    return size > _FEW_HEADS_BYTES and (size > PIECE_MAX_BYTES or data.count(HEAD_END) > 1)


def piece_end(data: bytes, begin: int) -> int:
    """Return where to stop parsing: at the end of a head, or after a piece of 16 KiB.

    So a piece contains at most two heads, even small ones.
    """
    limit = min(len(data), begin + PIECE_MAX_BYTES)
    at = data.find(HEAD_END, begin, limit)
    if at < 0:
        return limit
    blank = _BLANK_LINES.match(data, at, limit)
    return blank.end() if blank else limit


def check_head(version: str, fields: Fields) -> None:
    """Raise `HeadInvalid` for a head that a server must refuse (RFC 9112, sections 3.2 and 6.1)."""
    hosts = [value for name, value in fields if name == b"host"]
    if len(hosts) > 1 or (not hosts and version != "1.0"):
        raise HeadInvalid("a request has one Host")
    if hosts and not host_is_valid(hosts[0]):
        raise HeadInvalid("no such Host can be")
    for name, value in fields:
        if name == b"transfer-encoding" and (version == "1.0" or value.lower() != _CHUNKED):
            raise HeadInvalid("the only transfer coding is chunked")


@lru_cache(maxsize=256)
def host_is_valid(value: bytes) -> bool:
    """Return whether this is a valid value of `Host`; it may be empty."""
    return _HOST.fullmatch(value) is not None
