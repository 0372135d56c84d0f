"""A browser whose page cannot be shown sees a page of the shop, a program a problem."""

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import pytest

from boxoffice.errors import Overloaded
from boxoffice.http.api.operation import Call, Reply, RouteDependencies, operation
from boxoffice.http.api.problems import Rendered, render, render_bug
from boxoffice.http.api.router import Present, Router
from boxoffice.web import assets
from boxoffice.web.routes import present_refusals

BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


@pytest.fixture(scope="module")
def present() -> Present:
    """The presenter of the pages of this installation."""
    return present_refusals(assets.load())


def shown(present: Present, refusal: Rendered, headers: Mapping[str, str]) -> Rendered:
    """What a client with these headers is answered to a GET."""
    request: Any = SimpleNamespace(method="GET", get_header=headers.get)
    return present(request, refusal)


class _Page:
    is_page = True

    def __init__(self, dependencies: RouteDependencies) -> None:
        self.dependencies = dependencies

    @operation("A page", cached=True)
    async def on_get(self, _call: Call[None, None]) -> Reply:
        """Answer nothing."""
        return Reply()


def test_only_pages_and_unknown_addresses_are_presented(present: Present) -> None:
    dependencies: Any = SimpleNamespace()
    call = _Page(dependencies)
    call.is_page = False
    router = Router([("/page", _Page(dependencies)), ("/call", call)], dependencies, present)
    assert router.find("GET", b"/page").present is present
    assert router.find("GET", b"/nowhere").present is present
    assert router.find("POST", b"/call").present is present
    assert router.find("GET", b"/call").present is None


@pytest.mark.parametrize(
    ("refusal", "status", "title"),
    [
        (render_bug(RuntimeError(), "r1"), 500, "Something broke on our side"),
        (render(Overloaded(retry_after_s=2), "r1"), 503, "One moment"),
    ],
)
def test_a_page_that_fails_says_so_in_both_languages(
    present: Present, refusal: Rendered, status: int, title: str
) -> None:
    page = shown(present, refusal, BROWSER)
    assert (page.status, page.media_type) == (status, "text/html; charset=utf-8")
    text = page.body.decode()
    assert title in text
    assert text.count("<h1>") == 2
    assert 'lang="ko"' in text
    assert "Content-Security-Policy" in page.headers
    assert page.headers.get("Retry-After") == refusal.headers.get("Retry-After")
    program = shown(present, refusal, {})
    assert (program.body, program.media_type) == (refusal.body, "application/problem+json")
