"""The widget is in the frames of the named sites and of no other; other pages are in none."""

from boxoffice.web.widget import widget_headers


def test_named_sites_may_show_it() -> None:
    headers = widget_headers(["https://venue.example", "http://localhost:8080"], 2)
    policy = headers["Content-Security-Policy"].split("; ")
    assert "frame-ancestors https://venue.example http://localhost:8080" in policy
    assert "default-src 'none'" in policy
    assert headers["Cache-Control"] == "public, max-age=2"
    # The older header knows no list; browsers would obey it where it stands.
    assert "X-Frame-Options" not in headers


def test_without_a_named_site_none_may() -> None:
    headers = widget_headers([], 2)
    assert "frame-ancestors 'none'" in headers["Content-Security-Policy"].split("; ")
    assert headers["X-Frame-Options"] == "DENY"
