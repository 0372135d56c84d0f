"""Whether a role that serves nothing else is alive and has started, for probes."""

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http import HTTPStatus

_TURN_EVERY_S = 1.0
# A role never blocks its event loop for that long.
_STUCK_AFTER_S = 10.0


class RoleHealth:
    """The state of one role. Its event loop writes it, and the thread that answers probes reads it."""

    def __init__(self, now_s: Callable[[], float] = time.monotonic) -> None:
        self._now_s = now_s
        self._turned_at_s = now_s()
        self._has_started = False
        self._stop: asyncio.Event | None = None
        self._timer: asyncio.TimerHandle | None = None

    @contextmanager
    def followed(self, stop: asyncio.Event) -> Iterator[None]:
        """Note every second that the running event loop turns; a role with `stop` set is not ready."""
        self._stop = stop
        self._turn()
        try:
            yield
        finally:
            if self._timer is not None:
                self._timer.cancel()

    def _turn(self) -> None:
        self._turned_at_s = self._now_s()
        self._timer = asyncio.get_running_loop().call_later(_TURN_EVERY_S, self._turn)

    def started(self) -> None:
        """Note that the role found what it needs."""
        self._has_started = True

    def answer(self, path: str) -> tuple[HTTPStatus, str] | None:
        """Return the answer to a probe: `/healthz`, `/readyz`; None for another path.

        `/healthz` asks neither PostgreSQL nor Valkey: a restart repairs neither.
        """
        if path == "/healthz":
            is_stuck = self._now_s() - self._turned_at_s > _STUCK_AFTER_S
            return (HTTPStatus.SERVICE_UNAVAILABLE, "stuck") if is_stuck else (HTTPStatus.OK, "ok")
        if path == "/readyz":
            return self._readiness()
        return None

    def _readiness(self) -> tuple[HTTPStatus, str]:
        if self._stop is not None and self._stop.is_set():
            return HTTPStatus.SERVICE_UNAVAILABLE, "stopping"
        if not self._has_started:
            return HTTPStatus.SERVICE_UNAVAILABLE, "starting"
        return HTTPStatus.OK, "ready"
