"""The pages' rule of the board: the same places as the server's, no missed turn, and no stampede."""

import json
import random
from hashlib import sha256
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec
import pytest
from playwright.async_api import Page, Route, expect

from boxoffice.waiting_room import rules
from boxoffice.waiting_room.board.rules import BoardTiming, CountersReading, board
from boxoffice.waiting_room.engine.shuffle import SORTED_MAX
from boxoffice.waiting_room.rules import Gap, Mode, QueueCounters, WaitingRoomState
from tests.e2e.api.client import Person
from tests.e2e.api.client import expect as answered
from tests.e2e.api.conftest import Running, on_sale
from tests.support.waiting import until

from .conftest import Visit

pytestmark = pytest.mark.asyncio(loop_scope="session")

_POSITIONS = """async ([module, cases]) => {
  const { placeOf, positionOf } = await import(module);
  return cases.map(([board, number]) => {
    const place = placeOf(board, number);
    return [place, positionOf(board, place)];
  });
}"""
# Whether a user polls at once, and at the third of further steps `gap_s` apart, on the same board.
_LATER = """async ([module, number, gap_s, answered_s_ago, changed]) => {
  const { PersonalPolls } = await import(module);
  const board = {
    as_of: "2100-01-01T00:00:00Z", state: "WAITING", epoch: 1, called: 100, rate_per_s: 4, gaps: [],
    notice: null, draw_seed: null, lobby_size: 0, grace_s: 60, spread_s: 1, ask_every_s: 21_600,
    ...changed,
  };
  const polls = new PersonalPolls(() => 0.5);
  const began = 1e9;
  polls.answered({ number, epoch: 1, poll_after_s: 0 }, began, began - answered_s_ago * 1000);
  const atOnce = polls.isDue(board, began);
  let later = false;
  for (let step = 0; step < 4; step += 1) {
    const now = began + step * gap_s * 1000;
    later = polls.isDue(board, now);
    polls.waitS(board, null, now);
  }
  return [atOnce, later];
}"""
_WITHOUT_ED25519 = """SubtleCrypto.prototype.importKey =
  () => Promise.reject(new DOMException("Unrecognized name.", "NotSupportedError"));"""
_SIMULATION, _VERIFIED, _ROTATED = (
    Path(__file__).with_name(f"{name}.js").read_text(encoding="utf-8")
    for name in ("queue_board_simulation", "board_verified", "board_rotated")
)
# Four users are called per second at the most, and ten may poll for what concerns all.
PLAN = {
    "seed": 7,
    "users": 1_500,
    "seconds": 240,
    "rate_per_s": 4,
    "grace_s": 60,
    "stale_s": 3,
    "asks_per_s": 10,
    "epoch_at_s": 1e9,
    "off_at_s": 1e9,
}


async def module_of(visit: Visit, name: str = "queue-board") -> tuple[Page, str]:
    """Return a page of the shop, and the address of a module; by default that of the rule."""
    visitor = await visit()
    await visitor.open("/organizer")
    own = await visitor.page.locator("script[data-entry]").get_attribute("data-entry")
    assert own is not None
    return visitor.page, own.replace("main.js", f"lib/{name}.js")


async def test_only_a_board_that_the_shop_signed_is_believed(visit: Visit, seller: Person) -> None:
    page, module = await module_of(visit, "board-signature")
    paths = [f"/v1/schedules/{on_sale(seller, 10).schedule_id}/queue/board" for _ in range(2)]
    found, before, loaded = await page.evaluate(_VERIFIED, [module, *paths])
    believed = {name for name, is_genuine in found.items() if is_genuine}
    assert believed == {"genuine", "without a secure context", "without Ed25519"}
    assert len(found) == 12
    # An unknown key is looked for once in some seconds; who cannot verify looks for none.
    assert (before, loaded) == (1, 1)


async def test_a_new_key_is_learned_and_an_old_one_forgotten(visit: Visit) -> None:
    page, module = await module_of(visit, "board-signature")
    found = await page.evaluate(_ROTATED, [module])
    assert found == [
        [True, 1], [False, 1], [False, 1], [True, 2], [False, 2], [False, 3], [True, 3],
        # The shop took the key away, as after a leak; the set could not be read at first.
        [True, 3], [True, 4], [True, 4], [False, 5],
    ]  # fmt: skip


async def _ends_the_sale(route: Route) -> None:
    """Answer as a cache that changes boards and keeps their signatures."""
    answer = await route.fetch()
    body = (await answer.text()).replace('"notice":"paused"', '"notice":"sale_ended"')
    await route.fulfill(response=answer, body=body)


@pytest.mark.parametrize("can_verify", [True, False])
async def test_a_page_asks_personally_where_a_cache_changes_boards(
    visit: Visit, shop: Running, seller: Person, buyer: Person, can_verify: bool
) -> None:
    sale = on_sale(seller, 20)
    room = {"mode": "fifo", "paused": True, "grace_s": 15}
    answered(seller.api.post(f"/v1/admin/schedules/{sale.schedule_id}/queue", room), 200)
    # On a busy machine Valkey may miss its deadline.
    visitor = await visit(person=buyer, expected=["503"])
    page, queue = visitor.page, f"/v1/schedules/{sale.schedule_id}/queue"
    if not can_verify:
        # The control: the change is one that shows.
        await page.add_init_script(_WITHOUT_ED25519)
    await page.route(f"**{queue}/board", _ends_the_sale)
    await page.clock.install()
    async with page.expect_response(f"**{queue}/board"):
        await visitor.open(f"/schedules/{sale.schedule_id}/queue")
    ended = page.get_by_text("The sale has ended")
    if not can_verify:
        await expect(ended).to_be_visible()
        return
    await expect(page.locator(".queue-number")).to_have_text("1")
    polls: list[str] = []
    page.on("request", lambda request: polls.append(f"{request.method} {request.url}"))

    async def has_polled() -> bool:
        await page.clock.fast_forward(2_000)
        return f"GET {shop.api.url}{queue}" in polls

    await until(has_polled, 20.0)
    assert f"GET {shop.api.url}{queue}/board" in polls
    await expect(page.get_by_text("has paused admission")).to_be_visible()
    await expect(ended).to_have_count(0)


async def test_places_and_positions_are_those_of_the_server(visit: Visit) -> None:
    page, module = await module_of(visit)
    chance = random.Random(5)
    cases, expected = [], []
    for size in (0, 1, 2, 300, SORTED_MAX, SORTED_MAX + 1, 9_001, 1_000_003, 14_000_000):
        for number in {1, size or 1, size + 1, size + 7, chance.randint(1, size + 5)}:
            room, counters = _drawn(size, chance)
            place = room.place_of(number)
            shown = board(room, CountersReading(counters, 0.0, 0.0), BoardTiming(1, 60))
            cases.append([json.loads(msgspec.json.encode(shown)), number])
            expected.append([place, rules.position(room, counters, place)])
    found = await page.evaluate(_POSITIONS, [module, cases])
    assert [one[0] for one in found] == [one[0] for one in expected]
    # The share of vacant places is rounded half to even there, half up here.
    assert all(abs(a[1] - b[1]) <= 1 for a, b in zip(found, expected, strict=True))


def _drawn(size: int, chance: random.Random) -> tuple[WaitingRoomState, QueueCounters]:
    called = chance.randint(0, size)
    gap = Gap(size // 2, size // 2 + chance.randint(0, 20))
    room = WaitingRoomState(
        schedule_id=UUID(int=1),
        mode=Mode.LOBBY,
        is_paused=False,
        is_closed=False,
        rate_per_s=1.0,
        inside_max=1,
        inside_s=60,
        grace_s=60,
        opens_at=0.0,
        seed=sha256(b"%d" % size).digest(),
        lobby_size=size,
        epoch=1,
        numbers_to=size + 30,
        joined=size + 10,
        called=called,
        gaps=(gap,) if chance.random() < 0.5 else (),
    )
    return room, QueueCounters(epoch=1, joined=size + 10, called=called)


async def _simulated(visit: Visit, **changed: float) -> dict[str, Any]:
    page, module = await module_of(visit)
    found = await page.evaluate(_SIMULATION, [module, {**PLAN, **changed}])
    return dict(found)


@pytest.mark.parametrize("grace_s", [3, 5, 7, 9, 60])
async def test_no_turn_is_missed_and_only_called_users_poll(visit: Visit, grace_s: int) -> None:
    found = await _simulated(visit, grace_s=grace_s)
    assert (found["missed"], found["unanswered"], found["called"]) == (0, 0, 960)
    # Before their call users poll only where the grace is shorter than a board may be old.
    early_s = max(0, 8 - grace_s)
    assert found["polls"] <= 960 * 1.5 * early_s
    assert found["most"] <= PLAN["rate_per_s"] * (3 + 1.5 * early_s)
    assert (found["polls"] == 0) == (early_s == 0)


async def test_a_new_epoch_is_no_stampede(visit: Visit) -> None:
    found = await _simulated(visit, epoch_at_s=80)
    assert (found["missed"], found["unanswered"]) == (0, 0)
    # All who were waiting polled once, spread; those called meanwhile did at once.
    assert 600 <= found["polls"] <= 1_500 - 4 * 80
    assert found["most"] <= 2 * (PLAN["rate_per_s"] + PLAN["asks_per_s"])


async def test_a_room_that_is_switched_off_is_left_without_a_stampede(visit: Visit) -> None:
    found = await _simulated(visit, off_at_s=80)
    assert found["total"] >= 1_490
    assert found["most"] <= 2 * (PLAN["rate_per_s"] + PLAN["asks_per_s"])


@pytest.mark.parametrize(
    ("number", "gap_s", "answered_s_ago", "changed", "polls"),
    [
        (120, 10, 0, {}, [False, False]),
        # A board may be some seconds old, and a hidden page reads the next one a minute later.
        (120, 60, 0, {}, [False, True]),
        (140, 60, 0, {}, [False, False]),
        # The page was closed while the ticket grew older.
        (140, 10, 18_000, {}, [False, False]),
        (140, 10, 20_000, {}, [True, True]),
        # A queue that cannot be read cannot take a number over either.
        (140, 10, 0, {"epoch": 2}, [False, True]),
        (140, 10, 0, {"epoch": 2, "notice": "delayed"}, [False, False]),
        # A cache that shows an old board for ever, whatever it says, is no board.
        (140, 10, 0, {"as_of": "1970-01-01T00:00:00Z", "notice": "delayed"}, [False, True]),
    ],
)
async def test_a_user_polls_when_it_helps(
    visit: Visit,
    number: int,
    gap_s: int,
    answered_s_ago: int,
    changed: dict[str, Any],
    polls: list[bool],
) -> None:
    page, module = await module_of(visit)
    given = [module, number, gap_s, answered_s_ago, changed]
    assert await page.evaluate(_LATER, given) == polls
