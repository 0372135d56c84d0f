"""The Valkey stream: one script call per batch."""

from collections.abc import Sequence

from boxoffice.errors import BoxofficeError
from boxoffice.outbox.rules import Message
from boxoffice.platform.postgres import sql_files
from boxoffice.platform.valkey import Script, Valkey
from boxoffice.settings import OutboxSettings

_PUBLISH = Script("publish", sql_files.read("boxoffice.outbox", "lua/publish.lua"))
_FENCED = -1
# The fence outlives the lease, so that it stops a relay that resumes late.
_FENCE_LEASES = 10


class RelayFenced(BoxofficeError):
    """A later holder of the lease has published."""


def fence_key(stream: str) -> str:
    """Return the key of the fence, in the hash slot of `stream`."""
    return f"{stream}:fence" if "{" in stream else f"{{{stream}}}:fence"


class EventStream:
    """Appends messages; after a `ValkeyUnavailable` any of them may have been appended."""

    def __init__(self, valkey: Valkey, settings: OutboxSettings) -> None:
        self._valkey = valkey
        self._keys = (settings.relay_stream, fence_key(settings.relay_stream))
        self._fence_ttl_ms = settings.relay_lease_ms * _FENCE_LEASES
        self._stream_max = settings.relay_stream_max

    async def publish(self, messages: Sequence[Message], token: int) -> None:
        """Append all in order under the fencing `token`; raise `RelayFenced` when it is outdated."""
        args: list[str | bytes | int] = [token, self._fence_ttl_ms, self._stream_max]
        for message in messages:
            args += (message.event_id, message.topic, message.created_at, message.data)
        if await self._valkey.run(_PUBLISH, self._keys, args) == _FENCED:
            raise RelayFenced("another relay has taken over")
