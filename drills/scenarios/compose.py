"""The compose file: each service of our image as it is written there, behind HAProxy, while buyers buy.

PostgreSQL and Valkey are the embedded ones, and HAProxy is Debian's: there is no registry here.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from boxoffice_embedded.servers.embedded_servers import EmbeddedServers
from drills.compose import RUNTIME_ROLE, Installation, make_runtime_role
from drills.containers import PROGRAMS, Container, engine, unfit
from drills.drill import Drill, DrillReport
from drills.edge.proxies import EdgeProxy, haproxy, make_certificate
from tests.journey import JourneyFailed, OnSale, set_up, walk

_GIVEN = {
    "POSTGRES_PASSWORD": "p", "POSTGRES_RUNTIME_PASSWORD": "r", "VALKEY_PASSWORD": "v",
    "BOXOFFICE_IMAGE": "boxoffice:drill", "BOXOFFICE_WALLET_TOP_UP_FREE": "true",
}  # fmt: skip
_HEALTHY_WITHIN_S = 120
_PODS = ("serve-1", "serve-2")


async def _play(report: DrillReport, folder: Path) -> None:
    with engine() as opened, EmbeddedServers(folder / "data", say=report.say) as servers:
        started = time.perf_counter()
        report.say("building the image on a stand-in for its base")
        await asyncio.to_thread(opened.make_image)
        report.measure("image built, with its base", time.perf_counter() - started, "s")
        postgres = servers.postgres
        await asyncio.to_thread(make_runtime_role, postgres.url, postgres.password)
        databases = {"boxoffice": postgres.url, RUNTIME_ROLE: postgres.runtime_url}
        settings = {
            "BOXOFFICE_VALKEY_URL": servers.valkey_url,
            # All buyers of this drill come from one address.
            "BOXOFFICE_SIGN_UPS_PER_ADDRESS_MAX": "10000",
        }
        await _use(report, folder, Installation.of(opened, _GIVEN, databases, settings))


async def _use(report: DrillReport, folder: Path, shop: Installation) -> None:
    said = await asyncio.to_thread(shop.run, "migrate")
    report.check("migrate ends with 0", holds="up to date" in said)
    running = {
        name: await _started(report, shop, name) for name in shop.services if name != "migrate"
    }
    pods = [f"127.0.0.1:{shop.ports[name]}" for name in _PODS]
    with haproxy(pods, make_certificate(folder), folder) as edge:
        sale = await _sale(shop, edge)
        async with _buyers(report, edge, sale):
            for name in _PODS:
                await _restart(report, shop, running, name)
        await _stop(report, running)
    said = await asyncio.to_thread(shop.run, "audit")
    last = said.strip().splitlines()[-1]
    report.check("no invariant is broken", holds="invariants hold" in last, seen=last)


async def _started(report: DrillReport, shop: Installation, name: str) -> Container:
    report.say(f"starting {name}")
    begun = time.perf_counter()
    container = await asyncio.to_thread(shop.start, name)
    while not await asyncio.to_thread(shop.is_healthy, name):
        late = time.perf_counter() - begun > _HEALTHY_WITHIN_S
        if late or not container.state()["Running"]:
            raise RuntimeError(f"{name} is not healthy: {container.logs()[-2000:]}")
        await asyncio.sleep(0.2)
    report.measure(f"{name} healthy", time.perf_counter() - begun, "s")
    return container


async def _sale(shop: Installation, edge: EdgeProxy) -> OnSale:
    async def grant(email: str) -> None:
        await asyncio.to_thread(shop.run, "grant", email, "organizer")

    return await set_up(edge.url, grant, seats=200, ca_file=edge.certificate.ca_file)


@asynccontextmanager
async def _buyers(report: DrillReport, edge: EdgeProxy, sale: OnSale) -> AsyncIterator[None]:
    """Send buyers through the edge one after the other until the block is left; none may fail."""
    over = asyncio.Event()
    failures: list[str] = []
    walks = 0

    async def buy() -> None:
        nonlocal walks
        while not over.is_set():
            try:
                await walk(edge.url, sale, ca_file=edge.certificate.ca_file)
                walks += 1
            except JourneyFailed as failed:
                failures.append(str(failed))

    async with asyncio.TaskGroup() as group:
        buyers = group.create_task(buy())
        await asyncio.sleep(0)
        yield
        over.set()
        await buyers
    report.measure("journeys during the restarts", walks, "journeys")
    report.check("buyers look up, queue, hold, pay and get tickets", holds=walks > 0, seen=walks)
    report.check("no request fails while pods are replaced", holds=not failures, seen=failures[:3])


async def _restart(
    report: DrillReport, shop: Installation, running: dict[str, Container], name: str
) -> None:
    """Stop a pod, which drains, and start it again."""
    begun = time.perf_counter()
    code = await asyncio.to_thread(running[name].stop)
    report.measure(f"{name} drained", time.perf_counter() - begun, "s")
    report.check(f"{name} ends with 0", holds=code == 0, seen=code)
    await asyncio.to_thread(shop.engine.podman, "rm", name)
    running[name] = await _started(report, shop, name)


async def _stop(report: DrillReport, running: dict[str, Container]) -> None:
    for name, container in running.items():
        used = await asyncio.to_thread(container.memory_bytes)
        report.measure(f"memory of {name}", used / 1_000_000, "MB")
        state = container.state()
        report.check(f"{name} runs to the end", holds=state["Running"], seen=state["ExitCode"])
        code = await asyncio.to_thread(container.stop)
        out_of_memory = container.state()["OOMKilled"]
        report.check(f"{name} stops with 0", holds=(code, out_of_memory) == (0, False), seen=code)


DRILL = Drill(
    "compose",
    "The services of the compose file sell behind HAProxy while pods are replaced.",
    5,
    _play,
    (*PROGRAMS, "haproxy", "openssl"),
    unfit,
)
