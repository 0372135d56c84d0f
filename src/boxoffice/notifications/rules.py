"""When a delivery is tried again. Pure."""

# Seconds after the first, second, … failed try: three days in all, and then no more.
WEBHOOK_DELAYS_S = (5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 64_800, 86_400)
MAIL_DELAYS_S = (30, 120, 600, 1_800, 7_200, 21_600, 43_200, 86_400, 86_400)
_JITTER = 0.2


def delay_s(tries: int, delays_s: tuple[int, ...], chance: float) -> float | None:
    """Return the delay after `tries` failed tries, a fifth longer or shorter by `chance` (0 to 1).

    None after the last one. Receivers that were away together are not asked together again.
    """
    if tries > len(delays_s):
        return None
    return delays_s[tries - 1] * (1 - _JITTER + 2 * _JITTER * chance)
