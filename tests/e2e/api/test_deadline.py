"""What a request hears when its own time is over, and that it is true."""

import asyncio
import time
from typing import Any

import asyncpg
import pytest

from boxoffice.http.api.operation import Call, Reply, RouteDependencies, operation
from tests.support.connection import Client

from .client import Person, expect, refused
from .conftest import Start, make_organizer, on_sale, rich

HASTE = {
    "statement_timeout_ms": "100",
    "lock_timeout_ms": "100",
    "unknown_outcome_timeout_ms": "100",
    "batch_isolation_timeout_ms": "200",
    "body_timeout_ms": "1000",
    "request_timeout_ms": "1300",
    "confirm_wait_ms": "900",
    "batch_retry_for_ms": "60000",
}


def test_a_hold_that_is_made_after_the_deadline_was_never_denied(start: Start) -> None:
    # Only the hold is in haste: a busy machine may need longer for the rest.
    patient, server = start(), start(**HASTE)
    sale = on_sale(make_organizer(patient), 4)
    at_patient = rich(patient.api)
    buyer = Person(at_patient.user_id, at_patient.email, server.api.of(at_patient.api.token))
    hold_body = {"seat_ids": sale.seat_ids[:1]}

    async def ask_behind_a_lock() -> Any:
        connection = await asyncpg.connect(server.database_url)
        try:
            async with connection.transaction():
                await connection.execute("LOCK TABLE outbox IN SHARE MODE")
                return await asyncio.to_thread(buyer.api.post, sale.holds, hold_body, key="one")
        finally:
            await connection.close()

    refused(asyncio.run(ask_behind_a_lock()), "outcome_unknown")
    # The command is still being decided, and the same key tells how.
    until = time.monotonic() + 30
    while (made := buyer.api.post(sale.holds, hold_body, key="one")).code == "outcome_unknown":
        assert time.monotonic() < until
    expect(made, 201)
    assert [seat["seat_id"] for seat in made.json["seats"]] == hold_body["seat_ids"]
    mine = expect(at_patient.api.get("/v1/me/reservations"), 200).json["items"]
    assert len(mine) == 1


class _Slow:
    """Answers later than its dependencies allows."""

    dependencies = RouteDependencies(
        authenticate=lambda _token: pytest.fail("nobody asked who calls"),
        body_max_bytes=100,
        request_timeout_s=0.05,
    )

    async def _answer(self) -> Reply:
        await asyncio.Event().wait()
        return Reply()

    @operation("Read")
    async def on_get(self, _call: Call[Any, Any]) -> Reply:
        """Read for ever."""
        return await self._answer()

    @operation("Write")
    async def on_post(self, _call: Call[Any, Any]) -> Reply:
        """Write for ever."""
        return await self._answer()

    @operation("Undo", 204)
    async def on_delete(self, _call: Call[Any, Any]) -> Reply:
        """Undo for ever."""
        return await self._answer()

    @operation("Write what is sent", body=dict[str, int])
    async def on_put(self, _call: Call[Any, Any]) -> Reply:
        """Never be called."""
        return await self._answer()


@pytest.mark.parametrize(
    ("method", "code"),
    [("GET", "unavailable"), ("POST", "outcome_unknown"), ("DELETE", "outcome_unknown")],
)
async def test_only_what_changes_nothing_says_that_nothing_was_done(method: str, code: str) -> None:
    answer = await _client().request(method, "/slow")
    assert (answer.status_code, answer.json["code"]) == (503, code)
    assert answer.headers["retry-after"] == "1"


async def test_a_write_whose_body_never_came_did_nothing() -> None:
    headers = {"Content-Type": "application/json", "Content-Length": "10"}
    answer = await _client().request("PUT", "/slow", headers=headers)
    assert (answer.status_code, answer.json["code"]) == (503, "unavailable")


def _client() -> Client:
    return Client([("/slow", _Slow())], _Slow.dependencies)
