"""Event streams that are open while a scenario runs."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from bench.client.stream_readers import StreamReaders, reading_streams
from bench.scenarios.scenario import ScenarioContext


@dataclass
class StreamLoad:
    """The open streams and the memory of each; `closed` counts those that ended early."""

    streams: int
    stream_kib: float
    readers: StreamReaders | None
    closed: int = 0

    def events(self) -> int:
        """Return how many events all streams have received."""
        if self.readers is None:
            return 0
        counts = self.readers.count()
        self.closed = self.streams - counts.open
        return counts.events


NO_STREAMS = StreamLoad(0, 0.0, None)


@contextmanager
def open_streams(context: ScenarioContext, count: int) -> Iterator[StreamLoad]:
    """Open `count` event streams of the first schedule until the block is left."""
    group = context.server.group
    path = f"/v1/schedules/{context.first_schedule.schedule_id}/seats/events"
    # One stream fills the caches first, so that their memory is not counted for the streams.
    with reading_streams(context.server.port, path, 1):
        before_mib = group.resident_mib()
    with reading_streams(context.server.port, path, count) as readers:
        stream_kib = (group.resident_mib() - before_mib) * 1024 / count
        yield StreamLoad(count, stream_kib, readers)
