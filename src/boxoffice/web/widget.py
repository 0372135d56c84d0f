"""The widget: a page that other sites show in a frame, and the script that makes the frame."""

from collections.abc import Awaitable, Callable, Sequence

from boxoffice.errors import NotFound, Problem
from boxoffice.http.api.operation import Call, PathId, Reply, RouteDependencies, operation
from boxoffice.web.assets import Assets
from boxoffice.web.replies import PERMISSIONS, reply

WIDGET_PAGE = "/widget/concerts/{concert_id}"
EMBED_SCRIPT = "/widget.js"
_EMBED_FRESH_S = 300

# The sites that may show the widget of a concert.
FramesOf = Callable[[str], Awaitable[Sequence[str]]]


def widget_headers(origins: Sequence[str], fresh_s: int) -> dict[str, str]:
    """Return the headers of the widget where `origins` may show it; without any it is in no frame."""
    # guard: widget_is_framed_by_its_origins_only: " ".join(origins) or "'none'" => "*"
    ancestors = " ".join(origins) or "'none'"
    policy = "; ".join(
        (
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            "img-src 'self'",
            "connect-src 'self'",
            "base-uri 'none'",
            "form-action 'none'",
            f"frame-ancestors {ancestors}",
            "require-trusted-types-for 'script'",
            "trusted-types 'none'",
        )
    )
    headers = {
        "Content-Security-Policy": policy,
        "Cache-Control": f"public, max-age={fresh_s}",
        "Cross-Origin-Resource-Policy": "cross-origin",
        "Permissions-Policy": PERMISSIONS,
        "Referrer-Policy": "same-origin",
    }
    # This header knows no list: where sites are allowed, the policy alone says which.
    return headers if origins else {**headers, "X-Frame-Options": "DENY"}


class Widget:
    """The page in the frame."""

    def __init__(
        self, dependencies: RouteDependencies, found: Assets, frames: FramesOf, fresh_s: int
    ) -> None:
        self.dependencies = dependencies
        self._page = found.widget
        self._frames = frames
        self._fresh_s = fresh_s

    @operation(
        "The widget of a concert",
        cached=True,
        path={"concert_id": PathId(str, NotFound, "The id of a concert.")},
    )
    async def on_get(self, call: Call[None, None]) -> Reply:
        """Return the page; it is in no frame where the sites are not known."""
        try:
            origins = await self._frames(call.ids["concert_id"])
        except Problem:
            origins = ()
        return reply(call.req, self._page, widget_headers(origins, self._fresh_s))


class EmbedScript:
    """The script that a site loads to show the widget."""

    def __init__(self, dependencies: RouteDependencies, found: Assets) -> None:
        self.dependencies = dependencies
        self._script = found.embed

    @operation("The script that makes the frame of a widget", cached=True)
    async def on_get(self, call: Call[None, None]) -> Reply:
        """Return `embed.js`."""
        headers = {
            "Cache-Control": f"public, max-age={_EMBED_FRESH_S}",
            "Cross-Origin-Resource-Policy": "cross-origin",
        }
        return reply(call.req, self._script, headers)


def widget_routes(
    dependencies: RouteDependencies, found: Assets, frames: FramesOf, fresh_s: int
) -> list[tuple[str, object]]:
    """Return the widget and its script, by URI template."""
    return [
        (WIDGET_PAGE, Widget(dependencies, found, frames, fresh_s)),
        (EMBED_SCRIPT, EmbedScript(dependencies, found)),
    ]
