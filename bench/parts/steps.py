"""Single steps of holds, joins and boards in the API process."""

import asyncio
import os
from collections.abc import Iterator, Sequence
from uuid import UUID

from bench.parts.timing import REPETITIONS, PartCost, part_cost, timed_calls, timed_loop
from boxoffice.app import Application
from boxoffice.platform.ids import new_id
from boxoffice.waiting_room.board.keys import BoardKey, BoardKeys
from boxoffice.waiting_room.board.service import Boards
from boxoffice.waiting_room.engine.queue_state import IssuedNumbers, QueueState
from boxoffice.waiting_room.queue_tickets import QueueTicketSigner
from boxoffice.waiting_room.store import QueueStore

_GROUP = "step in the API process"
_CALLS = 200
_BATCH = 32
_RECORD = 1_600
# Above the numbers that the measured joins were given.
_FREE_NUMBERS = 1_000_000
_BOARD_BYTES = 600
# Each rendering is this much later, so that it is not taken from memory and has other bytes.
_LATER_S = 10.0


async def steps(application: Application, schedule_id: UUID) -> list[PartCost]:
    """Measure the steps; `schedule_id` has a waiting room, which a leader has opened."""
    tokens = application.services.accounts.tokens
    signer = QueueTicketSigner(
        tokens.keys, application.infrastructure.clock.now, ticket_ttl_s=3_600, cached_max=1
    )
    measured: dict[str, Sequence[float]] = {
        "access token, cold": timed_loop(
            tokens.verify, lambda: [tokens.mint(new_id(), "buyer") for _ in range(_CALLS)]
        ),
        "queue ticket, signed": timed_loop(
            lambda user_id: signer.issue_ticket(schedule_id, user_id, 1, 12_345),
            lambda: [new_id() for _ in range(_CALLS)],
        ),
        f"script call of a join, of {_BATCH}": await _script_call(application, schedule_id),
        f"record of a number in PostgreSQL, of {_RECORD:,}": await _record(
            application, schedule_id
        ),
        "board, signed": timed_loop(
            BoardKey(os.urandom(32)).sign, lambda: [os.urandom(_BOARD_BYTES) for _ in range(_CALLS)]
        ),
        "board: counters read, rendered, signed": await _rendering(application, schedule_id),
    }
    return [part_cost(_GROUP, name, seconds) for name, seconds in measured.items()]


async def _script_call(application: Application, schedule_id: UUID) -> list[float]:
    settings = application.settings.waiting_room
    queue_state = QueueState(
        application.infrastructure.valkey, settings.queue_state_ttl_s, settings.queue_tick_max
    )
    return await timed_calls(lambda: queue_state.join(schedule_id, os.urandom(16 * _BATCH)), _BATCH)


async def _record(application: Application, schedule_id: UUID) -> list[float]:
    store = QueueStore(application.infrastructure.db)
    firsts = iter(range(_FREE_NUMBERS, _FREE_NUMBERS + REPETITIONS * _RECORD, _RECORD))

    def record() -> "asyncio.Future[None]":
        first = next(firsts)
        numbers = list(range(first, first + _RECORD))
        given = IssuedNumbers(numbers, os.urandom(16 * _RECORD))
        return asyncio.ensure_future(store.record_joins(schedule_id, given))

    return await timed_calls(record, _RECORD)


async def _rendering(application: Application, schedule_id: UUID) -> list[float]:
    services = application.services
    seconds = _later(application.infrastructure.clock.now())
    now = [next(seconds)]

    async def exists(_schedule_id: UUID) -> None:
        return

    boards = Boards(
        application.settings.waiting_room,
        services.waiting_room.rooms,
        BoardKeys(services.accounts.tokens.keys),
        exists,
        lambda: now[0],
        lambda: now[0],
    )

    async def render() -> None:
        now[0] = next(seconds)
        await boards.rendered(schedule_id)

    await render()
    return await timed_calls(render, 1)


def _later(at: float) -> Iterator[float]:
    while True:
        yield at
        at += _LATER_S
