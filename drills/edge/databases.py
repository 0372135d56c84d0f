"""Databases of a drill, whose event loop runs already."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from bench.environment.environment import DatasetPlan, Environment
from boxoffice.settings import Settings


@asynccontextmanager
async def fresh_database(environment: Environment, plan: DatasetPlan) -> AsyncIterator[Settings]:
    """Copy a dataset's database, in a thread because the copy runs an event loop of its own."""
    manager = environment.fresh_database(plan)
    settings = await asyncio.to_thread(manager.__enter__)
    try:
        yield settings
    finally:
        await asyncio.to_thread(manager.__exit__, None, None, None)
