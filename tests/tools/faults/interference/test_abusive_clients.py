"""Missing and wrong responses to abusive clients fail a scenario."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from faults.interference.abusive_clients import (
    CUT,
    FORGOTTEN,
    OVER,
    UNREACHED,
    AbusePlan,
    AbuseResult,
    play,
)
from faults.scenarios.clients.abusive import ABUSES, Abuse

HOLD = b"POST /v1/schedules/none/reservations HTTP/1.1\r\nHost: shop\r\n\r\n{}"
# They get no response; holds show whether they arrived.
SPOKEN_TO = [clients for clients, *_ in ABUSES if clients.kind != "hang_ups"]


def plan(kind: str, port: int) -> AbusePlan:
    """Return a short plan with little patience."""
    return AbusePlan(
        kind=kind, port=port, clients=2, seconds=2.5, patience_s=0.4, seed=1, path="/", hold=HOLD
    )


def result(answers: dict[str, int]) -> AbuseResult:
    """Return the responses of a trial."""
    turns = sum(answers.values())
    return AbuseResult(begin_s=0.0, end_s=1.0, turns=turns, answers=answers, sent_bytes=0)


@pytest.fixture
async def silent_port() -> AsyncIterator[int]:
    """A server that reads everything and never responds."""

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while await reader.read(65_536):
                pass
        except ConnectionError:
            pass
        finally:
            writer.close()

    async with await asyncio.start_server(take, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1]


@pytest.mark.parametrize("clients", SPOKEN_TO, ids=lambda clients: clients.kind)
async def test_silence_is_noticed(silent_port: int, clients: Abuse) -> None:
    heard = await play(plan(clients.kind, silent_port))
    assert heard.turns == sum(heard.answers.values())
    assert any(what.startswith(FORGOTTEN) for what in heard.answers), heard
    assert clients.wrong(heard)


async def test_a_missing_server_is_noticed(unused_tcp_port: int) -> None:
    heard = await play(plan("storm", unused_tcp_port))
    assert set(heard.answers) == {UNREACHED}


@pytest.mark.parametrize("clients", [one for one, *_ in ABUSES], ids=lambda clients: clients.kind)
def test_no_answers_are_wrong_for_every_kind(clients: Abuse) -> None:
    assert clients.wrong(result({}))
    assert clients.wrong(result({OVER: clients.clients}))


@pytest.mark.parametrize("clients", [one for one, *_ in ABUSES], ids=lambda clients: clients.kind)
def test_what_is_wanted_is_enough_and_one_less_is_not(clients: Abuse) -> None:
    wanted = dict(clients.at_least)
    assert not clients.wrong(result(wanted | {OVER: 1}))
    for what, least in wanted.items():
        assert clients.wrong(result(wanted | {what: least - 1}))


@pytest.mark.parametrize("odd", [FORGOTTEN, UNREACHED, CUT, "500"])
def test_an_odd_answer_beside_all_others_is_wrong(odd: str) -> None:
    slow = ABUSES[0][0]
    assert slow.wrong(result({"408": 1_000, odd: 1}))
