"""What organizers see of their own concerts, drafts too, and what others see of it: nothing."""

from typing import Any
from uuid import uuid4

import pytest

from .client import Person, expect, refused
from .conftest import Running, draft, make_organizer, on_sale


@pytest.fixture(scope="module")
def me(server: Running) -> Person:
    """An organizer without concerts yet."""
    return make_organizer(server)


def test_my_concerts_are_paged_newest_first(me: Person, organizer: Person) -> None:
    made = [draft(me, 0).concert_id, on_sale(me, 2).concert_id, draft(me, 1).concert_id][::-1]
    draft(organizer, 0)
    first = expect(me.api.get("/v1/admin/concerts?limit=2"), 200).json
    rest = expect(me.api.get(f"/v1/admin/concerts?limit=2&cursor={first['next_cursor']}"), 200).json
    assert [one["concert_id"] for one in first["items"] + rest["items"]] == made
    assert rest["next_cursor"] is None
    published = first["items"][1]
    assert (published["status"], published["schedules_total"], published["schedules_open"]) == (
        "PUBLISHED",
        1,
        1,
    )
    refused(me.api.get("/v1/admin/concerts?cursor=none"), "cursor_invalid")
    refused(me.api.get("/v1/admin/concerts?limit=0"), "invalid")


def test_a_draft_is_seen_by_its_organizer_only(me: Person, organizer: Person) -> None:
    sale = draft(me, 3)
    concert = f"/v1/admin/concerts/{sale.concert_id}"
    schedule = f"/v1/admin/schedules/{sale.schedule_id}"
    seen = expect(me.api.get(concert), 200).json
    assert seen["status"] == "DRAFT"
    [of_concert] = seen["schedules"]
    assert (of_concert["seats_total"], of_concert["seats_available"]) == (3, 3)
    in_full = expect(me.api.get(schedule), 200).json
    assert in_full["concert"]["title"] == seen["title"]
    assert {**of_concert, "concert": in_full["concert"]} == in_full
    refused(organizer.api.get(concert), "concert_not_found")
    refused(organizer.api.get(schedule), "schedule_not_found")
    refused(me.api.get(f"/v1/admin/concerts/{uuid4()}"), "concert_not_found")
    refused(me.api.get("/v1/admin/schedules/none"), "schedule_not_found")


def _entries(person: Person, query: str = "") -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = expect(person.api.get(f"/v1/admin/activity?{query}"), 200).json[
        "items"
    ]
    return items


def test_the_activity_log_shows_who_when_and_the_request(me: Person, organizer: Person) -> None:
    sale = draft(me, 2)
    path = f"/v1/admin/concerts/{sale.concert_id}/publish"
    request_id = f"publish-{uuid4()}"
    expect(me.api.post(path, headers={"X-Request-Id": request_id}), 200)

    newest, imported, *_ = _entries(me, "limit=100")
    assert newest["action"] == "concert.published"
    assert newest["request_id"] == request_id
    assert newest["actor_id"] == me.user_id
    assert newest["actor_name"] == "Organizer"
    assert newest["concert_id"] == sale.concert_id
    assert imported["action"] == "seats.imported"
    assert imported["details"] == {"seats_added": 2, "seats_total": 2}
    assert imported["starts_at"]

    of_schedule = _entries(me, f"schedule_id={sale.schedule_id}")
    assert [entry["action"] for entry in of_schedule] == ["seats.imported", "schedule.created"]
    assert _entries(organizer, f"concert_id={sale.concert_id}") == []


def test_the_activity_log_is_paged(me: Person) -> None:
    draft(me, 1)
    every = _entries(me, "limit=100")
    paged: list[dict[str, Any]] = []
    cursor = ""
    while cursor is not None and len(paged) <= len(every):
        answer = expect(me.api.get(f"/v1/admin/activity?limit=2&cursor={cursor}"), 200).json
        paged += answer["items"]
        cursor = answer["next_cursor"]
    assert paged == every
    assert len(every) > 2


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("cursor=none", "cursor_invalid"),
        ("cursor=LTE", "cursor_invalid"),
        ("limit=101", "invalid"),
        ("concert_id=none", "invalid"),
        ("schedule_id=", "invalid"),
    ],
)
def test_a_bad_question_is_refused(me: Person, query: str, code: str) -> None:
    refused(me.api.get(f"/v1/admin/activity?{query}"), code)
