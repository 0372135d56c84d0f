"""One request sent many times has one effect and one answer, on two pods and across restarts."""

import asyncio
from collections import Counter
from pathlib import Path

import asyncpg
import msgspec

from boxoffice.audit import audit
from boxoffice.settings import Settings
from faults.workload.fixtures import Fixtures, SeededBuyer, create_fixtures
from tests.support.shop import Crowd, pods

TIMES = 50

_COUNTS = {
    "reservations": "SELECT count(*) FROM reservations WHERE user_id::text = $1",
    "payments": "SELECT count(*) FROM payments WHERE user_id::text = $1",
}


async def _repeat(
    crowd: Crowd, path: str, person: SeededBuyer, key: str, body: object
) -> list[tuple[int, bytes]]:
    return await asyncio.gather(
        *(crowd.post(path, person, key, body, pod=at) for at in range(TIMES))
    )


def _one_answer(answers: list[tuple[int, bytes]]) -> bytes:
    assert {status for status, _ in answers} == {201}
    (body,) = {raw for _, raw in answers}
    return body


async def _count(settings: Settings, table: str, user_id: str) -> int:
    connection = await asyncpg.connect(settings.database.database_url)
    n: int = await connection.fetchval(_COUNTS[table], user_id)
    await connection.close()
    return n


async def test_fifty_requests_with_one_key_are_one(settings: Settings, tmp_path: Path) -> None:
    fixtures = await create_fixtures(settings, tmp_path, seats=20, users=2)
    person, other = fixtures.people
    holds = f"/v1/schedules/{fixtures.schedule_id}/reservations"
    hold_body = {"seat_ids": list(fixtures.seat_ids[:3])}
    with pods(settings, 2) as serving:
        async with Crowd([pod.url for pod in serving], fixtures.schedule_id) as crowd:
            held = _one_answer(await _repeat(crowd, holds, person, "hold", hold_body))
            assert await _count(settings, "reservations", person.user_id) == 1

            reservation = msgspec.json.decode(held)["reservation_id"]
            bill = {"reservation_id": reservation, "method": "wallet"}
            paid = _one_answer(await _repeat(crowd, "/v1/payments", person, "pay", bill))
            assert await _count(settings, "payments", person.user_id) == 1

            top_ups = "/v1/me/wallet/top-ups"
            topped_up = _one_answer(await _repeat(crowd, top_ups, person, "top_up", {"amount": 7}))
            best = _one_answer(await _repeat(crowd, holds, other, "best", {"quantity": 2}))
            assert await _count(settings, "reservations", other.user_id) == 1

            another = msgspec.json.decode(best)["reservation_id"]
            await _another_body_is_refused(crowd, fixtures, person, another)

    with pods(settings, 1) as serving:
        async with Crowd([serving[0].url], fixtures.schedule_id) as crowd:
            assert await crowd.post(holds, person, "hold", hold_body) == (201, held)
            assert await crowd.post("/v1/payments", person, "pay", bill) == (201, paid)
            assert await crowd.post(top_ups, person, "top_up", {"amount": 7}) == (201, topped_up)
            assert await crowd.post(holds, other, "best", {"quantity": 2}) == (201, best)
    report = await audit(settings)
    assert report.ok, report


async def _another_body_is_refused(
    crowd: Crowd, fixtures: Fixtures, person: SeededBuyer, another: str
) -> None:
    holds = f"/v1/schedules/{fixtures.schedule_id}/reservations"
    for path, key, body in (
        (holds, "hold", {"seat_ids": [fixtures.seat_ids[10]]}),
        (holds, "hold", {"quantity": 1}),
        ("/v1/payments", "pay", {"reservation_id": another, "method": "wallet"}),
        ("/v1/me/wallet/top-ups", "top_up", {"amount": 8}),
    ):
        status, raw = await crowd.post(path, person, key, body)
        code = msgspec.json.decode(raw)["code"]
        assert (status, code) == (422, "idempotency_key_reused"), (path, body)


async def test_many_bodies_under_one_key_have_one_effect_and_delay_no_other_request(
    settings: Settings, tmp_path: Path
) -> None:
    fixtures = await create_fixtures(settings, tmp_path, seats=700, users=2)
    one, other = fixtures.people
    holds = f"/v1/schedules/{fixtures.schedule_id}/reservations"
    told: Counter[tuple[int, str]] = Counter()
    with pods(settings, 1) as serving:
        async with Crowd([serving[0].url], fixtures.schedule_id) as crowd:

            async def ask(path: str, body: object) -> None:
                status, raw = await crowd.post(path, one, "same", body)
                told[status, msgspec.json.decode(raw).get("code", "")] += 1

            asked = [ask(holds, {"seat_ids": [seat]}) for seat in fixtures.seat_ids[:300]]
            asked += [ask("/v1/me/wallet/top-ups", {"amount": 1 + n}) for n in range(300)]
            neighbours = [crowd.hold(other, [seat]) for seat in fixtures.seat_ids[600:605]]
            _, *held = await asyncio.gather(asyncio.gather(*asked), *neighbours)
    assert all(held), "the neighbours are served"
    assert await _count(settings, "reservations", one.user_id) == 1
    assert told.pop((201, "")) == 2, "a hold and a top-up, which are two operations"
    refused = {(409, "idempotency_in_flight"), (422, "idempotency_key_reused")}
    assert set(told) <= refused
    assert told[409, "idempotency_in_flight"] > 0
    report = await audit(settings)
    assert report.ok, report


async def test_keys_belong_to_one_person(settings: Settings, tmp_path: Path) -> None:
    fixtures = await create_fixtures(settings, tmp_path, seats=4, users=2)
    with pods(settings, 1) as serving:
        async with Crowd([serving[0].url], fixtures.schedule_id) as crowd:
            one, other = fixtures.people
            assert await crowd.hold(one, [fixtures.seat_ids[0]], key="same")
            assert await crowd.hold(other, [fixtures.seat_ids[1]], key="same")


async def test_a_refusal_does_not_use_its_key_up(settings: Settings, tmp_path: Path) -> None:
    fixtures = await create_fixtures(settings, tmp_path, seats=4, users=2)
    one, other = fixtures.people
    with pods(settings, 1) as serving:
        async with Crowd([serving[0].url], fixtures.schedule_id) as crowd:
            assert await crowd.hold(one, [fixtures.seat_ids[0]])
            assert not await crowd.hold(other, [fixtures.seat_ids[0]], key="again")
            assert await crowd.hold(other, [fixtures.seat_ids[1]], key="again")


async def test_the_ticket_limit_holds_on_two_pods(settings: Settings, tmp_path: Path) -> None:
    fixtures = await create_fixtures(settings, tmp_path, seats=60, users=1, ticket_limit=4)
    (person,) = fixtures.people
    with pods(settings, 2) as serving:
        async with Crowd([pod.url for pod in serving], fixtures.schedule_id) as crowd:
            await asyncio.gather(
                *(crowd.hold(person, [seat], pod=at) for at, seat in enumerate(fixtures.seat_ids))
            )
            assert crowd.record.answers == {(201, "ok"): 4, (409, "ticket_limit"): 56}
    assert (await audit(settings)).ok
