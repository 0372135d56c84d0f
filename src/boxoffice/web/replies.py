"""Answers with a file of the pages, compressed where the client takes that."""

from collections.abc import Mapping

from boxoffice.http.api.headers import accepts_gzip
from boxoffice.http.api.operation import Reply, Request
from boxoffice.web.assets import Asset

# No page needs a device or the browser's own payment.
PERMISSIONS = "camera=(), geolocation=(), microphone=(), payment=(), usb=()"


def reply(request: Request, asset: Asset, headers: Mapping[str, str]) -> Reply:
    """Return a file in the form that the client takes."""
    body, own = negotiated(request, asset)
    return Reply(encoded=body, media_type=asset.media_type, headers={**headers, **own})


def negotiated(request: Request, asset: Asset) -> tuple[bytes, dict[str, str]]:
    """Return the bytes to send, and the headers that say in which form they are."""
    if accepts_gzip(request.get_header("Accept-Encoding")):
        return asset.gzip, {"Vary": "Accept-Encoding", "Content-Encoding": "gzip"}
    return asset.plain, {"Vary": "Accept-Encoding"}
