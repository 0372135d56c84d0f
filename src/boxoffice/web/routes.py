"""Routes of the pages, and the clock for their countdowns."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import falcon
import falcon.asgi
import msgspec

from boxoffice.errors import NotFound
from boxoffice.http.api import problems
from boxoffice.http.api.headers import accepts_gzip, prefers_html
from boxoffice.http.api.operation import READS, Call, Reply, RouteDependencies, operation
from boxoffice.web import assets
from boxoffice.web.assets import Asset, Assets

_YEAR_S = 31_536_000

# Addresses that serve the shell; the routes in `static/js/main.js` choose the page.
PAGES = (
    "/",
    "/concerts/{concert_id}",
    "/schedules/{schedule_id}",
    "/schedules/{schedule_id}/queue",
    "/reservations/{reservation_id}",
    "/login",
    "/signup",
    "/me",
    "/organizer",
    "/organizer/{rest:path}",
)

# Scripts and styles are files of this origin; no eval, no other hosts.
_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",
    )
)
_PAGE_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "Cache-Control": "no-cache",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "Referrer-Policy": "same-origin",
    "X-Frame-Options": "DENY",
}
_BOOT_HEADERS = {"Cache-Control": "no-cache", "Cross-Origin-Resource-Policy": "same-origin"}
_ICON_HEADERS = {"Cache-Control": f"public, max-age={_YEAR_S // 365}"}
_ASSET_HEADERS = {
    "Cache-Control": f"public, max-age={_YEAR_S}, immutable",
    "Cross-Origin-Resource-Policy": "same-origin",
}


class ClockOut(msgspec.Struct):
    """The server's time."""

    now: datetime


class Clock:
    """`/v1/clock`."""

    def __init__(self, dependencies: RouteDependencies, now_s: Callable[[], float]) -> None:
        self.dependencies = dependencies
        self._now_s = now_s

    @operation("Get the server's time", returns=ClockOut, fast_path=True)
    async def on_get(self, _call: Call[None, None]) -> Reply:
        """The database's clock, for countdowns on devices whose clock is wrong."""
        return Reply(ClockOut(datetime.fromtimestamp(self._now_s(), UTC)))


class Shell:
    """The HTML shell of every page."""

    def __init__(self, found: Assets) -> None:
        self._shell = found.shell

    async def on_get(
        self, req: falcon.asgi.Request, resp: falcon.asgi.Response, **_params: str
    ) -> None:
        """Return the shell; caches must revalidate it."""
        _send(req, resp, self._shell, _PAGE_HEADERS)


class Icon:
    """`/favicon.ico`, which browsers request without reading the page."""

    def __init__(self, found: Assets) -> None:
        self._icon = found.icon

    async def on_get(self, req: falcon.asgi.Request, resp: falcon.asgi.Response) -> None:
        """Return the icon."""
        _send(req, resp, self._icon, _ICON_HEADERS)


class NotFoundPage:
    """404 for unknown addresses: HTML for browsers, a problem for API clients."""

    def __init__(self, found: Assets) -> None:
        self._page = found.not_found

    async def answer(
        self,
        req: falcon.asgi.Request,
        resp: falcon.asgi.Response,
        error: Exception,
        params: dict[str, Any],
    ) -> None:
        """Answer with 404."""
        await problems.on_framework_error(req, resp, error, params)
        if req.method in READS and prefers_html(req.get_header("Accept")):
            _send(req, resp, self._page, _PAGE_HEADERS)
        resp.set_header("Vary", "Accept, Accept-Encoding")


class Files:
    """`/assets/{tree}/{path}`: immutable files of this release; 404 for another one."""

    def __init__(self, found: Assets) -> None:
        self._found = found

    async def on_get(
        self, req: falcon.asgi.Request, resp: falcon.asgi.Response, tree: str, path: str
    ) -> None:
        """Return the file; on a 404, `boot.js` reloads the shell."""
        asset = self._found.find(tree, path)
        if asset is None:
            raise NotFound
        _send(req, resp, asset, _ASSET_HEADERS)

    async def on_get_boot(self, req: falcon.asgi.Request, resp: falcon.asgi.Response) -> None:
        """Return `boot.js`."""
        _send(req, resp, self._found.boot, _BOOT_HEADERS)


def _send(
    req: falcon.asgi.Request, resp: falcon.asgi.Response, asset: Asset, headers: dict[str, str]
) -> None:
    resp.content_type = asset.media_type
    resp.set_header("Vary", "Accept-Encoding")
    for name, value in headers.items():
        resp.set_header(name, value)
    if accepts_gzip(req.get_header("Accept-Encoding")):
        resp.set_header("Content-Encoding", "gzip")
        resp.data = asset.gzip
    else:
        resp.data = asset.plain


def routes(dependencies: RouteDependencies, now_s: Callable[[], float]) -> list[tuple[str, object]]:
    """Return the API resources of this module by URI template."""
    return [("/v1/clock", Clock(dependencies, now_s))]


def install(app: "falcon.asgi.App[Any, Any]") -> None:
    """Serve the pages and their files."""
    found = assets.load()
    shell, served = Shell(found), Files(found)
    for template in PAGES:
        app.add_route(template, shell)
    app.add_route("/favicon.ico", Icon(found))
    app.add_error_handler(falcon.HTTPRouteNotFound, NotFoundPage(found).answer)
    app.add_route(f"{assets.PREFIX}/{assets.BOOT}", served, suffix="boot")
    app.add_route(assets.PREFIX + "/{tree}/{path:path}", served)
