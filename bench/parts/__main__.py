"""Measures requests, single steps and statements, each alone, and prints a table."""

import asyncio
import platform
import tempfile
from pathlib import Path
from typing import Annotated
from uuid import UUID

import msgspec
import typer
import uvloop
from rich.console import Console
from rich.table import Table

from bench.environment.environment import Dataset, Environment, running_environment
from bench.parts import requests, statements, steps
from bench.parts.timing import PartCost
from boxoffice.app import open_application
from boxoffice.observability.logs import configure_logs
from boxoffice.settings import Settings

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


async def _sale(settings: Settings, dataset: Dataset) -> list[PartCost]:
    async with open_application(settings) as application:
        return await requests.sale(application, dataset)


async def _queue(settings: Settings, dataset: Dataset, servers: Environment) -> list[PartCost]:
    schedule_id = UUID(dataset.schedules[0].schedule_id)
    async with open_application(settings) as application:
        costs = await requests.queue(application, dataset)
        costs += await statements.valkey(application, schedule_id, servers.valkey_script_us)
        return costs + await steps.steps(application, schedule_id)


async def _statements(settings: Settings, dataset: Dataset) -> list[PartCost]:
    async with open_application(settings) as application:
        verify = application.services.accounts.tokens.verify
        users = [verify(token).user_id for token in dataset.tokens]
    return await statements.postgres(settings, dataset, users)


def measured(folder: Path, turns: int) -> list[PartCost]:
    """Measure every part, requests in `turns` turns per schedule; `folder` is for the servers."""
    with running_environment(folder / "servers") as servers:
        dataset = servers.seed_dataset(requests.plan(turns))
        with servers.fresh_database(dataset.plan) as settings:
            configure_logs(settings.observability)
            costs = uvloop.run(_sale(settings, dataset))
        with servers.fresh_database(dataset.plan) as settings:
            costs += uvloop.run(_statements(settings, dataset))
        with servers.fresh_database(dataset.plan) as settings:
            asyncio.run(servers.add_waiting_rooms(settings))
            # All users have one address.
            unlimited = settings.replace(queue_address_requests_per_s_max=1_000_000)
            costs += uvloop.run(_queue(unlimited, dataset, servers))
    return costs


def _table(costs: list[PartCost]) -> Table:
    python = platform.python_version()
    table = Table(title=f"CPU in microseconds, Python {python}; least of many runs, and median")
    for name in ("group", "part"):
        table.add_column(name, no_wrap=True)
    for name in ("least", "median"):
        table.add_column(name, justify="right", no_wrap=True)
    group = ""
    for one in costs:
        shown = "" if one.group == group else one.group
        group = one.group
        table.add_row(shown, one.part, f"{one.least_us:.1f}", f"{one.median_us:.1f}")
    return table


@app.command()
def main(
    turns: Annotated[int, typer.Option(min=2, help="Turns of 32 requests per schedule.")] = 30,
    json: Annotated[Path | None, typer.Option(help="Where to write the costs.")] = None,
) -> None:
    """Print what requests, steps and statements cost, each alone, in CPU."""
    with tempfile.TemporaryDirectory(prefix="boxoffice-bench-", ignore_cleanup_errors=True) as home:
        costs = measured(Path(home), turns)
    Console(width=100).print(_table(costs))
    if json is not None:
        json.write_bytes(msgspec.json.format(msgspec.json.encode(costs)))


if __name__ == "__main__":
    app()
