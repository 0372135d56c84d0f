"""Hundreds of slow clients beside buyers: at a pod alone, behind HAProxy and behind nginx."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from bench.environment.environment import Dataset, DatasetPlan, running_environment
from bench.environment.processes import APP, ServerProcess, running
from drills.drill import Drill, DrillReport
from drills.edge.buyers import EdgeBuyers
from drills.edge.databases import fresh_database
from drills.edge.proxies import EdgeCertificate, EdgeProxy, haproxy, make_certificate, nginx
from drills.edge.slow_clients import SlowClients, SlowConnections

_PLAN = DatasetPlan(seats=4_000, schedules=1, users=4_000)
_BUYERS = 4
_SLOW_OF_A_KIND = 200
_QUIET_S, _ATTACK_S = 4.0, 17.0
# The edge's EDGE_SLOW, with the time in which a busy machine notices.
_CLOSED_WITHIN_S = 8.0 + 6.0
# HAProxy passes on what is not in its cache, so an unread answer holds a connection of the pod until
# BOXOFFICE_WRITE_TIMEOUT_MS is over. nginx takes the whole answer.
_POD_CONNECTIONS_MAX = {"HAProxy": _SLOW_OF_A_KIND + 50, "nginx": 50}
# nginx bounds the time between two parts of a body, not of all; no part of it reaches a pod.
_CLOSED = {"HAProxy": ("slow heads", "slow bodies"), "nginx": ("slow heads",)}
_MANY = {"EDGE_ADDRESS_REQUESTS": "1000000", "EDGE_ADDRESS_CONNECTIONS": "10000"}
_MANY_NGINX = {**_MANY, "EDGE_ADDRESS_REQUESTS": "100000r/s", "EDGE_ADDRESS_BURST": "10000"}


@dataclass(frozen=True)
class SlowRun:
    """What buyers and the pod noticed: without slow clients, and beside them."""

    quiet_p99_ms: float
    p99_ms: float
    failures: int
    pod_connections: int
    slow: dict[str, SlowConnections]


async def play(report: DrillReport, folder: Path) -> None:
    """Attack the pod alone, then behind each proxy."""
    certificate = make_certificate(folder)
    starts: dict[str, Callable[[str], AbstractContextManager[EdgeProxy | None]]] = {
        "a pod alone": lambda _pod: _without_edge(),
        "HAProxy": lambda pod: haproxy([pod], certificate, folder, **_MANY),
        "nginx": lambda pod: nginx([pod], certificate, folder, **_MANY_NGINX),
    }
    with running_environment(folder / "servers") as environment:
        dataset = await asyncio.to_thread(environment.seed_dataset, _PLAN)
        for name, start in starts.items():
            async with fresh_database(environment, _PLAN) as settings:
                env = environment.env(settings, 1) | {"BOXOFFICE_LOG_LEVEL": "warning"}
                with (
                    running(APP, env, folder / "pod.log") as pod,
                    start(f"127.0.0.1:{pod.port}") as edge,
                ):
                    _report(report, name, await _attack(pod, edge, dataset, certificate))


@contextmanager
def _without_edge() -> Iterator[None]:
    yield None


async def _attack(
    pod: ServerProcess, edge: EdgeProxy | None, dataset: Dataset, certificate: EdgeCertificate
) -> SlowRun:
    trusted = certificate.trusted()
    schedule_id = dataset.schedules[0].schedule_id
    if edge is None:
        buyers = EdgeBuyers(f"http://127.0.0.1:{pod.port}", True, dataset)
        slow = SlowClients(pod.port, None, schedule_id)
    else:
        buyers = EdgeBuyers(edge.url, trusted, dataset)
        slow = SlowClients(edge.https_port, trusted, schedule_id)
    most = 0
    async with buyers.buying(_BUYERS) as purchases:
        await asyncio.sleep(_QUIET_S)
        quiet_p99_ms = purchases.p99_ms()
        purchases.seconds.clear()
        async with slow.attacking(_SLOW_OF_A_KIND) as seen:
            for _ in range(int(2 * _ATTACK_S)):
                await asyncio.sleep(0.5)
                most = max(most, _connections_of(pod))
    failures = sum(purchases.failures.values())
    return SlowRun(quiet_p99_ms, purchases.p99_ms(), failures, most, seen)


def _connections_of(pod: ServerProcess) -> int:
    """Count the clients' connections that the pod has open."""
    found = psutil.Process(pod.group.pid).net_connections("tcp")
    return sum(one.status == "ESTABLISHED" and one.laddr.port == pod.port for one in found)


def _report(report: DrillReport, name: str, run: SlowRun) -> None:
    report.measure(f"{name}: p99 of buyers without slow clients", run.quiet_p99_ms, "ms")
    report.measure(f"{name}: p99 of buyers beside them", run.p99_ms, "ms")
    report.measure(f"{name}: connections of the pod at most", run.pod_connections, "connections")
    for kind, seen in run.slow.items():
        report.measure(f"{name}: {kind} opened", seen.opened, "connections")
    report.check(f"{name}: no request of a buyer failed", holds=not run.failures, seen=run.failures)
    if name == "a pod alone":
        return
    report.check(
        f"{name}: the pod has less than {_POD_CONNECTIONS_MAX[name]} connections",
        holds=run.pod_connections < _POD_CONNECTIONS_MAX[name],
        seen=run.pod_connections,
    )
    for kind in _CLOSED[name]:
        longest_s = run.slow[kind].longest_s
        report.check(
            f"{name}: {kind} are closed",
            holds=0 < longest_s < _CLOSED_WITHIN_S,
            seen=f"after {longest_s:.1f} s at most",
        )


DRILL = Drill(
    name="edge_slow_clients",
    title="hundreds of slow clients beside buyers, without an edge and with each",
    minutes=2,
    play=play,
    programs=("haproxy", "nginx", "openssl"),
)
