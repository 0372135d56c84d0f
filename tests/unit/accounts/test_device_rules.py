"""A User-Agent names a browser and a system, or nothing."""

import pytest

from boxoffice.accounts.devices.rules import device_of


@pytest.mark.parametrize(
    ("user_agent", "device"),
    [
        ("", ("", "")),
        ("curl/8.5.0", ("", "")),
        ("(Windows NT 10.0; Win64) Chrome/140.0 Safari/537.36", ("Chrome", "Windows")),
        ("(Windows NT 10.0) Chrome/140.0 Safari/537.36 Edg/140.0", ("Edge", "Windows")),
        (
            "(Linux; Android 10; K) SamsungBrowser/28.0 Chrome/130.0 Mobile Safari/537.36",
            ("Samsung Internet", "Android"),
        ),
        ("(iPhone; CPU iPhone OS 18_0 like Mac OS X) Safari/604.1", ("Safari", "iPhone")),
        ("(Macintosh; Intel Mac OS X 10.15; rv:140.0) Firefox/140.0", ("Firefox", "macOS")),
        ("(X11; CrOS x86_64) Chrome/140.0 Safari/537.36", ("Chrome", "ChromeOS")),
        ("x" * 600 + " Firefox/140.0", ("", "")),
    ],
)
def test_a_device_is_named_as_the_browser_names_it(
    user_agent: str, device: tuple[str, str]
) -> None:
    assert device_of(f"Mozilla/5.0 {user_agent}") == device
