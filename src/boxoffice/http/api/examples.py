"""Examples of the OpenAPI document, composed from the schemas and the facts of a story. Pure.

A value is looked up by type and field, then by field, then taken from the schema where it leaves one
choice. A field without a value is listed in `missing`, and its type has no example.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

_REF = "#/components/schemas/"
_EXAMPLE = "#/components/examples/"
_PROBLEM = "problem."
_NAME = "example"
_STREAM = "text/event-stream"


@dataclass(frozen=True)
class Story:
    """Facts of which examples are made.

    `fields` by name of a field; `types` by name of a type, then of a field; `members` are the fields
    that an example of a type has (all of them by default). `parameters` by name, `queries`, `answers`
    (fields that differ from the type's example) and `texts` (answers that are text) by operation, such
    as `GET /v1/concerts`; `problems` are further members by code.
    """

    fields: Mapping[str, Any] = field(default_factory=dict)
    types: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    members: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    parameters: Mapping[str, Any] = field(default_factory=dict)
    queries: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    answers: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    problems: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    texts: Mapping[str, str] = field(default_factory=dict)


class _Missing(Exception):
    """A field has no value; its name is the message."""


class Examples:
    """The examples of the types among `components`, schemas by name."""

    def __init__(self, components: Mapping[str, Any], story: Story) -> None:
        self.story = story
        # `Type.field` of each value that the story lacks.
        self.missing: list[str] = []
        self._components = components
        self._known: dict[str, Any] = {}

    def of_type(self, name: str) -> Any:
        """Return the example of a component; None where the story lacks a value."""
        try:
            return self._component(name)
        except _Missing as missing:
            self.missing.append(str(missing))
            return None

    def of_parameter(self, operation: str, parameter: Mapping[str, Any]) -> Any:
        """Return the example of a parameter: of those in the query only if the story has one."""
        name, place = parameter["name"], parameter["in"]
        if place == "query":
            return self.story.queries.get(operation, {}).get(name)
        found = self.story.parameters.get(name)
        return self.story.fields.get(name) if found is None and place == "path" else found

    def _component(self, name: str) -> Any:
        if name not in self._known:
            self._known[name] = self._object(name, self._components[name])
        return self._known[name]

    def _object(self, name: str, schema: Mapping[str, Any]) -> Any:
        properties = schema.get("properties")
        if properties is None:
            return self._value(schema, name, "")
        own = self.story.types.get(name, {})
        wanted = self.story.members.get(name, tuple(properties))
        required = schema.get("required", ())
        found = {}
        for key in wanted:
            try:
                found[key] = own[key] if key in own else self._value(properties[key], name, key)
            except _Missing:
                if key in required or name in self.story.members:
                    raise
        return found

    def _value(self, schema: Mapping[str, Any], owner: str, name: str) -> Any:
        reference = schema.get("$ref", "").removeprefix(_REF)
        fact = self.story.fields.get(name, _Missing)
        if fact is not _Missing and not reference and _fits(fact, schema):
            return fact
        if reference:
            return self._component(reference)
        if "anyOf" in schema:
            return self._first(schema["anyOf"], owner, name)
        if schema.get("type") == "array" and "items" in schema:
            return [self._value(schema["items"], owner, "")]
        return _only_choice(schema, f"{owner}.{name}")

    def _first(self, choices: list[Mapping[str, Any]], owner: str, name: str) -> Any:
        """Return a value of the first choice that has one; null is a choice like others."""
        for choice in choices:
            try:
                return self._value(choice, owner, name)
            except _Missing as missing:
                last = missing
        raise last


_KINDS: Mapping[str, type | tuple[type, ...]] = {
    "string": str,
    "integer": int,
    "number": (int, float),
    "boolean": bool,
    "array": list,
    "object": dict,
    "null": type(None),
}


def _fits(value: object, schema: Mapping[str, Any]) -> bool:
    """Whether a value has the type of a schema: names of fields are not unique."""
    if "anyOf" in schema:
        return any(_fits(value, one) for one in schema["anyOf"])
    if "$ref" in schema:
        return isinstance(value, dict)
    if "enum" in schema:
        return value in schema["enum"]
    kind = _KINDS.get(schema.get("type", ""))
    return kind is None or isinstance(value, kind)


def _only_choice(schema: Mapping[str, Any], name: str) -> Any:
    if "enum" in schema:
        return schema["enum"][0]
    if schema.get("type") == "boolean":
        return schema.get("default", False)
    if schema.get("type") == "null":
        return None
    raise _Missing(name)


def problem_example(code: str) -> dict[str, str]:
    """Return the reference to the example of a problem."""
    return {"$ref": f"{_EXAMPLE}{_PROBLEM}{code}"}


def add_examples(
    document: dict[str, Any], story: Story, problem_bodies: Mapping[str, Mapping[str, Any]]
) -> Examples:
    """Add examples to every operation of a document; each type's stands once, in its components."""
    examples = Examples(document["components"]["schemas"], story)
    shown: dict[str, Any] = {}
    for operation, described in _operations(document):
        for parameter in described["parameters"]:
            value = examples.of_parameter(operation, parameter)
            if value is not None:
                parameter["example"] = value
        body = described.get("requestBody", {})
        _add_to_content(body.get("content", {}), "", examples, shown)
        for status, response in described["responses"].items():
            if int(status) < 300:
                _add_to_content(response.get("content", {}), operation, examples, shown)
    for code, members in problem_bodies.items():
        shown[f"{_PROBLEM}{code}"] = {"value": dict(members)}
    document["components"]["examples"] = dict(sorted(shown.items()))
    return examples


def _operations(document: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for method, described in methods.items():
            yield f"{method.upper()} {path}", described


def _add_to_content(
    content: dict[str, Any], operation: str, examples: Examples, shown: dict[str, Any]
) -> None:
    for kind, described in content.items():
        schema = described["schema"]
        if kind == _STREAM:
            described["examples"] = dict(_stream_examples(schema, examples))
        elif kind.startswith("text/") and operation in examples.story.texts:
            described["example"] = examples.story.texts[operation]
        elif "$ref" in schema:
            _add_to_json(described, operation, examples, shown)


def _add_to_json(
    described: dict[str, Any], operation: str, examples: Examples, shown: dict[str, Any]
) -> None:
    name = described["schema"]["$ref"].removeprefix(_REF)
    value = examples.of_type(name)
    if value is None:
        return
    if operation in examples.story.answers:
        described["examples"] = {_NAME: {"value": value | dict(examples.story.answers[operation])}}
        return
    shown[name] = {"value": value}
    described["examples"] = {_NAME: {"$ref": f"{_EXAMPLE}{name}"}}


def _stream_examples(
    schema: Mapping[str, Any], examples: Examples
) -> Iterator[tuple[str, dict[str, Any]]]:
    for event in schema["oneOf"]:
        name = event["properties"]["event"]["const"]
        data = examples.of_type(event["properties"]["data"]["contentSchema"]["$ref"][len(_REF) :])
        if data is not None:
            yield name, {"value": {"event": name, "data": json.dumps(data, ensure_ascii=False)}}
