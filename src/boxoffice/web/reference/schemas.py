"""Shows a JSON schema: its members, their types, limits and meanings. Pure."""

from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

from boxoffice.web.reference.document import ApiDescription
from boxoffice.web.reference.markup import folded, prose, table

_DEPTH_MAX = 3
_PATTERN_MAX = 60
_LIMITS = {
    "minimum": "≥ {}",
    "maximum": "≤ {}",
    "minLength": "at least {} characters",
    "maxLength": "at most {} characters",
    "minItems": "at least {} items",
    "maxItems": "at most {} items",
}
_OWN_WORDS = {"maxLength 1": "at most 1 character", "minLength 1": "not empty"}


def show(document: ApiDescription, schema: Mapping[str, Any], depth: int = 0) -> str:
    """Return the HTML of a schema: its purpose, and a table of its members if it has some."""
    name, found = document.schema(schema)
    said = found.get("description", "")
    purpose = f"<p>{prose(said)}</p>" if said else ""
    properties = found.get("properties")
    if not properties:
        return purpose + f"<p>{kind_of(document, schema)} {_limits(found)}</p>"
    required = found.get("required", ())
    rows = [
        (f"<code>{escape(key)}</code>", _kind(document, one), _meaning(one, key in required))
        for key, one in properties.items()
    ]
    members = table(("member", "type", "meaning"), rows, f"Members of {name or 'the body'}")
    return purpose + members + _parts(document, properties, depth)


def kind_of(document: ApiDescription, schema: Mapping[str, Any]) -> str:
    """Return the type of a value in a few words."""
    return escape(_words(document, schema))


def _kind(document: ApiDescription, schema: Mapping[str, Any]) -> str:
    return f'<span class="kind">{kind_of(document, schema)}</span>'


def _words(document: ApiDescription, schema: Mapping[str, Any]) -> str:
    name, found = document.schema(schema)
    if "anyOf" in found:
        return " or ".join(dict.fromkeys(_words(document, one) for one in found["anyOf"]))
    if "const" in found:
        return f'"{found["const"]}"'
    if "enum" in found:
        return " | ".join(f'"{one}"' if isinstance(one, str) else str(one) for one in found["enum"])
    return name or _plain_words(document, found)


def _plain_words(document: ApiDescription, found: Mapping[str, Any]) -> str:
    kind = str(found.get("type", "any"))
    if kind == "array":
        return f"list of {_words(document, found.get('items', {}))}"
    if kind == "object" and isinstance(found.get("additionalProperties"), dict):
        return f"map to {_words(document, found['additionalProperties'])}"
    return f"{kind} ({found['format']})" if "format" in found else kind


def _meaning(schema: Mapping[str, Any], is_required: bool) -> str:
    needed = "" if is_required else '<span class="tag">optional</span> '
    said = prose(schema.get("description", ""))
    return f"{needed}{said} {_limits(schema)}".strip()


def _limits(schema: Mapping[str, Any]) -> str:
    found = "; ".join(_each_limit(schema))
    return f'<span class="limits">{escape(found)}</span>' if found else ""


def _each_limit(schema: Mapping[str, Any]) -> Iterator[str]:
    for one in (schema, *schema.get("anyOf", ())):
        for name, words in _LIMITS.items():
            if name in one:
                yield _OWN_WORDS.get(f"{name} {one[name]}", words.format(f"{one[name]:,}"))
        pattern = one.get("pattern", "")
        if pattern:
            is_short = len(pattern) <= _PATTERN_MAX
            yield f"matches {pattern}" if is_short else "printable text, no blanks at its ends"
    if schema.get("default") not in (None, "", [], {}):
        yield f"default {schema['default']}"


def _parts(document: ApiDescription, properties: Mapping[str, Any], depth: int) -> str:
    """Return the types within a type, each once, folded."""
    if depth >= _DEPTH_MAX:
        return ""
    found: dict[str, Mapping[str, Any]] = {}
    for one in properties.values():
        for reference in _references(one):
            name, schema = document.schema(reference)
            if "properties" in schema:
                found[name] = reference
    return "".join(
        folded(f"<code>{escape(name)}</code>", show(document, reference, depth + 1))
        for name, reference in found.items()
    )


def _references(schema: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    if "$ref" in schema:
        yield schema
    for one in schema.get("anyOf", ()):
        yield from _references(one)
    for key in ("items", "additionalProperties"):
        if isinstance(schema.get(key), dict):
            yield from _references(schema[key])
