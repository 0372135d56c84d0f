"""Metrics of a process: its event loop, its rounds, its build."""

import asyncio
import time

import pytest
from prometheus_client import REGISTRY

from boxoffice.observability.build_info import announce_build
from boxoffice.observability.event_loop import watch_event_loop
from boxoffice.observability.rounds import Rounds
from boxoffice.platform.concurrency.tasks import cancel_and_wait


def _value(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0.0


def test_the_age_of_a_round_grows_until_the_next_one_succeeds() -> None:
    now_s = 100.0
    rounds = Rounds(lambda: now_s)
    rounds.done("ageing_role")
    now_s += 7
    assert _value("boxoffice_role_round_age_seconds", role="ageing_role") == pytest.approx(7)
    rounds.done("ageing_role")
    assert _value("boxoffice_role_round_age_seconds", role="ageing_role") == 0


async def test_a_blocked_event_loop_is_measured() -> None:
    name = "boxoffice_event_loop_lag_seconds_sum"
    before_s = _value(name)
    ran = asyncio.Event()
    task = asyncio.create_task(watch_event_loop(ran.set, every_s=0.01))
    await asyncio.sleep(0)
    time.sleep(0.15)  # noqa: ASYNC251 — it blocks the loop, as a bug would
    await ran.wait()
    await cancel_and_wait([task])
    assert _value(name) - before_s >= 0.12


def test_the_build_is_announced_with_its_commit() -> None:
    announce_build("0123456")
    names = [
        sample.labels
        for metric in REGISTRY.collect()
        if metric.name == "boxoffice_build_info"
        for sample in metric.samples
    ]
    assert [(one["commit"], one["version"] != "") for one in names] == [("0123456", True)]
    assert _value("boxoffice_start_time_seconds") == pytest.approx(time.time(), abs=60)
