"""The API as clients see it, read from the OpenAPI document. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from boxoffice.web.reference.document import ApiDescription, Described, refusals

_SCHEMA = "#/components/schemas/"
_JSON = "application/json"
_STREAM = "text/event-stream"
# Clients read each answer anew: they have no cache that such a header would be for.
_LEFT_OUT = {"If-None-Match"}


@dataclass(frozen=True)
class Parameter:
    """A parameter: its name in a request, where it is, and its schema."""

    name: str
    place: str
    is_required: bool
    schema: Mapping[str, Any]
    description: str


@dataclass(frozen=True)
class Call:
    """One operation. `body` and `answer` name types; `answer` is empty for no content.

    `is_raw`: the body is text or a picture. `answers`: "json", "bytes", "stream" or "nothing".
    """

    id: str
    method: str
    path: str
    summary: str
    description: str
    needs_token: bool
    parameters: list[Parameter]
    body: str
    is_raw: bool
    media_types: list[str]
    answers: str
    answer: str
    codes: list[str] = field(default_factory=list)

    def of(self, place: str) -> list[Parameter]:
        """Return the parameters in a place: path, query or header."""
        return [one for one in self.parameters if one.place == place]


class Api:
    """All operations and types."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self.version = str(document["info"]["version"])
        self._document = ApiDescription(document)
        self.schemas: Mapping[str, Mapping[str, Any]] = document["components"]["schemas"]

    @cached_property
    def calls(self) -> list[Call]:
        """The operations in the order of the document."""
        return [self._call(one) for found in self._document.operations.values() for one in found]

    @cached_property
    def sent(self) -> set[str]:
        """The types that are in bodies of requests: only their values are closed."""
        found: set[str] = set()
        waiting = [call.body for call in self.calls if call.body]
        while waiting:
            name = waiting.pop()
            if name not in found:
                found.add(name)
                waiting += references(self.schemas[name])
        return found

    def _call(self, one: Described) -> Call:
        item = one.item
        content = item.get("requestBody", {}).get("content", {})
        body = _name(content[_JSON]["schema"]) if _JSON in content else ""
        answers, answer = _answer(item)
        return Call(
            id=item["operationId"],
            method=one.method,
            path=one.path,
            summary=item["summary"],
            description=item.get("description", ""),
            needs_token="security" in item,
            parameters=[_parameter(p) for p in item["parameters"] if p["name"] not in _LEFT_OUT],
            body=body,
            is_raw=bool(content) and not body,
            media_types=list(content),
            answers=answers,
            answer=answer,
            codes=sorted({code for _, code, _ in refusals(item)}),
        )


def references(schema: Any) -> Iterator[str]:
    """Return the names of all types that a schema refers to."""
    if isinstance(schema, list):
        for one in schema:
            yield from references(one)
    elif isinstance(schema, dict):
        if isinstance(schema.get("$ref"), str):
            yield schema["$ref"].removeprefix(_SCHEMA)
        for one in schema.values():
            yield from references(one)


def _name(schema: Mapping[str, Any]) -> str:
    return str(schema["$ref"]).removeprefix(_SCHEMA)


def _parameter(one: Mapping[str, Any]) -> Parameter:
    said = one.get("description") or one["schema"].get("description", "")
    return Parameter(one["name"], one["in"], one["required"], one["schema"], said)


def _answer(item: Mapping[str, Any]) -> tuple[str, str]:
    for status, response in item["responses"].items():
        if not status.startswith("2"):
            continue
        content = response.get("content", {})
        if _JSON in content:
            return "json", _name(content[_JSON]["schema"])
        if _STREAM in content:
            return "stream", ""
        if content:
            return "bytes", ""
    return "nothing", ""
