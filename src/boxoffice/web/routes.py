"""Routes of the pages, and the clock for their countdowns."""

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from boxoffice.errors import NotFound, Problem
from boxoffice.http.api.headers import prefers_html
from boxoffice.http.api.operation import (
    READS,
    Call,
    PathId,
    Reply,
    Request,
    RouteDependencies,
    operation,
)
from boxoffice.http.api.problems import Rendered
from boxoffice.http.api.router import Present
from boxoffice.web import assets
from boxoffice.web.assets import Asset, Assets
from boxoffice.web.page_head import PageHead, head_of, without_scripts
from boxoffice.web.reference.routes import reference_routes
from boxoffice.web.replies import PERMISSIONS, negotiated, reply

_YEAR_S = 31_536_000
_HEADS_MAX = 64

# Addresses that serve the shell; the routes in `static/js/main.js` choose the page.
PAGES = (
    "/",
    "/schedules/{schedule_id}",
    "/schedules/{schedule_id}/queue",
    "/reservations/{reservation_id}",
    "/login",
    "/signup",
    "/me",
    "/account",
    "/account/forgot",
    "/account/reset",
    "/account/confirm",
    "/organizations/{organization_id}/terms",
    "/organizer",
    "/organizer/{rest:path}",
)
# The address of these may name a buyer, such as one whom an organizer searches for.
_UNSHARED_PAGES = ("/login", "/organizer", "/organizer/{rest:path}")
# A page whose head has the facts of a concert, for programs that run no scripts.
CONCERT_PAGE = "/concerts/{concert_id}"
# The page on which a payment provider's script runs; no other page may load it.
CHECKOUT_PAGES = ("/checkout/{intent_id}",)

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
# Shared caches keep what has no hash in its address for a second; browsers revalidate it. HAProxy reads
# from left to right, and takes `max-age=0` after `public` for a refusal.
_SHARED = "max-age=0, s-maxage=1, public"
_PAGE_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "Cache-Control": _SHARED,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": PERMISSIONS,
    "Referrer-Policy": "same-origin",
    "X-Frame-Options": "DENY",
}
# For a page whose address may have what is of one user: a cache keeps addresses, too.
_UNSHARED = {"Cache-Control": "no-cache"}


def checkout_headers(origins: Sequence[str]) -> dict[str, str]:
    """Return the headers of a page that may load, frame and call `origins`.

    A provider's script makes scripts and windows of its own: it knows no trusted types, and a window
    that it opens must be able to answer.
    """
    allowed = "".join(f" {origin}" for origin in origins)
    framed = allowed or " 'none'"
    policy = "; ".join(
        (
            "default-src 'none'",
            f"script-src 'self'{allowed}",
            "style-src 'self'",
            f"img-src 'self' data:{allowed}",
            f"connect-src 'self'{allowed}",
            f"frame-src{framed}",
            "base-uri 'none'",
            f"form-action{framed}",
            "frame-ancestors 'none'",
        )
    )
    may_pay = " ".join(["self", *(f'"{origin}"' for origin in origins)])
    permissions = _PAGE_HEADERS["Permissions-Policy"].replace("payment=()", f"payment=({may_pay})")
    return {
        **_PAGE_HEADERS,
        # A provider returns to it with its keys in the query.
        **_UNSHARED,
        "Content-Security-Policy": policy,
        "Cross-Origin-Opener-Policy": "same-origin-allow-popups",
        "Permissions-Policy": permissions,
    }


_BOOT_HEADERS = {"Cache-Control": _SHARED, "Cross-Origin-Resource-Policy": "same-origin"}
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

    @operation("Get the server's time", returns=ClockOut)
    async def on_get(self, _call: Call[None, None]) -> Reply:
        """The database's clock, for countdowns on devices whose clock is wrong."""
        return Reply(ClockOut(datetime.fromtimestamp(self._now_s(), UTC)))


class Shell:
    """The HTML shell of every page."""

    is_page = True

    def __init__(
        self, dependencies: RouteDependencies, found: Assets, headers: dict[str, str]
    ) -> None:
        self.dependencies = dependencies
        self._shell = found.shell
        self._headers = headers

    @operation("A page", cached=True)
    async def on_get(self, call: Call[None, None]) -> Reply:
        """Return the shell; browsers must revalidate it."""
        return reply(call.req, self._shell, self._headers)


HeadOf = Callable[[str], Awaitable[PageHead | None]]


class ConcertShell:
    """The shell of a concert's page: with its title, preview and data for search engines."""

    is_page = True

    def __init__(self, dependencies: RouteDependencies, found: Assets, head: HeadOf) -> None:
        self.dependencies = dependencies
        self._found = found
        self._head = head
        # A head that was returned before is the same object, and its page is packed once.
        self._packed: OrderedDict[int, tuple[PageHead, Asset]] = OrderedDict()

    @operation(
        "A concert's page",
        cached=True,
        path={"concert_id": PathId(str, NotFound, "The id of a concert.")},
    )
    async def on_get(self, call: Call[None, None]) -> Reply:
        """Return the shell; the one of all pages where the concert is not shown."""
        try:
            head = await self._head(call.ids["concert_id"])
        except Problem:
            head = None
        return reply(call.req, self._shell(head), _PAGE_HEADERS)

    def _shell(self, head: PageHead | None) -> Asset:
        if head is None:
            return self._found.shell
        known = self._packed.get(id(head))
        if known is None:
            known = head, self._found.page(head_of(head), without_scripts(head))
            self._packed[id(head)] = known
            while len(self._packed) > _HEADS_MAX:
                self._packed.popitem(last=False)
        return known[1]


class Icon:
    """`/favicon.ico`, which browsers request without reading the page."""

    def __init__(self, dependencies: RouteDependencies, found: Assets) -> None:
        self.dependencies = dependencies
        self._icon = found.icon

    @operation("The icon", cached=True)
    async def on_get(self, call: Call[None, None]) -> Reply:
        """Return the icon."""
        return reply(call.req, self._icon, _ICON_HEADERS)


class Boot:
    """`/assets/boot.js`, which starts a page of any release."""

    def __init__(self, dependencies: RouteDependencies, found: Assets) -> None:
        self.dependencies = dependencies
        self._boot = found.boot

    @operation("The script that starts a page", cached=True)
    async def on_get(self, call: Call[None, None]) -> Reply:
        """Return `boot.js`."""
        return reply(call.req, self._boot, _BOOT_HEADERS)


class Files:
    """`/assets/{tree}/{path}`: immutable files of this release; 404 for another one."""

    def __init__(self, dependencies: RouteDependencies, found: Assets) -> None:
        self.dependencies = dependencies
        self._found = found

    @operation(
        "A file of a page",
        cached=True,
        path={
            "tree": PathId(str, NotFound, "The hash of all files of a release."),
            "path": PathId(str, NotFound, "The path of a file among them."),
        },
    )
    async def on_get(self, call: Call[None, None]) -> Reply:
        """Return the file; on a 404, `boot.js` reloads the shell."""
        asset = self._found.find(call.ids["tree"], call.ids["path"])
        if asset is None:
            raise NotFound
        return reply(call.req, asset, _ASSET_HEADERS)


def routes(dependencies: RouteDependencies, now_s: Callable[[], float]) -> list[tuple[str, object]]:
    """Return the API resources of this module by URI template."""
    return [("/v1/clock", Clock(dependencies, now_s))]


def page_routes(
    dependencies: RouteDependencies,
    found: Assets,
    sdk_origins: Sequence[str],
    head: HeadOf,
    document: Mapping[str, Any],
) -> list[tuple[str, object]]:
    """Return the pages and their files, by URI template.

    `sdk_origins` are for the checkout alone; `head` returns what a concert's page says of itself;
    `document` is what the API reference shows.
    """
    shell = Shell(dependencies, found, _PAGE_HEADERS)
    unshared = Shell(dependencies, found, {**_PAGE_HEADERS, **_UNSHARED})
    checkout = Shell(dependencies, found, checkout_headers(sdk_origins))
    return [
        *((one, unshared if one in _UNSHARED_PAGES else shell) for one in PAGES),
        *((template, checkout) for template in CHECKOUT_PAGES),
        (CONCERT_PAGE, ConcertShell(dependencies, found, head)),
        ("/favicon.ico", Icon(dependencies, found)),
        (f"{assets.PREFIX}/{assets.BOOT}", Boot(dependencies, found)),
        (assets.PREFIX + "/{tree}/{path:path}", Files(dependencies, found)),
        *reference_routes(dependencies, found, document, _PAGE_HEADERS),
    ]


def present_refusals(found: Assets) -> Present:
    """Return the presenter of refusals: a page of the shop for browsers, a problem for programs."""

    def present(request: Request, refusal: Rendered) -> Rendered:
        vary = {"Vary": "Accept, Accept-Encoding"}
        if request.method not in READS or not prefers_html(request.get_header("Accept")):
            return msgspec.structs.replace(refusal, headers={**refusal.headers, **vary})
        page = found.refusal(refusal.status)
        body, own = negotiated(request, page)
        headers = {**_PAGE_HEADERS, **_UNSHARED, **refusal.headers, **own, **vary}
        return msgspec.structs.replace(
            refusal, body=body, media_type=page.media_type, headers=headers
        )

    return present
