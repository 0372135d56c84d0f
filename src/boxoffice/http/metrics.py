"""Metrics of connections and event streams."""

from prometheus_client import Counter, Gauge

CONNECTIONS_ENDED = Counter(
    "boxoffice_connections_ended_total",
    "Connections that were ended below the level of a request, by reason.",
    ("reason",),
)
STREAMS_OPEN = Gauge(
    "boxoffice_streams_open", "Open event streams.", ("topic",), multiprocess_mode="livesum"
)
STREAM_EVENTS = Counter(
    "boxoffice_stream_events_total", "Events sent to streams, one for each stream.", ("topic",)
)
STREAMS_ENDED = Counter(
    "boxoffice_streams_ended_total", "Event streams that ended, by reason.", ("topic", "reason")
)
