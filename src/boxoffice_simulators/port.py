"""A port of this machine that can be closed and opened again, as that of a provider that is away."""

from collections.abc import Sequence

from aiohttp import web

_HOST = "127.0.0.1"
_BODY_MAX_BYTES = 1 << 20
_SHUTDOWN_S = 1.0


class Port:
    """Serves routes; port 0 is any that is free, and stays the same once it is open."""

    def __init__(self, routes: Sequence[web.RouteDef], port: int) -> None:
        self._routes = routes
        self._port = port
        self._runner: web.AppRunner | None = None

    async def open(self) -> str:
        """Listen, unless it does; return the address."""
        if self._runner is None:
            app = web.Application(client_max_size=_BODY_MAX_BYTES)
            app.add_routes(self._routes)
            self._runner = web.AppRunner(app, shutdown_timeout=_SHUTDOWN_S)
            await self._runner.setup()
            await web.TCPSite(self._runner, _HOST, self._port).start()
            self._port = self._runner.addresses[0][1]
        return f"http://{_HOST}:{self._port}"

    async def close(self) -> None:
        """Refuse connections; calls that take longer than a second lose their answer."""
        if self._runner is not None:
            runner, self._runner = self._runner, None
            await runner.cleanup()
