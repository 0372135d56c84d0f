"""The pages of the simulators: small files with named places; every value is escaped."""

import html
from collections.abc import Mapping
from importlib.resources import files
from string import Template
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from aiohttp import web


def page(package: str, name: str, values: Mapping[str, object]) -> web.Response:
    """Return a page with its values."""
    escaped = {key: html.escape(str(value)) for key, value in values.items()}
    text = Template(_read(package, name)).substitute(escaped)
    return web.Response(text=text, content_type="text/html", headers={"Cache-Control": "no-store"})


def script(package: str, name: str) -> web.Response:
    """Return a script, which a page of another origin loads."""
    headers = {"Access-Control-Allow-Origin": "*", "Cross-Origin-Resource-Policy": "cross-origin"}
    return web.Response(text=_read(package, name), content_type="text/javascript", headers=headers)


def with_query(url: str, values: Mapping[str, object]) -> str:
    """Return an address with more parameters; raises `HTTPBadRequest` where it is not of the web."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.netloc:
        raise web.HTTPBadRequest(text="TEST: the address to return to is not of the web")
    query = parse_qsl(parts.query) + [(name, str(value)) for name, value in values.items()]
    return urlunsplit(parts._replace(query=urlencode(query)))


def _read(package: str, name: str) -> str:
    return files(package).joinpath("pages", name).read_text(encoding="utf-8")
