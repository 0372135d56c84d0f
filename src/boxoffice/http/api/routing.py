"""Which responder answers a request of the framework's way: by its method and by its path as sent."""

import re
from typing import Any

import falcon
from falcon.routing import CompiledRouter

_ENCODED = re.compile(r"%([0-9A-Fa-f]{2})")
_NOT_ENCODED = re.compile(rb"%(?![0-9A-Fa-f]{2})")
_UNRESERVED = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")


class Router(CompiledRouter):
    """Falcon's router; HEAD is answered wherever GET is (RFC 9110, section 9.3.2)."""

    def map_http_methods(self, resource: object, **kwargs: Any) -> Any:
        """Return the responders of a resource by method."""
        found: dict[str, Any] = dict(super().map_http_methods(resource, **kwargs))
        if "GET" in found:
            # The server sends the same head without the body.
            found.setdefault("HEAD", found["GET"])
        return found

    def find(self, uri: str, req: Any = None) -> Any:
        """Return the route of a path, if there is one; an empty first segment leads nowhere."""
        return None if uri.startswith("//") else super().find(uri, req)


def path_of(raw_path: bytes) -> str:
    """Return the path by which a request is routed; raise `HTTPRouteNotFound` for what is none.

    Only what means the same with and without percent-encoding is decoded (RFC 3986, section 6.2.2.2):
    an encoded slash stays part of its segment, and everything else that is reserved or no ASCII stays
    as it was sent. The fast path decodes nothing, and leaves a path that has to be to the framework.
    """
    path = raw_path.decode("latin-1")
    if "%" not in path:
        return path
    if _NOT_ENCODED.search(raw_path):
        raise falcon.HTTPRouteNotFound
    return _ENCODED.sub(_decoded, path)


def _decoded(encoded: re.Match[str]) -> str:
    character = chr(int(encoded[1], 16))
    return character if character in _UNRESERVED else encoded[0].upper()
