"""Operations: a route declares its input and output, and its handler gets one typed call.

The declaration validates requests and describes them in the OpenAPI document, so that the two cannot
disagree.
"""

import re
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Generic, Protocol, TypeVar
from uuid import UUID

import msgspec

from boxoffice.errors import (
    Forbidden,
    IdempotencyKeyInvalid,
    IdempotencyKeyRequired,
    IntegrityError,
    Invalid,
    NotFound,
    OutcomeUnknown,
    Problem,
    Unauthenticated,
    Unavailable,
)
from boxoffice.http.api import body as bodies
from boxoffice.http.downloads import Download
from boxoffice.http.streams import Stream, last_event_id
from boxoffice.platform.conditional import expected_version

B = TypeVar("B")
Q = TypeVar("Q")

READS = frozenset({"GET", "HEAD"})

_JSON = bodies.JSON_TYPE.encode("ascii")
_KEY = re.compile(r"[!-~]{1,128}")


class Principal(Protocol):
    """The caller."""

    @property
    def role(self) -> str: ...

    @property
    def organization_ids(self) -> Sequence[UUID] | None:
        """The organizations in which a confirmed caller has the permission; None: all."""


class Request(Protocol):
    """The part of a request that a handler may use beside its call.

    The names of `fields` are in lower case. `client` is the connected address, or the one that a
    trusted proxy names; `remote_addr` has a value even if `client` is unknown.
    """

    method: str
    fields: Mapping[bytes, bytes]
    request_id: str
    client: tuple[str, int] | None
    is_handled: bool

    @property
    def remote_addr(self) -> str: ...

    def get_header(self, name: str, /) -> str | None: ...

    def headers(self) -> Mapping[str, str]: ...

    async def read_body(self, max_bytes: int, /) -> bytes: ...


@dataclass(frozen=True)
class PathId:
    """An id in a path: its parser, and the problem of an id that cannot exist.

    The sales statistics count answers to buyers by the id that is `counted_apart`.
    """

    parse: Callable[[str], Any]
    missing: type[NotFound]
    description: str
    counted_apart: bool = False


@dataclass(frozen=True)
class RawBody:
    """A body that the handler reads itself, such as CSV; `examples` by media type.

    `text` is the schema of a body that is not JSON: any non-empty text by default.
    """

    media_types: tuple[str, ...]
    max_bytes: int
    schema: type[Any]
    examples: Mapping[str, Any] = field(default_factory=dict)
    text: Mapping[str, Any] = field(default_factory=lambda: {"type": "string", "minLength": 1})


@dataclass(frozen=True)
class Operation:
    """The declaration of one call.

    `accepts`: it may also answer 202, if its work goes on after the answer.
    An operation with `events` (types of data by event name) answers with a `Stream`. The handler of a
    `cached` operation sets `Cache-Control` itself; other answers with a body are `no-store`.
    """

    summary: str
    success: int
    returns: Any = None
    # The media type of an answer that is text.
    text_type: str = ""
    # The media types of an answer that is a `Download`.
    file_types: tuple[str, ...] = ()
    body: Any = None
    # Whether the body may be a large one: long texts, or a list such as of seats.
    has_large_body: bool = False
    raw_body: RawBody | None = None
    query: Any = None
    path: Mapping[str, PathId] = field(default_factory=dict)
    # The role or roles that may call it; "any" allows every caller with a token.
    role: str | tuple[str, ...] | None = None
    # A header that may stand in for the access token; such a call has no caller.
    instead_of_token: str = ""
    # What a caller must be allowed to do in an organization; instead of a role.
    permission: str = ""
    keyed: bool = False
    # Whether it takes an `Idempotency-Key`, without requiring it.
    may_have_key: bool = False
    accepts: bool = False
    # Headers that the handler reads: description by name; a name with `!` is required.
    headers: Mapping[str, str] = field(default_factory=dict)
    # Headers of the answer: description by name.
    returned_headers: Mapping[str, str] = field(default_factory=dict)
    cached: bool = False
    # The answer has an ETag that `If-Match` of a conditional operation names.
    tagged: bool = False
    conditional: bool = False
    events: Mapping[str, Any] = field(default_factory=dict)
    invalid: Mapping[str, type[Problem]] = field(default_factory=dict)
    problems: Sequence[type[Problem]] = ()

    @cached_property
    def roles(self) -> tuple[str, ...]:
        """The roles that may call it; empty if it needs no particular role."""
        if self.role in (None, "any"):
            return ()
        return (self.role,) if isinstance(self.role, str) else self.role or ()

    @cached_property
    def needs_token(self) -> bool:
        """Whether callers authenticate."""
        return self.role is not None or bool(self.permission)

    @cached_property
    def is_restricted(self) -> bool:
        """Whether it is for particular roles, or needs a permission."""
        return bool(self.roles or self.permission)

    @cached_property
    def reader(self) -> bodies.Reader[Any]:
        """The reader of its body."""
        return bodies.Reader(self.body, self.invalid)


class Call(msgspec.Struct, Generic[B, Q]):
    """One parsed request; only the fields that its operation declares are set."""

    req: Request
    caller: Any = None
    body: B = None  # type: ignore[assignment]
    query: Q = None  # type: ignore[assignment]
    key: str = ""
    # The version that `If-Match` names, of a conditional operation.
    version: int = 0
    last_event_id: str = ""
    raw: bytes = b""
    request_id: str = ""
    ids: Mapping[str, Any] = {}


class Reply(msgspec.Struct):
    """A successful answer: a value to encode as JSON, or bytes of a `media_type`.

    `location` is the path of what was created (RFC 9110, section 10.2.2).
    """

    value: Any = None
    encoded: bytes | None = None
    headers: Mapping[str, str] | None = None
    etag: str = ""
    location: str = ""
    media_type: str = bodies.JSON_TYPE
    # 202, of an operation that `accepts`.
    is_accepted: bool = False


async def _as_the_token_says(caller: Principal, _permission: str) -> Principal:
    return caller


@dataclass(frozen=True)
class RouteDependencies:
    """What every operation needs at run time; set once by the composition root.

    `confirm` returns a caller with the current role, and with the organizations in which the caller has
    a permission; restricted operations call it.
    """

    authenticate: Callable[[str], Principal]
    body_max_bytes: int
    request_timeout_s: float
    confirm: Callable[[Any, str], Awaitable[Principal]] = _as_the_token_says
    large_body_max_bytes: int = 4 * 1024 * 1024

    def max_bytes(self, op: Operation) -> int:
        """Return how large the JSON body of an operation may be."""
        return self.large_body_max_bytes if op.has_large_body else self.body_max_bytes


Handler = Callable[[Any, Call[Any, Any]], Coroutine[Any, Any, Reply | Stream | Download]]
H = TypeVar("H", bound=Handler)


def operation(summary: str, success: int = 200, **declared: Any) -> Callable[[H], H]:
    """Declare a handler: a method `on_get`, `on_post` … of a resource; arguments as of `Operation`.

    The resource has a member `dependencies`.
    """
    op = Operation(summary, success, **declared)
    if op.needs_token and op.events:
        raise IntegrityError("a stream cannot have a role: it would outlive its access token")

    def wrap(handler: H) -> H:
        handler.operation = op  # type: ignore[attr-defined]
        return handler

    return wrap


class Matched(Protocol):
    """A matched route: the operation, and the values of path and query."""

    @property
    def operation(self) -> Operation: ...

    @property
    def dependencies(self) -> RouteDependencies: ...

    @property
    def handler(
        self,
    ) -> Callable[[Call[Any, Any]], Coroutine[Any, Any, Reply | Stream | Download]]: ...

    @property
    def ids(self) -> Mapping[str, Any]: ...

    @property
    def missing(self) -> type[NotFound] | None: ...

    def query_values(self) -> Mapping[str, Any]: ...


async def respond(match: Matched, request: Request) -> Reply | Stream | Download:
    """Authenticate the caller, parse path, query and body, then call the handler.

    Raises the problem that refuses the request.
    """
    op, dependencies = match.operation, match.dependencies
    call: Call[Any, Any] = Call(request, request_id=request.request_id, ids=match.ids)
    if op.needs_token:
        call.caller = _authenticate(op, dependencies, request)
    if match.missing is not None:
        raise match.missing
    _read_headers(op, request, call)
    if op.is_restricted:
        call.caller = await _confirmed(op, dependencies, call.caller)
    if op.query is not None:
        call.query = _query(op.query, match.query_values())
    if op.body is not None:
        if request.fields.get(b"content-type") != _JSON:
            bodies.require_type(request, (bodies.JSON_TYPE,))
        call.body = op.reader.read(await request.read_body(dependencies.max_bytes(op)))
    elif op.raw_body is not None:
        bodies.require_type(request, op.raw_body.media_types)
        call.raw = await request.read_body(op.raw_body.max_bytes)
    request.is_handled = True
    return await match.handler(call)


def _read_headers(op: Operation, request: Request, call: Call[Any, Any]) -> None:
    if op.keyed or (op.may_have_key and b"idempotency-key" in request.fields):
        call.key = _idempotency_key(request, is_required=op.keyed)
    if op.events:
        call.last_event_id = last_event_id(request.get_header("Last-Event-ID"))
    if op.conditional:
        call.version = expected_version(request.get_header("If-Match"))


def out_of_time(method: str, *, handled: bool) -> Unavailable:
    """Return the refusal after the deadline; a started write may still take effect."""
    detail = "The request took longer than this service allows"
    if handled and method not in READS:
        return OutcomeUnknown(f"{detail}; what it was to do may have been done, or may yet be.")
    return Unavailable(f"{detail}.")


def scope_of(op: Operation, ids: Mapping[str, Any]) -> str:
    """Return the id by which answers of `op` are counted apart, or empty."""
    if op.is_restricted:
        return ""  # Readers of the sales statistics are not counted in them.
    return next((str(ids[name]) for name, path in op.path.items() if path.counted_apart), "")


def _authenticate(op: Operation, dependencies: RouteDependencies, req: Request) -> Principal | None:
    header = req.fields.get(b"authorization")
    if not header:
        if op.instead_of_token and req.get_header(op.instead_of_token):
            return None
        raise Unauthenticated
    scheme, _, token = header.decode("latin-1").partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise Unauthenticated("The Authorization header must be 'Bearer' and an access token.")
    caller = dependencies.authenticate(token.strip())
    if op.roles:
        _require_role(op.roles, caller)
    return caller


async def _confirmed(
    op: Operation, dependencies: RouteDependencies, caller: Principal
) -> Principal:
    """Return the caller as of now; a role in a token may have been taken away since."""
    # guard: role_is_read_again_for_sensitive_calls => confirmed = caller
    confirmed = await dependencies.confirm(caller, op.permission)
    _require_role(op.roles, confirmed)
    # guard: permission_is_required => if False:
    if op.permission and confirmed.organization_ids is not None and not confirmed.organization_ids:
        raise Forbidden(f"This call needs the permission '{op.permission}' in an organization.")
    return confirmed


def _require_role(roles: tuple[str, ...], caller: Principal) -> None:
    if roles and caller.role not in roles:
        named = " or ".join(f"'{role}'" for role in roles)
        raise Forbidden(f"This call is for the role {named}.")


def _idempotency_key(req: Request, *, is_required: bool) -> str:
    given = req.fields.get(b"idempotency-key")
    if not given:
        raise IdempotencyKeyRequired if is_required else IdempotencyKeyInvalid
    key = given.decode("latin-1")
    if not _KEY.fullmatch(key):
        raise IdempotencyKeyInvalid
    return key


def _query(kind: type[Q], values: Mapping[str, Any]) -> Q:
    try:
        return msgspec.convert(values, kind, strict=False)
    except msgspec.ValidationError as error:
        raise Invalid(f"The query is not acceptable: {error}.") from error
