"""What a role without pages of its own answers to probes."""

import asyncio
from http import HTTPStatus

import pytest

from boxoffice.observability import role_health
from boxoffice.observability.role_health import RoleHealth


async def test_a_role_is_ready_from_its_start_until_it_stops() -> None:
    health, stop = RoleHealth(), asyncio.Event()
    with health.followed(stop):
        assert health.answer("/readyz") == (HTTPStatus.SERVICE_UNAVAILABLE, "starting")
        assert health.answer("/healthz") == (HTTPStatus.OK, "ok")
        health.started()
        assert health.answer("/readyz") == (HTTPStatus.OK, "ready")
        stop.set()
        assert health.answer("/readyz") == (HTTPStatus.SERVICE_UNAVAILABLE, "stopping")
        # It finishes the work in progress meanwhile.
        assert health.answer("/healthz") == (HTTPStatus.OK, "ok")


async def test_a_role_whose_event_loop_does_not_turn_is_not_healthy(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(role_health, "_TURN_EVERY_S", 0.0)
    now_s = 0.0
    health = RoleHealth(lambda: now_s)
    with health.followed(asyncio.Event()):
        now_s = 10.1
        assert health.answer("/healthz") == (HTTPStatus.SERVICE_UNAVAILABLE, "stuck")
        await asyncio.sleep(0.01)
        assert health.answer("/healthz") == (HTTPStatus.OK, "ok")


def test_other_paths_are_not_probes() -> None:
    assert RoleHealth().answer("/metrics") is None
