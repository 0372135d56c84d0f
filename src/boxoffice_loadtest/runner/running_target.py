"""A target that runs already, reached by its URL."""

import asyncio
import os
from pathlib import Path
from uuid import UUID

from boxoffice.settings import Settings
from boxoffice_loadtest.errors import TargetUnfit
from boxoffice_loadtest.measurement import database_reader
from boxoffice_loadtest.measurement.api_client import parse_base_url, request
from boxoffice_loadtest.measurement.database_reader import TargetSchedule
from boxoffice_loadtest.runner.target import LoadTarget, database_environment
from boxoffice_loadtest.users import UserToken, read_users


def running_target(
    url: str, tokens: Path, schedule_id: UUID, settings: Settings | None
) -> LoadTarget:
    """Return a running target; raise `TargetUnfit` if it cannot be tested.

    With `settings` its database and Valkey are read as well.
    """
    if settings is not None and not settings.database.database_url:
        settings = None
    base_url = parse_base_url(url)
    users = read_users(tokens)
    health = request(base_url, "GET", "/readyz")
    if health.status != 200:
        raise TargetUnfit(f"{base_url}/readyz answers {health.status}: is this boxoffice?")
    terms = _terms(base_url, schedule_id, settings)
    check_hold(base_url, users.tokens[0], schedule_id)
    return LoadTarget(
        base_url=base_url,
        users=users,
        settings=settings,
        pids=dict,
        failure=lambda: None,
        prepare_schedule=lambda _seats, _has_waiting_room: terms,
        not_sampled=["processes"] + ([] if settings is not None else ["database", "valkey"]),
        environment=database_environment(settings) if settings is not None else {},
    )


def _terms(base_url: str, schedule_id: UUID, settings: Settings | None) -> TargetSchedule:
    seat_map = request(base_url, "GET", f"/v1/schedules/{schedule_id}/seats")
    if seat_map.status != 200:
        raise TargetUnfit(f"{base_url} has no schedule {schedule_id} ({seat_map.code})")
    if settings is not None:
        return asyncio.run(_terms_in_database(settings, schedule_id))
    concert_id, ttl_s = _find_schedule(base_url, schedule_id)
    return TargetSchedule(schedule_id, concert_id, ttl_s, len(seat_map.body["seats"]))


async def _terms_in_database(settings: Settings, schedule_id: UUID) -> TargetSchedule:
    async with database_reader.open_reader(settings) as reader:
        return await reader.terms(schedule_id)


def _find_schedule(base_url: str, schedule_id: UUID) -> tuple[UUID, float]:
    """Search the published concerts for a schedule; return (concert, seconds of a hold)."""
    cursor = ""
    while True:
        page = request(base_url, "GET", f"/v1/concerts?limit=100{cursor}")
        concerts = page.body["items"] if page.status == 200 else []
        for concert in concerts:
            ttl_s = _hold_ttl_s(base_url, concert["concert_id"], schedule_id)
            if ttl_s is not None:
                return UUID(concert["concert_id"]), ttl_s
        next_cursor = page.body.get("next_cursor") if page.status == 200 else None
        if not next_cursor:
            raise TargetUnfit(f"no published concert has the schedule {schedule_id}")
        cursor = f"&cursor={next_cursor}"


def _hold_ttl_s(base_url: str, concert_id: str, schedule_id: UUID) -> float | None:
    page = request(base_url, "GET", f"/v1/concerts/{concert_id}/schedules")
    for one in page.body["items"] if page.status == 200 else ():
        if one["schedule_id"] == str(schedule_id):
            return float(one["hold_ttl_s"])
    return None


def check_hold(base_url: str, user: UserToken, schedule_id: UUID) -> None:
    """Hold and release a seat; raise `TargetUnfit` with the reason if the hold is refused."""
    path = f"/v1/schedules/{schedule_id}/reservations"
    key = f"loadtest-probe-{os.urandom(6).hex()}"
    made = request(base_url, "POST", path, token=user.access_token, key=key, body={"quantity": 1})
    if made.status == 201:
        reservation_id = made.body["reservation_id"]
        request(base_url, "DELETE", f"/v1/reservations/{reservation_id}", token=user.access_token)
        return
    reasons = {
        "not_on_sale": f"schedule {schedule_id} is not on sale: open it first",
        "sold_out": f"schedule {schedule_id} is sold out: seed a fresh one",
        "ticket_limit": "the first user of the tokens file has reached the ticket limit",
    }
    fallback = f"a hold is refused: {made.status} {made.code}"
    if made.status == 401:
        fallback = "the tokens are not valid there: seed them against the same database"
    raise TargetUnfit(reasons.get(made.code, fallback))
