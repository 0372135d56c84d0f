"""Traffic sums of all workers, in Valkey. Lost sums are missing in a chart and nowhere else.

An unanswered call is not retried, so that nothing is counted twice.
"""

from collections.abc import Mapping

from boxoffice.platform.postgres import sql_files
from boxoffice.platform.valkey import Script, Valkey
from boxoffice.sales_stats.rules import (
    STEP_S,
    STEPS_PER_KEY,
    WINDOW_MAX_S,
    TrafficSums,
    field_of,
    key_of,
    keys_of,
    sums_by_step,
)

_ADD = Script("add", sql_files.read("boxoffice.sales_stats", "lua/add.lua"))
_KEEP_MS = (WINDOW_MAX_S + 2 * STEPS_PER_KEY * STEP_S) * 1000


class TrafficStore:
    """Adds and reads sums; raises `ValkeyUnavailable` and nothing else."""

    def __init__(self, valkey: Valkey) -> None:
        self._valkey = valkey

    async def add(self, scope: str, step: int, sums: TrafficSums) -> None:
        """Add the sums of one worker."""
        args: list[str | bytes | int] = [_KEEP_MS]
        for name, count in sums.fields().items():
            args += [field_of(step, name), count]
        await self._valkey.run(_ADD, [_key(scope, key_of(step))], args)

    async def read(self, scope: str, steps: range) -> Mapping[int, TrafficSums]:
        """Return the sums of all workers by step; a step without requests is missing."""
        fields: list[tuple[str, int]] = []
        for number in keys_of(steps):
            reply = await self._valkey.command("HGETALL", _key(scope, number))
            fields += [(name.decode(), int(count)) for name, count in _pairs(reply)]
        return sums_by_step(fields)


def _key(scope: str, number: int) -> str:
    return f"boxoffice:sales_stats:{{{scope}}}:{number}"


def _pairs(reply: object) -> list[tuple[bytes, bytes]]:
    """Return the fields of a hash in either of the protocol's two forms."""
    if isinstance(reply, dict):
        return list(reply.items())
    if isinstance(reply, list):
        return list(zip(reply[::2], reply[1::2], strict=True))
    return []
