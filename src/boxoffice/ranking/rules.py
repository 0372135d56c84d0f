"""Hours of sale and how much each weighs. Pure."""

HOUR_S = 3_600
# Sales older than this do not count.
WINDOW_HOURS = 24
# A ticket counts half as much after so many hours.
HALF_LIFE_HOURS = 6


def hour_of(at_s: float) -> int:
    """Return the number of an hour since 1970."""
    return int(at_s // HOUR_S)


def window(at_s: float) -> range:
    """Return the hours that count at a moment, oldest first."""
    last = hour_of(at_s)
    return range(last - WINDOW_HOURS + 1, last + 1)


def weight(hour: int, at_s: float) -> float:
    """Return how much a ticket of an hour counts, between 0 and 1."""
    return float(0.5 ** ((hour_of(at_s) - hour) / HALF_LIFE_HOURS))
