"""Somebody at a browser who notices what must not happen: errors, outside requests, overflow."""

from collections.abc import Sequence
from urllib.parse import urlsplit

from playwright.async_api import BrowserContext, ConsoleMessage, Locator, Page, Request, expect

# Chromium's own line about an answer that is no success; what matters is whether it was expected.
_REFUSED = "Failed to load resource"
PATIENCE_MS = 20_000

expect.set_options(timeout=PATIENCE_MS)


class Visitor:
    """A page in a context of its own, and a record of what went wrong on it.

    `expected` are words of which one must be in each console line about a refused or lost request, such
    as "409" or "ERR_".
    """

    def __init__(
        self, context: BrowserContext, page: Page, base_url: str, expected: Sequence[str]
    ) -> None:
        self.context = context
        self.page = page
        self.expected = list(expected)
        self.errors: list[str] = []
        self.outside: list[str] = []
        self._host = urlsplit(base_url).netloc
        page.set_default_timeout(PATIENCE_MS)
        page.on("console", self._on_console)
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        context.on("request", self._on_request)

    def _on_console(self, message: ConsoleMessage) -> None:
        if message.type != "error":
            return
        is_expected = any(word in message.text for word in self.expected)
        if not (message.text.startswith(_REFUSED) and is_expected):
            self.errors.append(message.text)

    def _on_request(self, request: Request) -> None:
        to = urlsplit(request.url)
        if to.scheme not in ("data", "blob") and to.netloc != self._host:
            self.outside.append(request.url)

    def check(self) -> None:
        """Nothing went wrong."""
        assert not self.errors
        assert not self.outside

    async def open(self, path: str = "/") -> None:
        """Go to an address of the shop and wait for its page."""
        await self.page.goto(path)
        await expect(self.page.locator("main h1, main .failure")).to_be_visible()

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

    async def overflow_px(self) -> int:
        """By how many pixels the page is wider than the window."""
        wide = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        return int(await self.page.evaluate(wide))
