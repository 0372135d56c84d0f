"""A rolling restart of all pods while they sell, behind HAProxy and behind nginx."""

import asyncio
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path

from bench.environment.environment import DatasetPlan, running_environment
from bench.environment.processes import APP, ServerProcess
from boxoffice.audit import audit
from drills.drill import Drill, DrillReport
from drills.edge.buyers import EdgeBuyers, Purchases
from drills.edge.databases import fresh_database
from drills.edge.proxies import EdgeProxy, haproxy, make_certificate, nginx

_PLAN = DatasetPlan(seats=4_000, schedules=1, users=4_000)
_PODS = 3
_BUYERS = 12
_QUIET_S = 1.0
# Above three checks of the edge, each every half second.
_POD_ENV = {"BOXOFFICE_DRAIN_DELAY_MS": "2500", "BOXOFFICE_LOG_LEVEL": "warning"}
_MANY = {"EDGE_ADDRESS_REQUESTS": "1000000", "EDGE_ADDRESS_CONNECTIONS": "10000"}
_MANY_NGINX = {"EDGE_ADDRESS_REQUESTS": "10000r/s", "EDGE_ADDRESS_BURST": "10000"}

Start = Callable[[list[str]], AbstractContextManager[EdgeProxy]]


async def play(report: DrillReport, folder: Path) -> None:
    """Restart each pod behind each proxy, and see what buyers notice."""
    certificate = make_certificate(folder)
    edges: dict[str, Start] = {
        "HAProxy": lambda pods: haproxy(pods, certificate, folder, **_MANY),
        "nginx": lambda pods: nginx(pods, certificate, folder, **_MANY_NGINX),
    }
    with running_environment(folder / "servers") as environment:
        dataset = await asyncio.to_thread(environment.seed_dataset, _PLAN)
        for name, start in edges.items():
            async with fresh_database(environment, _PLAN) as settings:
                env = environment.env(settings, 1) | _POD_ENV
                with ExitStack() as stack:
                    pods = [_start(stack, env, folder / f"pod-{n}.log") for n in range(_PODS)]
                    for pod in pods:
                        pod.wait_until_ready()
                    edge = stack.enter_context(start([f"127.0.0.1:{pod.port}" for pod in pods]))
                    buyers = EdgeBuyers(edge.url, certificate.trusted(), dataset)
                    async with buyers.buying(_BUYERS) as purchases:
                        await asyncio.sleep(_QUIET_S)
                        for number, pod in enumerate(pods):
                            await _restart(stack, pod, env, folder / f"pod-{number}-again.log")
                        await asyncio.sleep(_QUIET_S)
                    _report(report, name, purchases)
                found = await audit(settings)
                report.check(f"{name}: the audit is clean", holds=found.ok, seen=found.broken or "")


def _start(stack: ExitStack, env: dict[str, str], log: Path, port: int = 0) -> ServerProcess:
    pod = ServerProcess(APP, env, log, port)
    stack.callback(pod.kill)
    return pod


async def _restart(stack: ExitStack, pod: ServerProcess, env: dict[str, str], log: Path) -> None:
    """Stop a pod as an orchestrator does, and start another one at its address."""
    await asyncio.to_thread(pod.stop)
    fresh = _start(stack, env, log, pod.port)
    await asyncio.to_thread(fresh.wait_until_ready)
    # The edge takes it in.
    await asyncio.sleep(_QUIET_S)


def _report(report: DrillReport, name: str, purchases: Purchases) -> None:
    failures = sum(purchases.failures.values())
    report.measure(f"{name}: tickets bought", purchases.tickets, "tickets")
    report.measure(f"{name}: requests", sum(purchases.answers.values()), "requests")
    report.measure(f"{name}: requests that failed", failures, "requests", target="0 for HAProxy")
    report.measure(f"{name}: p99", purchases.p99_ms(), "ms")
    if name == "HAProxy":
        report.check(
            "HAProxy: no request failed", holds=not failures, seen=dict(purchases.failures) or ""
        )
    report.check(
        f"{name}: each purchase succeeded, after a repetition under its key if need be",
        holds=purchases.tickets > 0 and not purchases.never,
        seen=dict(purchases.failures) or "",
    )


DRILL = Drill(
    name="edge_drain",
    title="a rolling restart of all pods while they sell, behind HAProxy and nginx",
    minutes=2,
    play=play,
    programs=("haproxy", "nginx", "openssl"),
)
