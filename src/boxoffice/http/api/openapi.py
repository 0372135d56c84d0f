"""The OpenAPI 3.1 document, generated from the types that validate.

`apispec` assembles it; the schemas come from `msgspec`, which also decodes the requests.
"""

import inspect
import re
from collections.abc import Iterable, Mapping, Sequence
from importlib import import_module
from typing import Any

import msgspec
from apispec import APISpec

from boxoffice.errors import (
    BadRequest,
    BodyTooLarge,
    BodyTooSlow,
    Draining,
    Forbidden,
    IdempotencyInFlight,
    IdempotencyKeyInvalid,
    IdempotencyKeyRequired,
    IdempotencyKeyReused,
    Invalid,
    LastEventIdInvalid,
    MediaTypeUnsupported,
    OutcomeUnknown,
    Overloaded,
    Problem,
    TokenExpired,
    TokenInvalid,
    TooMany,
    Unauthenticated,
    Unavailable,
)
from boxoffice.http import streams
from boxoffice.http.api import body as bodies
from boxoffice.http.api import problems
from boxoffice.http.api.events import PublishedEvent, describe_stream, describe_webhooks
from boxoffice.http.api.examples import Story, add_examples, problem_example
from boxoffice.http.api.operation import READS, Operation, RawBody
from boxoffice.http.api.statuses import STATUSES
from boxoffice.platform.conditional import (
    PreconditionFailed,
    PreconditionInvalid,
    PreconditionRequired,
)

Route = tuple[str, Any]

_NO_STORY = Story()
_REF = "#/components/schemas/{name}"
_METHODS = ("get", "post", "put", "patch", "delete")
_MEANINGS = {
    200: "Done.", 201: "Created.", 202: "Accepted; the work goes on.", 204: "Done; no content.",
    304: "Not changed since that ETag.",
}  # fmt: skip


def document(
    routes: Iterable[Route],
    version: str,
    story: Story = _NO_STORY,
    events: Sequence[PublishedEvent] = (),
) -> dict[str, Any]:
    """Return the OpenAPI document of `routes`, pairs of a URI template and its resource.

    It has the `events` that the service sends, and examples with the facts of `story`.
    """
    routes = list(routes)
    found = list(_operations(routes))
    areas = {template: type(resource).__module__.split(".")[1:-1] for template, resource in routes}
    schemas, components = _schemas([op for _, _, _, op in found], events)
    spec = APISpec(
        title="boxoffice",
        version=version,
        openapi_version="3.1.0",
        info={
            "description": "Concert seat reservations: look up, hold, pay, get tickets.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
    )
    spec.components.security_scheme("access_token", {"type": "http", "scheme": "bearer"})
    for name, schema in components.items():
        spec.components.schema(name, schema)
    for template, method, doc, op in found:
        operation = _describe(template, method, doc, op, schemas)
        operation["tags"] = [_tag(areas[template])]
        spec.path(path=template, operations={method: operation})
    for area in dict.fromkeys(tuple(areas[template]) for template, _, _, _ in found):
        spec.tag({"name": _tag(area), "description": _purpose(area)})
    described: dict[str, Any] = spec.to_dict()
    examples = add_examples(described, story, _problem_bodies(found, story))
    described["webhooks"] = describe_webhooks(events, schemas, examples)
    described["x-event-stream"] = describe_stream(events, schemas, examples)
    return described


def _problem_bodies(
    found: Iterable[tuple[str, str, str, Operation]], story: Story
) -> dict[str, dict[str, Any]]:
    """Return the answer of each problem by code, as `problems.render` makes it."""
    kinds = {kind for _, method, _, op in found for kind in possible_problems(op, method)}
    return {
        kind.code: problems.body_of(kind(), str(story.fields.get("request_id", "")))
        | dict(story.problems.get(kind.code, {}))
        for kind in sorted(kinds, key=lambda one: one.code)
    }


def _operations(routes: Iterable[Route]) -> Iterable[tuple[str, str, str, Operation]]:
    for template, resource in routes:
        for method in _METHODS:
            responder = getattr(resource, f"on_{method}", None)
            op = getattr(responder, "operation", None)
            if op is not None:
                yield template, method, responder.__doc__ or "", op


def _types(op: Operation) -> list[Any]:
    raw = op.raw_body.schema if op.raw_body else None
    return [kind for kind in (op.body, raw, op.returns, *op.events.values()) if kind is not None]


def _schemas(
    ops: list[Operation], events: Sequence[PublishedEvent]
) -> tuple[dict[Any, dict[str, Any]], dict[str, Any]]:
    sent = [event.data for event in events]
    of_operations = [kind for op in ops for kind in _types(op)]
    kinds = list(dict.fromkeys([problems.ProblemBody, *of_operations, *sent]))
    schemas, components = msgspec.json.schema_components(kinds, ref_template=_REF)
    for component in components.values():
        if "description" in component:
            # A docstring has its indentation before Python 3.13, which Markdown shows as code.
            component["description"] = inspect.cleandoc(component["description"])
    return dict(zip(kinds, schemas, strict=True)), components


def _describe(
    template: str, method: str, doc: str, op: Operation, schemas: dict[Any, dict[str, Any]]
) -> dict[str, Any]:
    described: dict[str, Any] = {
        "operationId": _operation_id(template, method),
        "summary": op.summary,
        "parameters": [*_path_parameters(op), *_headers(op), *_query_parameters(op)],
        "responses": _responses(op, method, schemas),
    }
    if doc:
        described["description"] = " ".join(doc.split())
    if op.needs_token:
        described["security"] = [{"access_token": []}, *([{}] if op.instead_of_token else [])]
    content = _content(op, schemas)
    if content:
        described["requestBody"] = {"required": True, "content": content}
    return described


def _content(op: Operation, schemas: dict[Any, dict[str, Any]]) -> dict[str, Any]:
    if op.body is not None:
        return {bodies.JSON_TYPE: {"schema": schemas[op.body]}}
    if op.raw_body is None:
        return {}
    return {kind: _raw_content(kind, op.raw_body, schemas) for kind in op.raw_body.media_types}


def _raw_content(kind: str, raw: RawBody, schemas: dict[Any, dict[str, Any]]) -> dict[str, Any]:
    is_json = kind == bodies.JSON_TYPE
    schema = schemas[raw.schema] if is_json else raw.text
    example = raw.examples.get(kind)
    return {"schema": schema} if example is None else {"schema": schema, "example": example}


def _operation_id(template: str, method: str) -> str:
    words = re.sub(r"[^a-z0-9]+", "_", template.removeprefix("/v1").lower()).strip("_")
    return f"{method}_{words}"


def _tag(area: Sequence[str]) -> str:
    """Return the name of the module of an operation: `payments.refunds` is `Payments: refunds`."""
    return ": ".join(part.replace("_", " ") for part in area).capitalize()


def _purpose(area: Sequence[str]) -> str:
    """Return what the package of a module says that it is for."""
    doc = import_module(".".join(("boxoffice", *area))).__doc__ or ""
    return doc.partition("\n\n")[0].replace("\n", " ")


def _path_parameters(op: Operation) -> list[dict[str, Any]]:
    return [
        {
            "name": name,
            "in": "path",
            "required": True,
            "description": declared.description,
            "schema": {"type": "string"},
        }
        for name, declared in op.path.items()
    ]


def _headers(op: Operation) -> list[dict[str, Any]]:
    headers: list[dict[str, Any]] = [
        {
            "name": name.removesuffix("!"),
            "in": "header",
            "required": name.endswith("!"),
            "description": description,
            "schema": {"type": "string"},
        }
        for name, description in op.headers.items()
    ]
    if op.keyed or op.may_have_key:
        headers.append(
            {
                "name": "Idempotency-Key",
                "in": "header",
                "required": op.keyed,
                "description": "Names this request: sent again, it has its effect once.",
                "schema": {
                    "type": "string", "minLength": 1, "maxLength": 128, "pattern": "^[!-~]+$",
                },
            }
        )  # fmt: skip
    if op.conditional:
        headers.append(
            {
                "name": "If-Match",
                "in": "header",
                "required": True,
                "description": "The ETag of the version that is changed.",
                "schema": {"type": "string", "maxLength": 32, "pattern": '^"[0-9]{1,9}"$'},
            }
        )
    if op.events:
        headers.append(
            {
                "name": "Last-Event-ID",
                "in": "header",
                "required": False,
                "description": "The id of the caller's last event, from which the stream goes on.",
                "schema": {"type": "string", "maxLength": 128, "pattern": "^[!-~]*$"},
            }
        )
    if op.cached:
        headers.append(
            {
                "name": "If-None-Match",
                "in": "header",
                "required": False,
                "description": "The ETag of the answer that the caller has.",
                "schema": {"type": "string"},
            }
        )
    return headers


def _query_parameters(op: Operation) -> list[dict[str, Any]]:
    if op.query is None:
        return []
    (schema,), components = msgspec.json.schema_components([op.query])
    shape = components[schema["$ref"].rpartition("/")[2]]
    return [
        {
            "name": name,
            "in": "query",
            "required": name in shape.get("required", ()),
            "schema": member,
        }
        for name, member in shape["properties"].items()
    ]


def _responses(op: Operation, method: str, schemas: dict[Any, dict[str, Any]]) -> dict[str, Any]:
    responses: dict[str, Any] = {str(op.success): _success(op, schemas)}
    if op.accepts:
        responses["202"] = _success(op, schemas) | {"description": _MEANINGS[202]}
    if op.cached:
        responses["304"] = {"description": _MEANINGS[304]}
        if op.returned_headers:
            responses["304"]["headers"] = _described(op.returned_headers)
    by_status: dict[int, list[type[Problem]]] = {}
    for problem in dict.fromkeys(possible_problems(op, method)):
        by_status.setdefault(STATUSES[problem.code], []).append(problem)
    for status, kinds in sorted(by_status.items()):
        responses[str(status)] = {
            "description": " ".join(f"`{kind.code}`: {kind.title}" for kind in kinds),
            "content": {
                problems.MEDIA_TYPE: {
                    "schema": schemas[problems.ProblemBody],
                    "examples": {kind.code: problem_example(kind.code) for kind in kinds},
                }
            },
        }
    return responses


def _success(op: Operation, schemas: dict[Any, dict[str, Any]]) -> dict[str, Any]:
    described: dict[str, Any] = {"description": _MEANINGS[op.success]}
    if op.events:
        described["content"] = {streams.MEDIA_TYPE: {"schema": _event(op, schemas)}}
    if op.text_type:
        described["content"] = {op.text_type: {"schema": {"type": "string"}}}
    if op.file_types:
        described["content"] = {one: {"schema": {"type": "string"}} for one in op.file_types}
    if op.returns is not None:
        described["content"] = {"application/json": {"schema": schemas[op.returns]}}
    headers = dict(op.returned_headers)
    if op.cached or op.tagged:
        headers["ETag"] = "Names this version."
    if headers:
        described["headers"] = _described(headers)
    return described


def _described(headers: Mapping[str, str]) -> dict[str, Any]:
    return {
        name: {"description": description, "schema": {"type": "string"}}
        for name, description in headers.items()
    }


def _event(op: Operation, schemas: dict[Any, dict[str, Any]]) -> dict[str, Any]:
    """Describe one event of a stream: before OpenAPI 3.2 a stream's schema is that of its events."""
    return {
        "type": "object",
        "required": ["event", "data"],
        "properties": {"id": {"type": "string"}},
        "oneOf": [
            {
                "properties": {
                    "event": {"const": name},
                    "data": {
                        "type": "string",
                        "contentMediaType": bodies.JSON_TYPE,
                        "contentSchema": schemas[kind],
                    },
                }
            }
            for name, kind in op.events.items()
        ],
    }


def possible_problems(op: Operation, method: str) -> list[type[Problem]]:
    """Return what `op` may refuse with: what it declares, and what its method and parts imply."""
    implied: list[type[Problem]] = [*op.problems, Unavailable, Overloaded, Draining]
    implied += [declared.missing for declared in op.path.values()]
    implied += op.invalid.values()
    if op.needs_token:
        implied += [Unauthenticated, TokenInvalid, TokenExpired]
    if op.is_restricted:
        implied.append(Forbidden)
    if op.keyed:
        implied += [IdempotencyKeyRequired, IdempotencyKeyInvalid, IdempotencyKeyReused]
        implied.append(IdempotencyInFlight)
    if op.may_have_key:
        implied += [IdempotencyKeyInvalid, IdempotencyKeyReused]
    if op.conditional:
        implied += [PreconditionRequired, PreconditionInvalid, PreconditionFailed]
    if method.upper() not in READS:
        implied.append(OutcomeUnknown)
    if op.body is not None or op.raw_body is not None:
        implied += [BadRequest, Invalid, BodyTooLarge, BodyTooSlow, MediaTypeUnsupported]
    if op.query is not None:
        implied.append(Invalid)
    if op.events:
        implied += [LastEventIdInvalid, TooMany]
    return implied
