"""A visitor with a browser, who notices what must not happen: errors, outside requests, overflow."""

import time
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

from playwright.async_api import (
    BrowserContext,
    ConsoleMessage,
    Locator,
    Page,
    Request,
    Response,
    expect,
)
from playwright.async_api import Error as BrowserError

from tests.e2e.api.client import Sale

PATIENCE_MS = 20_000
# What a failed test prints of a page.
_TIMELINE_MAX = 80
_TEXT_MAX_CHARACTERS = 2_000
_LOOK_MS = 3_000

expect.set_options(timeout=PATIENCE_MS)


class Visitor:
    """A page in a context of its own, and a record of what went wrong on it.

    Chromium writes a line for each answer that is no success: `expected` are words of which one must be
    in a line that is fine, such as "409" or "ERR_". `providers` are origins of payment providers, which
    only the checkout may use.
    """

    def __init__(
        self,
        context: BrowserContext,
        page: Page,
        base_url: str,
        expected: Sequence[str],
        providers: Sequence[str] = (),
    ) -> None:
        self.context = context
        self.page = page
        self.expected = list(expected)
        self.errors: list[str] = []
        self.outside: list[str] = []
        self.timeline: deque[str] = deque(maxlen=_TIMELINE_MAX)
        self._began_s = time.monotonic()
        self._host = urlsplit(base_url).netloc
        self._providers = [urlsplit(origin).netloc for origin in providers]
        page.set_default_timeout(PATIENCE_MS)
        page.on("console", self._on_console)
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        context.on("request", self._on_request)
        context.on("response", self._on_response)
        context.on("requestfailed", lambda request: self._note("failed", request.url))
        context.on("console", lambda message: self._note(message.type, message.text))

    def _note(self, *parts: object) -> None:
        passed_s = time.monotonic() - self._began_s
        self.timeline.append(f"{passed_s:8.3f} s  {' '.join(map(str, parts))}")

    def _on_response(self, response: Response) -> None:
        if not urlsplit(response.url).path.startswith("/assets/"):
            self._note(response.request.method, response.url, response.status)

    async def describe(self, screenshot: Path) -> str:
        """Return what a failed test has to print: requests and console by time, and the page."""
        try:
            await self.page.screenshot(path=screenshot, timeout=_LOOK_MS)
            text = await self.page.locator("body").inner_text(timeout=_LOOK_MS)
        except BrowserError as error:
            text = f"cannot be read: {error.message}"
        lines = ["", f"--- {self.page.url}, screenshot {screenshot}", *self.timeline]
        return "\n".join([*lines, "--- its text", text[:_TEXT_MAX_CHARACTERS]])

    def _on_console(self, message: ConsoleMessage) -> None:
        # The pages of a simulator are its own; Chromium asks there for an icon.
        if message.type != "error" or self._is_providers(message.location["url"]):
            return
        if not any(word in message.text for word in self.expected):
            self.errors.append(message.text)

    def _on_request(self, request: Request) -> None:
        to = urlsplit(request.url)
        if to.scheme in ("data", "blob") or to.netloc == self._host:
            return
        if not self._is_providers(request.url) or not self._is_paying(request):
            self.outside.append(request.url)

    def _is_providers(self, url: str) -> bool:
        return urlsplit(url).netloc in self._providers

    def _is_paying(self, request: Request) -> bool:
        """Whether a request is made by the checkout, or by a page of a provider."""
        by = urlsplit(request.frame.url)
        return by.netloc in ("", *self._providers) or by.path.startswith("/checkout/")

    def check(self) -> None:
        """Nothing went wrong."""
        assert self.errors == [], self.errors
        assert self.outside == [], self.outside

    async def open(self, path: str = "/") -> None:
        """Go to an address of the shop and wait for its page."""
        await self.page.goto(path)
        await expect(self.page.locator("main h1")).to_be_visible()

    async def log_in(self, email: str, password: str) -> None:
        """Log in on the login page."""
        await self.page.get_by_label("E-mail").fill(email)
        await self.page.get_by_label("Password").fill(password)
        await self.button("Log in").click()

    def button(self, name: str, exact: bool = True) -> Locator:
        """The button that is called so."""
        return self.page.get_by_role("button", name=name, exact=exact)

    def link(self, name: str, exact: bool = True) -> Locator:
        """The link that is called so."""
        return self.page.get_by_role("link", name=name, exact=exact)

    def heading(self, name: str) -> Locator:
        """The heading that is called so."""
        return self.page.get_by_role("heading", name=name, exact=True)

    def title(self, name: str) -> Locator:
        """The heading of the page that is called so; a card in a list may bear the same name."""
        return self.page.get_by_role("heading", name=name, exact=True, level=1)

    async def overflow_px(self) -> int:
        """By how many pixels the page is wider than the window."""
        wide = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        return int(await self.page.evaluate(wide))

    async def open_seats(self, sale: Sale, *seats: str) -> None:
        """Go to the seats of a sale and choose some of them in the list, such as "A-1-3"."""
        await self.open(f"/schedules/{sale.schedule_id}")
        await self.unfold()
        for seat in seats:
            await self.seat(seat).click()
            await expect(self.seat(seat)).to_have_attribute("aria-pressed", "true")

    def seat(self, seat_id: str) -> Locator:
        """The button of a seat in the list, whose section is unfolded."""
        section, row, number = seat_id.split("-")
        name = f"Section {section}, row {row}, seat {number},"
        return self.page.get_by_role("group").get_by_role("button", name=name)

    async def unfold(self, section: str = "A") -> None:
        """Unfold a section of the list."""
        await self.page.locator("summary", has_text=f"Section {section}").click()

    def toast(self, text: str) -> Locator:
        """What the page tells for a moment."""
        return self.page.locator(".toast", has_text=text)
