"""Problems as answers: RFC 9457 `application/problem+json` with a stable `code`."""

from collections.abc import Mapping

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

_encode = msgspec.json.Encoder().encode


class ProblemBody(msgspec.Struct, kw_only=True):
    """The members of every problem; some codes add others."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    request_id: str


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


def render(problem: Problem, request_id: str) -> Rendered:
    """Return the answer to a request that `problem` refuses."""
    status = STATUSES[problem.code]
    body = _encode(body_of(problem, request_id))
    # The rest of a slow body may never come, so the connection is of no more use (RFC 9110, 15.5.9).
    closes = isinstance(problem, BodyTooSlow)
    return Rendered(status, problem.code, body, _headers(problem), closes=closes)


def body_of(problem: Problem, request_id: str) -> dict[str, object]:
    """Return the members of the answer that `problem` is."""
    status = STATUSES[problem.code]
    return _members(problem.code, problem.title, status, problem.detail, request_id, problem.extra)


def render_bug(error: BaseException, request_id: str) -> Rendered:
    """Return an answer without details, and log the error under the request's id."""
    log.error("request_failed", request_id=request_id, exc_info=error)
    detail = "It was logged."
    body = _encode(_members(_INTERNAL, "Something broke on our side.", 500, detail, request_id, {}))
    return Rendered(500, _INTERNAL, body, {})


def _headers(problem: Problem) -> Mapping[str, str]:
    if isinstance(problem, MethodNotAllowed):
        return {**NO_STORE, "Allow": problem.allow}
    if isinstance(problem, Unauthenticated):
        return {**NO_STORE, "WWW-Authenticate": "Bearer"}
    if isinstance(problem, Unavailable):
        return {**NO_STORE, "Retry-After": str(problem.retry_after_s)}
    if isinstance(problem, TooMany):
        return {**NO_STORE, "Retry-After": str(problem.extra.get("retry_after_s", 1))}
    return NO_STORE


def _members(
    code: str, title: str, status: int, detail: str, request_id: str, extra: dict[str, object]
) -> dict[str, object]:
    return {
        "type": f"urn:boxoffice:problem:{code}",
        "title": title,
        "status": status,
        "detail": detail,
        "code": code,
        "request_id": request_id,
        **extra,
    }
