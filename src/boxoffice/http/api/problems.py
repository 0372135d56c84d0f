"""Problems as answers: RFC 9457 `application/problem+json` with a stable `code`."""

from collections.abc import Mapping
from typing import NamedTuple

import msgspec

from boxoffice.errors import (
    BodyTooSlow,
    MethodNotAllowed,
    Problem,
    TooMany,
    Unauthenticated,
    Unavailable,
)
from boxoffice.http.api.headers import NO_STORE
from boxoffice.http.api.statuses import STATUSES
from boxoffice.observability.logs import log

MEDIA_TYPE = "application/problem+json"
_INTERNAL = "internal"
# The problems whose answers have headers of their own.
_WITH_HEADERS = (MethodNotAllowed, Unauthenticated, Unavailable, TooMany)

_encode = msgspec.json.Encoder().encode


class ProblemBody(msgspec.Struct, kw_only=True):
    """The members of every problem; some codes add others."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    request_id: str


class _ProblemKind(NamedTuple):
    """What the answers of one kind of problem have in common; no `headers` where each has its own."""

    type: str
    status: int
    headers: Mapping[str, str] | None
    closes: bool


class Rendered(msgspec.Struct, frozen=True, gc=False):
    """A refusal as bytes; `headers` without type and length of the body.

    One that `closes` is the last answer of its connection.
    """

    status: int
    code: str
    body: bytes
    headers: Mapping[str, str]
    media_type: str = MEDIA_TYPE
    closes: bool = False


_kinds: dict[type[Problem], _ProblemKind] = {}


def render(problem: Problem, request_id: str) -> Rendered:
    """Return the answer to a request that `problem` refuses."""
    kind = _kind_of(type(problem))
    body = _encode(_members(problem, kind, request_id))
    headers = kind.headers or _headers(problem)
    return Rendered(kind.status, problem.code, body, headers, closes=kind.closes)


def body_of(problem: Problem, request_id: str) -> dict[str, object]:
    """Return the members of the answer that `problem` is."""
    return _members(problem, _kind_of(type(problem)), request_id)


def render_bug(error: BaseException, request_id: str) -> Rendered:
    """Return an answer without details, and log the error under the request's id."""
    log.error("request_failed", request_id=request_id, exc_info=error)
    body = ProblemBody(
        type=_type(_INTERNAL),
        title="Something broke on our side.",
        status=500,
        detail="It was logged.",
        code=_INTERNAL,
        request_id=request_id,
    )
    return Rendered(500, _INTERNAL, _encode(body), {})


def _kind_of(kind: type[Problem]) -> _ProblemKind:
    return _kinds.get(kind) or _kinds.setdefault(kind, _look_up(kind))


def _look_up(kind: type[Problem]) -> _ProblemKind:
    headers = None if issubclass(kind, _WITH_HEADERS) else NO_STORE
    # The rest of a slow body may never come, so the connection is of no more use (RFC 9110, 15.5.9).
    closes = issubclass(kind, BodyTooSlow)
    return _ProblemKind(_type(kind.code), STATUSES[kind.code], headers, closes)


def _headers(problem: Problem) -> Mapping[str, str]:
    if isinstance(problem, MethodNotAllowed):
        return {**NO_STORE, "Allow": problem.allow}
    if isinstance(problem, Unauthenticated):
        return {**NO_STORE, "WWW-Authenticate": "Bearer"}
    if isinstance(problem, Unavailable):
        return {**NO_STORE, "Retry-After": str(problem.retry_after_s)}
    return {**NO_STORE, "Retry-After": str(problem.extra.get("retry_after_s", 1))}


def _type(code: str) -> str:
    return f"urn:boxoffice:problem:{code}"


def _members(problem: Problem, kind: _ProblemKind, request_id: str) -> dict[str, object]:
    return {
        "type": kind.type,
        "title": problem.title,
        "status": kind.status,
        "detail": problem.detail,
        "code": problem.code,
        "request_id": request_id,
        **problem.extra,
    }
