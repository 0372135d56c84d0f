"""Reads what the pages need from an OpenAPI document. Pure."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

_SCHEMA = "#/components/schemas/"
_CODE = re.compile(r"`([a-z_]+)`: (.*?)(?= `[a-z_]+`: |$)")


@dataclass(frozen=True)
class Described:
    """One operation, or one webhook (`is_webhook`), of the document."""

    method: str
    path: str
    item: Mapping[str, Any]
    is_webhook: bool = False

    @property
    def anchor(self) -> str:
        """Its id within its page."""
        return str(self.item["operationId"])

    @property
    def slug(self) -> str:
        """The name of its page."""
        return slug_of(self.item["tags"][0])


class ApiDescription:
    """An OpenAPI document as this service makes it."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self.all = document

    @property
    def version(self) -> str:
        """The version of the service."""
        return str(self.all["info"]["version"])

    @cached_property
    def tags(self) -> dict[str, tuple[str, str]]:
        """Name and purpose of each tag, by the name of its page."""
        return {slug_of(one["name"]): (one["name"], one["description"]) for one in self.all["tags"]}

    @cached_property
    def operations(self) -> dict[str, list[Described]]:
        """The operations by the name of their page."""
        found: dict[str, list[Described]] = {slug: [] for slug in self.tags}
        for path, methods in self.all["paths"].items():
            for method, item in methods.items():
                one = Described(method.upper(), path, item)
                found[one.slug].append(one)
        return found

    @cached_property
    def webhooks(self) -> list[Described]:
        """What the service sends to endpoints."""
        return [
            Described("POST", name, item["post"], is_webhook=True)
            for name, item in self.all["webhooks"].items()
        ]

    @property
    def stream(self) -> Mapping[str, Any]:
        """The entries of the event stream by topic."""
        found: Mapping[str, Any] = self.all["x-event-stream"]
        return found

    def schema(self, schema: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]]:
        """Return the name of a referenced type and its schema; no name for a schema in place."""
        reference = schema.get("$ref")
        if reference is None:
            return "", schema
        name = str(reference).removeprefix(_SCHEMA)
        return name, self.all["components"]["schemas"][name]

    def example(self, content: Mapping[str, Any]) -> Any:
        """Return the first example of a body, None if it has none."""
        if "example" in content:
            return content["example"]
        for one in content.get("examples", {}).values():
            if "$ref" in one:
                return self.all["components"]["examples"][one["$ref"].rpartition("/")[2]]["value"]
            return one["value"]
        return None

    def examples(self, content: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
        """Return all examples of a body by name."""
        for name, one in content.get("examples", {}).items():
            yield name, self.example({"examples": {name: one}})


def slug_of(tag: str) -> str:
    """Return the name of a tag's page: `Payments: refunds` is `payments-refunds`."""
    return re.sub(r"[^a-z0-9]+", "-", tag.lower()).strip("-")


def type_name(name: str) -> str:
    """Return the name of a type in a program: `Page_EntryOut_` is `PageEntryOut`."""
    return re.sub(r"_([A-Za-z]?)", lambda found: found[1].upper(), name)


def refusals(item: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """Return status, code and title of each refusal of an operation."""
    return [
        (status, code, title)
        for status, response in item["responses"].items()
        if status.isdigit() and int(status) >= 400
        for code, title in _CODE.findall(response["description"])
    ]


def successes(item: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    """Return the answers that are no refusals."""
    return [
        (status, response)
        for status, response in item["responses"].items()
        if not status.isdigit() or int(status) < 400
    ]
