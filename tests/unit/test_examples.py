"""The examples of the document: every operation has them, and they are what the schemas say."""

import json
import re
from collections.abc import Iterator
from typing import Any

import jsonschema_rs
import pytest

from boxoffice.app import describe
from boxoffice.examples import STORY, story
from boxoffice.http.api.examples import Examples, Story
from boxoffice.platform.ids import parse_scoped, parse_uuid

# Files that are no text.
BINARY = re.compile(r"image/|application/vnd\.openxml")


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    """The document, without a server."""
    return describe()


def operations(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every operation and webhook by its name."""
    for kind in ("paths", "webhooks"):
        for path, methods in document[kind].items():
            for method, described in methods.items():
                yield f"{method.upper()} {path}", described


def contents(described: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Every body of an operation: where, its media type, and its description."""
    for media_type, content in described.get("requestBody", {}).get("content", {}).items():
        yield "request", media_type, content
    for status, response in described["responses"].items():
        for media_type, content in response.get("content", {}).items():
            yield status, media_type, content


def examples_of(document: dict[str, Any], content: dict[str, Any]) -> list[Any]:
    """The examples of a body, references resolved."""
    if "example" in content:
        return [content["example"]]
    known = document["components"]["examples"]
    return [
        known[one["$ref"].rpartition("/")[2]]["value"] if "$ref" in one else one["value"]
        for one in content.get("examples", {}).values()
    ]


def test_every_body_and_required_parameter_has_a_valid_example(document: dict[str, Any]) -> None:
    checked = 0
    validators: dict[str, jsonschema_rs.Draft202012Validator] = {}
    schemas = {"schemas": document["components"]["schemas"]}
    for name, described in operations(document):
        for where, media_type, content in contents(described):
            found = examples_of(document, content)
            assert found or BINARY.match(media_type), (name, where, media_type)
            key = json.dumps(content["schema"])
            if key not in validators:
                schema = {**content["schema"], "components": schemas}
                validators[key] = jsonschema_rs.Draft202012Validator(schema, validate_formats=True)
            for value in found:
                errors = [str(one) for one in validators[key].iter_errors(value)]
                assert errors == [], (name, where)
                checked += 1
        for parameter in described["parameters"]:
            assert "example" in parameter or not parameter["required"], (name, parameter["name"])
            if "example" in parameter:
                assert jsonschema_rs.is_valid(parameter["schema"], parameter["example"]), name
    assert checked > 1_000


def test_data_of_streams_are_valid(document: dict[str, Any]) -> None:
    found = 0
    for _, described in operations(document):
        stream = described["responses"].get("200", {}).get("content", {}).get("text/event-stream")
        for kind in stream["schema"]["oneOf"] if stream else ():
            name = kind["properties"]["event"]["const"]
            data = json.loads(stream["examples"][name]["value"]["data"])
            schema = kind["properties"]["data"]["contentSchema"]
            assert jsonschema_rs.is_valid({**schema, "components": document["components"]}, data)
            found += 1
    for topic, entry in document["x-event-stream"].items():
        schema = {**entry["data"]["schema"], "components": document["components"]}
        assert jsonschema_rs.is_valid(schema, entry["data"]["example"]), topic
        found += 1
    assert found > 20


def test_nothing_in_the_story_is_unused(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    assert set(STORY.fields) <= {
        name for one in schemas.values() for name in one.get("properties", ())
    }
    for facts in (STORY.types, STORY.members):
        for kind, fields in facts.items():
            assert set(fields) <= set(schemas[kind]["properties"]), kind
    known = {name for name, _ in operations(document)}
    assert {*STORY.queries, *STORY.answers, *STORY.texts} <= known
    codes = {name.removeprefix("problem.") for name in document["components"]["examples"]}
    assert set(STORY.problems) <= codes


def test_ids_and_sums_agree(document: dict[str, Any]) -> None:
    known = {name: one["value"] for name, one in document["components"]["examples"].items()}
    held, paid, wallet = known["HeldOut"], known["PaymentOut"], known["WalletOut"]
    assert known["PayRequest"]["reservation_id"] == held["reservation_id"] == story.RESERVATION
    assert sum(seat["price"]["amount"] for seat in held["seats"]) == held["amount"]
    assert paid["amount"] == held["amount"] == known["TopUpOut"]["amount"] - wallet["balance"]
    assert [ticket["seat_id"] for ticket in paid["tickets"]] == known["HoldRequest"]["seat_ids"]
    quote = known["QuoteOut"]
    assert quote["refund"] + quote["fee"] == paid["amount"]
    assert known["RefundBody"]["expected_refund"] == quote["refund"] == known["RefundOut"]["amount"]
    for scoped in (story.RESERVATION, story.PAYMENT, story.INTENT, story.ENTRY_OF_LIST):
        assert parse_scoped(scoped) is not None
    for own in (story.CONCERT, story.SCHEDULE, story.USER, *story.TICKETS):
        assert parse_uuid(own) is not None


def test_a_field_without_a_fact_is_named() -> None:
    schema = {"type": "object", "required": ["a"], "properties": {"a": {"type": "string"}}}
    examples = Examples({"One": schema}, Story())
    assert examples.of_type("One") is None
    assert examples.missing == ["One.a"]
