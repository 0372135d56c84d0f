"""Packs of recorded numbers: what brings lost numbers back at the speed of a copy.

A pack has numbers in the order of the buckets in Valkey (lua/shared.lua), so a rebuild joins the
bytes of the packs, and looks at no number.
"""

import struct
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from boxoffice.waiting_room.engine.queue_state import NumberBucket

ENTRY_BYTES = 19
# One for each value of byte 15 of an account.
PARTS = 256
# A small bucket costs a call, which has a deadline, as much as so many bytes of a large one.
_BUCKET_COST_BYTES = 200


class NumberPack(NamedTuple):
    """A part of a pack, a row of `queue_packs`: for each byte of `buckets` a count in 4 bytes."""

    part: int
    buckets: bytes
    counts: bytes
    entries: bytes


def buckets_of(packs: Sequence[NumberPack]) -> list[NumberBucket]:
    """Return each bucket with its entries from all packs."""
    found: defaultdict[bytes, list[bytes]] = defaultdict(list)
    for pack in packs:
        at = 0
        counts = struct.unpack(f">{len(pack.buckets)}I", pack.counts)
        for bucket, count in zip(pack.buckets, counts, strict=True):
            to = at + ENTRY_BYTES * count
            found[bytes((pack.part, bucket))].append(pack.entries[at:to])
            at = to
    return [NumberBucket(field, b"".join(entries)) for field, entries in found.items()]


def in_calls(buckets: Sequence[NumberBucket], bytes_max: int) -> Iterator[list[NumberBucket]]:
    """Yield the buckets in lists that cost a call as much as `bytes_max` bytes, or less."""
    part: list[NumberBucket] = []
    size = 0
    for bucket in buckets:
        part.append(bucket)
        size += len(bucket.entries) + _BUCKET_COST_BYTES
        if size >= bytes_max:
            yield part
            part, size = [], 0
    if part:
        yield part


def part_ranges(numbers: int, numbers_at_once: int) -> Iterator[range]:
    """Yield ranges of parts that have about `numbers_at_once` of `numbers` each."""
    step = max(1, min(PARTS, PARTS * numbers_at_once // max(1, numbers)))
    for first in range(0, PARTS, step):
        yield range(first, min(first + step, PARTS))
