"""The other side of the client's record, asked through the API where the database cannot be read."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from functools import partial
from typing import Any

from boxoffice_loadtest.analysis.comparison import Stored, StoredHold, StoredPayment
from boxoffice_loadtest.errors import TargetUnfit
from boxoffice_loadtest.measurement.api_client import ask
from boxoffice_loadtest.measurement.client_log import Record
from boxoffice_loadtest.measurement.database_reader import ScheduleTerms
from boxoffice_loadtest.runner.target import Person

_ASKING_AT_ONCE = 8
_PAGES_MAX = 50


def stored(
    base_url: str,
    persons: Sequence[Person],
    terms: ScheduleTerms,
    record: Record,
    since: datetime,
) -> Stored:
    """Return what the API shows to each person who tried to buy, made since then by its clock.

    A person whose list cannot be read makes the result not whole.
    """
    read = partial(_of_person, base_url, str(terms.schedule_id), since)
    with ThreadPoolExecutor(_ASKING_AT_ONCE) as pool:
        lists = list(pool.map(read, [persons[number] for number in sorted(record.buyers)]))
    shown = [one for found in lists if found is not None for one in found]
    return Stored(
        [hold for hold, _ in shown],
        [payment for _, payment in shown if payment is not None],
        terms.hold_ttl_s,
        is_keyed=False,
        is_whole=None not in lists,
    )


Shown = tuple[StoredHold, StoredPayment | None]


def _of_person(
    base_url: str, schedule_id: str, since: datetime, person: Person
) -> list[Shown] | None:
    try:
        return [
            _present(person, one)
            for one in _pages(base_url, person)
            if one["schedule_id"] == schedule_id
            and datetime.fromisoformat(one["created_at"]) >= since
        ]
    except (TargetUnfit, KeyError, TypeError, ValueError):
        return None


def _pages(base_url: str, person: Person) -> Iterator[dict[str, Any]]:
    cursor = ""
    for _ in range(_PAGES_MAX):
        page = ask(
            base_url, "GET", f"/v1/me/reservations?limit=100{cursor}", token=person.access_token
        )
        yield from page.body["items"]
        if not page.body.get("next_cursor"):
            return
        cursor = f"&cursor={page.body['next_cursor']}"


def _present(person: Person, one: dict[str, Any]) -> Shown:
    seats = tuple(seat["seat_id"] for seat in one["seats"])
    hold = StoredHold(one["reservation_id"], person.user_id, seats, one["status"])
    payment = None
    if one.get("payment_id"):
        payment = StoredPayment(
            one["payment_id"], one["reservation_id"], person.user_id, one["amount"]
        )
    return hold, payment
