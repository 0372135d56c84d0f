"""The messages of a normal run, and their documentation."""

import re
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

import msgspec
import pytest

from boxoffice.outbox.service import Relay
from boxoffice.outbox.topics import TOPICS
from boxoffice.platform.ids import ScopedId, parse_scoped
from boxoffice.platform.postgres.database import Database
from boxoffice.platform.valkey import Valkey
from boxoffice.settings import Settings

if TYPE_CHECKING:
    from tests.integration.outbox.conftest import Read

_TESTS = Path(__file__).parents[2]
_NORMAL_RUN = _TESTS / "integration" / "audit" / "normal_run.sql"
_DOCS = _TESTS.parent / "docs" / "events.md"

SCHEDULE = UUID("00000000-0000-7000-8000-0000000000aa")


def _id(last: str) -> UUID:
    return UUID(f"00000000-0000-7000-8000-{last:0>12}")


def _scoped(last: str) -> str:
    return str(ScopedId(SCHEDULE, _id(last)))


@pytest.fixture
async def told(
    db: Database, valkey: Valkey, settings: Settings, read: "Read"
) -> list[tuple[dict[str, str], dict[str, Any]]]:
    """All messages of a normal run: the fields, and the decoded data."""
    async with db.connection() as connection:
        await connection.execute(_NORMAL_RUN.read_text(encoding="utf-8"))
    await Relay(db, valkey, settings.outbox).relay_once()
    return [(entry, msgspec.json.decode(entry["data"])) for entry in await read()]


async def test_every_message_has_exactly_the_fields_of_its_topic(
    told: list[tuple[dict[str, str], dict[str, Any]]],
) -> None:
    topics = {topic.name: topic for topic in TOPICS.values()}
    assert {entry["topic"] for entry, _ in told} == set(topics)
    for entry, data in told:
        assert set(entry) == {"event_id", "topic", "created_at", "data"}
        assert set(data) == set(topics[entry["topic"]].fields), entry["topic"]
        # The type that the API reference shows; it forbids other fields.
        msgspec.json.decode(entry["data"], type=topics[entry["topic"]].data)


async def test_ids_are_the_public_ones_and_times_are_utc(
    told: list[tuple[dict[str, str], dict[str, Any]]],
) -> None:
    for entry, data in told:
        times = [entry["created_at"], *([data["expires_at"]] if "expires_at" in data else [])]
        assert all(text.endswith("Z") and datetime.fromisoformat(text) for text in times)
        assert UUID(data["user_id"])
        for name in {"reservation_id", "payment_id"} & set(data):
            scoped = parse_scoped(data[name])
            assert scoped is not None
            assert str(scoped.schedule_id) == data["schedule_id"]


async def test_a_payment_names_its_reservation(
    told: list[tuple[dict[str, str], dict[str, Any]]],
) -> None:
    paid = [data for entry, data in told if entry["topic"] == "payment.succeeded"]
    assert paid[0] == {
        "payment_id": _scoped("e1"),
        "reservation_id": _scoped("b1"),
        "schedule_id": str(SCHEDULE),
        "user_id": str(_id("1")),
        "seat_ids": ["S01", "S02"],
        "amount": 3_000,
        "currency": "KRW",
    }


async def test_a_top_up_belongs_to_a_user(
    told: list[tuple[dict[str, str], dict[str, Any]]],
) -> None:
    topped_up = [data for entry, data in told if entry["topic"] == "wallet.topped_up"]
    assert topped_up[0] == {
        "top_up_id": str(_id("d1")),
        "user_id": str(_id("1")),
        "amount": 50_000,
        "currency": "KRW",
    }


def test_the_documentation_lists_every_topic_with_its_fields() -> None:
    text = _DOCS.read_text(encoding="utf-8")
    rows = re.findall(r"^\| `([a-z._]+)` \| (.*?) \| (.*?) \|$", text, re.MULTILINE)
    documented = {
        name: (when, tuple(re.findall(r"`(\w+)`", fields))) for name, when, fields in rows
    }
    assert documented == {topic.name: (topic.occasion, topic.fields) for topic in TOPICS.values()}
