"""A body that the document allows is not refused for its size."""

import asyncio
import re
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import pytest

from boxoffice.app import describe, open_application
from boxoffice.settings import Settings

from .client import Person, Sale, refused
from .conftest import Running

# What people write: an id of a seat, a name. A longer text is as long as it may be.
_SHORT_CHARS = 20
_LONG_TEXT_CHARS = 1_000
_HANGUL_BYTES = 3
_ID = str(UUID(int=7))


def _size(schema: dict[str, Any], names: dict[str, Any], *, whole: bool) -> int:
    """The bytes of a value with all members; its lists are as long as they may be if it is `whole`.

    Lists within lists have one item: no more seats are listed in all than a performance has.
    """
    if "$ref" in schema:
        return _size(names[schema["$ref"].rpartition("/")[2]], names, whole=whole)
    if forms := schema.get("anyOf") or schema.get("oneOf"):
        return max(_size(form, names, whole=whole) for form in forms)
    if schema.get("type") == "array":
        items = schema.get("maxItems", 1) if whole else 1
        return 2 + items * (1 + _size(schema["items"], names, whole=False))
    if schema.get("type") == "object":
        members = schema.get("properties", {}).items()
        return 2 + sum(len(name) + 4 + _size(one, names, whole=whole) for name, one in members)
    chars = schema.get("maxLength", _SHORT_CHARS)
    return 2 + (_HANGUL_BYTES * chars if chars > _LONG_TEXT_CHARS else _SHORT_CHARS)


def _bodies(document: dict[str, Any]) -> Iterator[tuple[str, str, int]]:
    names = document["components"]["schemas"]
    for path, item in document["paths"].items():
        for method, one in item.items():
            content = one.get("requestBody", {}).get("content", {})
            if list(content) == ["application/json"]:
                size = _size(content["application/json"]["schema"], names, whole=True)
                yield method.upper(), path, size


def test_each_operation_takes_the_body_that_it_describes(server: Running) -> None:
    document = describe()

    async def too_small() -> list[str]:
        settings = Settings.of(database_url=server.database_url, valkey_url="redis://127.0.0.1:1")
        async with open_application(settings) as application:
            found = []
            for method, path, size in _bodies(document):
                target = re.sub(r"\{[a-z_]+\}", _ID, path).encode()
                match = application.http.router.find(method, target)
                if size > match.dependencies.max_bytes(match.operation):
                    found.append(f"{method} {path}: {size}")
            return found

    assert len(list(_bodies(document))) > 40
    assert asyncio.run(too_small()) == []


@pytest.mark.parametrize(
    ("command", "more"),
    [("block", {"reason": "house"}), ("release", {}), ("reprice", {"price": 1_000})],
)
def test_ten_thousand_seats_are_named_in_one_command(
    organizer: Person, sale: Sale, command: str, more: dict[str, Any]
) -> None:
    named = [f"section-{at // 500}-row-{at // 50 % 10}-{at % 50}" for at in range(10_000)]
    path = f"/v1/admin/schedules/{sale.schedule_id}/seats/{command}"
    answer = organizer.api.post(path, {"seat_ids": named, **more})
    refused(answer, "seat_not_found")
