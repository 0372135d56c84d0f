"""Reads holds and payments through the API, if the database cannot be read."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from functools import partial
from typing import Any

from boxoffice_loadtest.analysis.comparison import ServerState, StoredHold, StoredPayment
from boxoffice_loadtest.errors import TargetUnfit
from boxoffice_loadtest.measurement.api_client import request
from boxoffice_loadtest.measurement.client_log import ClientLog
from boxoffice_loadtest.measurement.database_reader import TargetSchedule
from boxoffice_loadtest.users import UserToken

_THREADS = 8
_PAGES_MAX = 50

Reservation = tuple[StoredHold, StoredPayment | None]


def read(
    base_url: str,
    tokens: Sequence[UserToken],
    terms: TargetSchedule,
    log: ClientLog,
    since: datetime,
) -> ServerState:
    """Return the reservations of all buyers that were made since then by the API's clock.

    If the list of one buyer cannot be read, `is_whole` is false.
    """
    of_user = partial(_of_user, base_url, str(terms.schedule_id), since)
    with ThreadPoolExecutor(_THREADS) as pool:
        lists = list(pool.map(of_user, [tokens[user] for user in sorted(log.buyers)]))
    found = [one for reservations in lists if reservations is not None for one in reservations]
    return ServerState(
        [hold for hold, _ in found],
        [payment for _, payment in found if payment is not None],
        terms.hold_ttl_s,
        is_keyed=False,
        is_whole=None not in lists,
    )


def _of_user(
    base_url: str, schedule_id: str, since: datetime, user: UserToken
) -> list[Reservation] | None:
    try:
        return [
            _parse(user, one)
            for one in _pages(base_url, user)
            if one["schedule_id"] == schedule_id
            and datetime.fromisoformat(one["created_at"]) >= since
        ]
    except (TargetUnfit, KeyError, TypeError, ValueError):
        return None


def _pages(base_url: str, user: UserToken) -> Iterator[dict[str, Any]]:
    cursor = ""
    for _ in range(_PAGES_MAX):
        path = f"/v1/me/reservations?limit=100{cursor}"
        page = request(base_url, "GET", path, token=user.access_token)
        yield from page.body["items"]
        if not page.body.get("next_cursor"):
            return
        cursor = f"&cursor={page.body['next_cursor']}"


def _parse(user: UserToken, one: dict[str, Any]) -> Reservation:
    seats = tuple(seat["seat_id"] for seat in one["seats"])
    hold = StoredHold(one["reservation_id"], user.user_id, seats, one["status"])
    payment = None
    if one.get("payment_id"):
        payment = StoredPayment(
            one["payment_id"], one["reservation_id"], user.user_id, one["amount"]
        )
    return hold, payment
