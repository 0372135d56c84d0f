"""Problems as answers: RFC 9457 `application/problem+json` with a stable `code`."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import falcon
import falcon.asgi
import msgspec

from boxoffice.errors import (
    BadRequest,
    BodyTooSlow,
    IntegrityError,
    MethodNotAllowed,
    NotFound,
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
    """What every refusal looks like; some codes add members of their own."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    request_id: str


class Rendered(NamedTuple):
    """A refusal as bytes; `headers` without type and length of the body."""

    status: int
    code: str
    body: bytes
    headers: Mapping[str, str]


def render(problem: Problem, request_id: str) -> Rendered:
    """Return the answer that `problem` stands for."""
    status = STATUSES[problem.code]
    body = _body(problem.code, problem.title, status, problem.detail, request_id, problem.extra)
    return Rendered(status, problem.code, body, _headers(problem))


def render_bug(error: BaseException, request_id: str) -> Rendered:
    """Return an answer without details, and log the whole story under the request's id."""
    log.error("request_failed", request_id=request_id, exc_info=error)
    detail = "It was logged."
    body = _body(_INTERNAL, "Something broke on our side.", 500, detail, request_id, {})
    return Rendered(500, _INTERNAL, body, {})


def _headers(problem: Problem) -> Mapping[str, str]:
    if isinstance(problem, BodyTooSlow):
        # The rest of the body may never come, so the connection is of no more use (RFC 9110, 15.5.9).
        return {**NO_STORE, "Connection": "close"}
    if isinstance(problem, Unauthenticated):
        return {**NO_STORE, "WWW-Authenticate": "Bearer"}
    if isinstance(problem, Unavailable):
        return {**NO_STORE, "Retry-After": str(problem.retry_after_s)}
    if isinstance(problem, TooMany):
        return {**NO_STORE, "Retry-After": str(problem.extra.get("retry_after_s", 1))}
    return NO_STORE


def _body(
    code: str, title: str, status: int, detail: str, request_id: str, extra: dict[str, object]
) -> bytes:
    return _encode(
        {
            "type": f"urn:boxoffice:problem:{code}",
            "title": title,
            "status": status,
            "detail": detail,
            "code": code,
            "request_id": request_id,
            **extra,
        }
    )


def _write(resp: falcon.asgi.Response, rendered: Rendered) -> None:
    resp.status = str(rendered.status)
    resp.data = rendered.body
    resp.content_type = MEDIA_TYPE
    for name, value in rendered.headers.items():
        resp.set_header(name, value)
    resp.context.code = rendered.code


def install(app: falcon.asgi.App[Any, Any]) -> None:
    """Make every error of `app` an answer of one shape."""
    app.add_error_handler(Exception, _on_bug)
    app.add_error_handler(falcon.HTTPError, on_framework_error)
    app.add_error_handler(Problem, _on_problem)


async def _on_problem(
    req: falcon.asgi.Request, resp: falcon.asgi.Response, error: Exception, _params: dict[str, Any]
) -> None:
    if not isinstance(error, Problem):
        raise IntegrityError("the handler of problems was given something else") from error
    _write(resp, render(error, req.context.request_id))


async def on_framework_error(
    req: falcon.asgi.Request, resp: falcon.asgi.Response, error: Exception, _params: dict[str, Any]
) -> None:
    """Answer with the problem that stands for what the framework says."""
    problem: Problem
    if isinstance(error, falcon.HTTPMethodNotAllowed):
        problem = MethodNotAllowed()
        resp.set_header("Allow", (error.headers or {}).get("Allow", ""))  # type: ignore[union-attr]
    elif isinstance(error, falcon.HTTPNotFound):
        problem = NotFound()
    else:
        problem = BadRequest(str(getattr(error, "description", None) or BadRequest.title))
    _write(resp, render(problem, req.context.request_id))


async def _on_bug(
    req: falcon.asgi.Request, resp: falcon.asgi.Response, error: Exception, _params: dict[str, Any]
) -> None:
    _write(resp, render_bug(error, req.context.request_id))
