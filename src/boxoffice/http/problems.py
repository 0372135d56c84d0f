"""Problems as answers: RFC 9457 `application/problem+json` with a stable `code`."""

from typing import Any

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
from boxoffice.http.statuses import STATUSES
from boxoffice.platform import telemetry

MEDIA_TYPE = "application/problem+json"
_INTERNAL = "internal"


class ProblemBody(msgspec.Struct, kw_only=True):
    """What every refusal looks like; some codes add members of their own."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    request_id: str


def write(resp: falcon.asgi.Response, problem: Problem, request_id: str) -> None:
    """Turn `resp` into the answer that `problem` stands for."""
    status = STATUSES[problem.code]
    resp.status = str(status)
    resp.data = _body(
        problem.code, problem.title, status, problem.detail, request_id, problem.extra
    )
    resp.content_type = MEDIA_TYPE
    resp.set_header("Cache-Control", "no-store")
    if isinstance(problem, BodyTooSlow):
        # The rest of the body may never come, so the connection is of no more use (RFC 9110, 15.5.9).
        resp.set_header("Connection", "close")
    if isinstance(problem, Unauthenticated):
        resp.set_header("WWW-Authenticate", "Bearer")
    if isinstance(problem, Unavailable):
        resp.set_header("Retry-After", str(problem.retry_after_s))
    if isinstance(problem, TooMany):
        resp.set_header("Retry-After", str(problem.extra.get("retry_after_s", 1)))
    resp.context.code = problem.code


def _body(
    code: str, title: str, status: int, detail: str, request_id: str, extra: dict[str, object]
) -> bytes:
    return msgspec.json.encode(
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


def install(app: falcon.asgi.App[Any, Any]) -> None:
    """Make every error of `app` an answer of one shape."""
    app.add_error_handler(Exception, _on_bug)
    app.add_error_handler(falcon.HTTPError, _on_framework_error)
    app.add_error_handler(Problem, _on_problem)


async def _on_problem(
    req: falcon.asgi.Request, resp: falcon.asgi.Response, error: Exception, _params: dict[str, Any]
) -> None:
    if not isinstance(error, Problem):
        raise IntegrityError("the handler of problems was given something else") from error
    write(resp, error, req.context.request_id)


async def _on_framework_error(
    req: falcon.asgi.Request, resp: falcon.asgi.Response, error: Exception, _params: dict[str, Any]
) -> None:
    problem: Problem
    if isinstance(error, falcon.HTTPMethodNotAllowed):
        problem = MethodNotAllowed()
        resp.set_header("Allow", (error.headers or {}).get("Allow", ""))  # type: ignore[union-attr]
    elif isinstance(error, falcon.HTTPNotFound):
        problem = NotFound()
    else:
        problem = BadRequest(str(getattr(error, "description", None) or BadRequest.title))
    write(resp, problem, req.context.request_id)


async def _on_bug(
    req: falcon.asgi.Request, resp: falcon.asgi.Response, error: Exception, _params: dict[str, Any]
) -> None:
    """Answer 500 without details, and log the whole story under the request's id."""
    telemetry.log.error("request_failed", request_id=req.context.request_id, exc_info=error)
    resp.status = "500"
    resp.data = _body(
        _INTERNAL, "Something broke on our side.", 500, "It was logged.", req.context.request_id, {}
    )
    resp.content_type = MEDIA_TYPE
    resp.context.code = _INTERNAL
