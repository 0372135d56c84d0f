"""Routing: finds the operation of a request by its method and its path as sent."""

import re
from collections.abc import Callable, Coroutine, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple
from urllib.parse import unquote_plus

import httptools

from boxoffice.errors import BadRequest, MethodNotAllowed, NotFound, Problem
from boxoffice.http.api.operation import (
    Call,
    Operation,
    Reply,
    Request,
    RouteDependencies,
    scope_of,
)
from boxoffice.http.api.problems import Rendered
from boxoffice.http.downloads import Download
from boxoffice.http.streams import Stream
from boxoffice.observability.access_log import Kind

Handler = Callable[[Call[Any, Any]], Coroutine[Any, Any, Reply | Stream | Download]]
# Replaces the body of a refusal, such as by a page for people.
Present = Callable[[Request, Rendered], Rendered]

_TARGETS_MAX = 4_096
_UNKNOWN = "unknown"
# Known methods (RFC 9110, RFC 4918, drafts): if a resource lacks one it answers 405; others get 400.
_METHODS = frozenset(
    [
        "CONNECT",
        "DELETE",
        "GET",
        "HEAD",
        "OPTIONS",
        "PATCH",
        "POST",
        "PUT",
        "TRACE",
        "CHECKIN",
        "CHECKOUT",
        "COPY",
        "LOCK",
        "MKCOL",
        "MOVE",
        "PROPFIND",
        "PROPPATCH",
        "REPORT",
        "UNCHECKIN",
        "UNLOCK",
        "UPDATE",
        "VERSION-CONTROL",
        "QUERY",
    ]
)
_ENCODED = re.compile(r"%([0-9A-Fa-f]{2})")
_NOT_ENCODED = re.compile(rb"%(?![0-9A-Fa-f]{2})")
_UNRESERVED = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")


class RouteMatch(NamedTuple):
    """The result of routing: an operation, and the values of the path.

    `missing` is the problem of an id in the path that cannot exist. `kinds` caches the access log's
    `Kind` per status and code.
    """

    operation: Operation
    template: str
    handler: Handler
    dependencies: RouteDependencies
    kinds: dict[tuple[int, str], Kind]
    ids: Mapping[str, Any] = {}
    missing: type[NotFound] | None = None
    query: bytes = b""
    scope: str = ""
    present: Present | None = None

    def query_values(self) -> dict[str, str | list[str]]:
        """Return the values of the query by name; the values of a repeated name are a list."""
        values: dict[str, Any] = {}
        for part in self.query.decode("latin-1").split("&"):
            name, _, value = part.partition("=")
            name, value = unquote_plus(name), unquote_plus(value)
            if name in values:
                before = values[name]
                values[name] = [*(before if isinstance(before, list) else [before]), value]
            elif name:
                values[name] = value
        return values


@dataclass
class _Node:
    """A node of the tree of paths: its routes by method, and its children by next segment."""

    template: str = ""
    routes: dict[str, RouteMatch] = field(default_factory=dict)
    literals: dict[str, "_Node"] = field(default_factory=dict)
    variable: "tuple[str, _Node] | None" = None
    # Matches all remaining segments, or no segment.
    rest: "tuple[str, _Node] | None" = None

    def below(self, segment: str) -> "_Node":
        """Return the child for a segment of a template; create it if it is new."""
        if not segment.startswith("{"):
            return self.literals.setdefault(segment, _Node())
        name, _, kind = segment[1:-1].partition(":")
        if kind == "path":
            self.rest = self.rest or (name, _Node())
            return self.rest[1]
        self.variable = self.variable or (name, _Node())
        return self.variable[1]

    def find(self, segments: list[str], at: int, found: dict[str, str]) -> "_Node | None":
        """Return the node of a path and put its variables into `found`; literals are tried first."""
        if at == len(segments):
            return self if self.template else None
        literal = self.literals.get(segments[at])
        if literal is not None and (node := literal.find(segments, at + 1, found)):
            return node
        if self.variable is not None:
            name, below = self.variable
            if node := below.find(segments, at + 1, found):
                found[name] = segments[at]
                return node
        if self.rest is not None:
            found[self.rest[0]] = "/".join(segments[at:])
            return self.rest[1]
        return None


class Router:
    """The operations of resources, pairs of a URI template and an object with `on_get`, `on_post` ….

    Every resource with GET answers HEAD (RFC 9110, section 9.3.2), and every resource answers OPTIONS.
    `present` may replace the body of the refusal of an unknown path, of a method that a resource does
    not have, and of what a page (`is_page`) fails with.
    """

    def __init__(
        self,
        resources: Iterable[tuple[str, Any]],
        dependencies: RouteDependencies,
        present: Present | None = None,
    ) -> None:
        self._dependencies = dependencies
        self._root = _Node()
        self._present = present
        self._unknown = self._own(_UNKNOWN, _raising(NotFound))._replace(present=present)
        self._unknown_by_method: dict[str, RouteMatch] = {}
        for template, resource in resources:
            self._add(template, resource)
        # A few hot targets get most requests, so the matches of targets are cached.
        self._known: dict[tuple[str, bytes], RouteMatch] = {}

    def routes(self) -> list[tuple[str, str]]:
        """Return all routes as pairs of a method and a template, without OPTIONS."""
        return [
            (method, node.template)
            for node in _nodes(self._root)
            for method, route in node.routes.items()
            if route.operation is not _OWN
        ]

    def find(self, method: str, target: bytes) -> RouteMatch:
        """Return the match of a request; raise `ValueError` for an invalid target."""
        return self._known.get((method, target)) or self._look_up(method, target)

    def _look_up(self, method: str, target: bytes) -> RouteMatch:
        raw_path, query = split_target(target)
        match = self._match(method, path_of(raw_path))
        if query:
            return match._replace(query=query)
        if match.missing is None and match.template != _UNKNOWN:
            if len(self._known) >= _TARGETS_MAX:
                self._known.clear()
            self._known[method, target] = match
        return match

    def _match(self, method: str, path: str | None) -> RouteMatch:
        variables: dict[str, str] = {}
        node = None
        # No route has an empty first segment.
        if path is not None and path.startswith("/") and not path.startswith("//"):
            node = self._root.find(path.split("/"), 1, variables)
        if node is None:
            return self._unknown_by_method.setdefault(method, self._unknown._replace(kinds={}))
        route = node.routes.get(method) or self._without_route(node, method)
        op = route.operation
        if not op.path:
            return route
        ids = {}
        for name, text in variables.items():
            ids[name] = op.path[name].parse(text)
            if ids[name] is None:
                return route._replace(missing=op.path[name].missing)
        route = route._replace(ids=ids)
        scope = scope_of(op, ids)
        return route._replace(scope=scope, kinds={}) if scope else route

    def _without_route(self, node: _Node, method: str) -> RouteMatch:
        """Return the refusal of a method that a resource does not have; store it in the node."""
        refuse: Callable[[], Problem]
        if method in _METHODS:
            refuse = partial(MethodNotAllowed, allow=", ".join([*_allowed(node), "OPTIONS"]))
        else:
            refuse = partial(BadRequest, "Invalid HTTP method")
        refused = self._own(node.template, _raising(refuse))._replace(present=self._present)
        node.routes[method] = refused
        return refused

    def _add(self, template: str, resource: Any) -> None:
        node = self._root
        for segment in template.split("/")[1:]:
            node = node.below(segment)
        node.template = template
        for name in dir(resource):
            handler = getattr(resource, name) if name.startswith("on_") else None
            op = getattr(handler, "operation", None)
            if op is not None:
                match = RouteMatch(op, template, handler, resource.dependencies, {})  # type: ignore[arg-type]
                if getattr(resource, "is_page", False):
                    match = match._replace(present=self._present)
                node.routes[name.removeprefix("on_").upper()] = match
        if "GET" in node.routes:
            # The server sends the same head without the body.
            node.routes.setdefault("HEAD", node.routes["GET"]._replace(kinds={}))
        allowed = ", ".join(_allowed(node))
        node.routes["OPTIONS"] = self._own(template, _options(allowed))

    def _own(self, template: str, handler: Handler) -> RouteMatch:
        return RouteMatch(_OWN, template, handler, self._dependencies, {})


_OWN = Operation("What the router answers itself", 200, cached=True)


def _raising(make: Callable[[], Problem]) -> Handler:
    async def refuse(_call: Call[Any, Any]) -> Reply:
        raise make()

    return refuse


def _options(allowed: str) -> Handler:
    async def options(_call: Call[Any, Any]) -> Reply:
        return Reply(headers={"Allow": allowed})

    return options


def _allowed(node: _Node) -> list[str]:
    return sorted(method for method, route in node.routes.items() if route.operation is not _OWN)


def _nodes(node: _Node) -> Iterable[_Node]:
    if node.template:
        yield node
    below = [*node.literals.values(), *(one[1] for one in (node.variable, node.rest) if one)]
    for one in below:
        yield from _nodes(one)


def split_target(target: bytes) -> tuple[bytes, bytes]:
    """Return path and query of a target; raise `ValueError` or `HttpParserError` if it is invalid."""
    url = httptools.parse_url(target)
    if url.path is None or not target.isascii():
        raise ValueError("a target is ASCII and has a path")
    return url.path, url.query or b""


def path_of(raw_path: bytes) -> str | None:
    """Return the path by which a request is routed, None for an invalid one.

    Decodes only unreserved characters (RFC 3986, section 6.2.2.2): an encoded slash stays part of its
    segment, and other reserved or non-ASCII characters stay as sent.
    """
    path = raw_path.decode("latin-1")
    if "%" not in path:
        return path
    if _NOT_ENCODED.search(raw_path):
        return None
    return _ENCODED.sub(_decoded, path)


def _decoded(encoded: re.Match[str]) -> str:
    character = chr(int(encoded[1], 16))
    return character if character in _UNRESERVED else encoded[0].upper()
