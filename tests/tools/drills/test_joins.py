"""The drills of Valkey notice joins that never return: they fail, and end."""

import itertools

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from drills.drill import DrillReport, DrillVerdict
from drills.runner import verdict_of
from drills.scenarios.valkey import check_joins
from drills.servers.shop import Buyers


async def _refuse(_request: web.Request) -> web.Response:
    return web.json_response({"code": "unavailable"}, status=503)


async def test_joins_that_are_refused_for_ever_are_given_up() -> None:
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", _refuse)
    async with TestServer(app) as server, aiohttp.ClientSession() as session:
        urls = itertools.repeat(str(server.make_url("")).rstrip("/"))
        buyers = Buyers(session, urls, visit_timeout_s=0.05)
        await buyers.visit("one", "token")
        with pytest.raises(TimeoutError):
            await buyers.join("one", "token")
    assert (buyers.given_up, buyers.done) == (1, 0)
    assert {(call.kind, call.status) for call in buyers.calls} == {("join", 503)}


@pytest.mark.parametrize(
    ("gap_s", "verdict"), [(3.9, DrillVerdict.PASS), (float("inf"), DrillVerdict.FAIL)]
)
def test_a_gap_without_an_end_is_a_failure(gap_s: float, verdict: DrillVerdict) -> None:
    report = DrillReport(lambda _: None)
    check_joins(report, "no number was issued for", gap_s)
    assert verdict_of(report, "") is verdict
