"""The commands on the database: its schema, and data for a load test."""

import asyncio
import sys
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from boxoffice.cli.context import addressed_settings, progress, say


def migrate(
    runtime_role: Annotated[
        str | None,
        typer.Option(help="Create this role if needed, and grant it what serving needs."),
    ] = None,
) -> None:
    """Bring the database's schema and functions up to date."""
    from boxoffice.platform.postgres.migrations import migrate as bring_up_to_date  # noqa: PLC0415 — costs time
    from boxoffice.platform.postgres.runtime_role import grant as grant_rights  # noqa: PLC0415 — costs time

    settings = addressed_settings(runtime_role=runtime_role)

    async def work() -> int:
        steps = await bring_up_to_date(settings, say)
        if settings.database.runtime_role:
            await grant_rights(settings, settings.database.runtime_role, say)
        return steps

    steps = asyncio.run(work())
    progress.print(f"the database is up to date ({steps} steps taken)")


def seed(
    seats: Annotated[int, typer.Option(min=1, help="Seats of the schedule.")] = 1000,
    users: Annotated[int, typer.Option(min=0, help="People with money in their wallets.")] = 4000,
    tokens: Annotated[Path | None, typer.Option(help="Where to write their access tokens.")] = None,
    balance: Annotated[
        int, typer.Option(min=0, help="Money per wallet, in minor units.")
    ] = 5_000_000,
    hold_ttl_s: Annotated[int | None, typer.Option(min=1, help="Hold time, in seconds.")] = None,
    ticket_limit: Annotated[int | None, typer.Option(min=1, help="Tickets per person.")] = None,
    queue_rate_per_s: Annotated[
        float | None,
        typer.Option(min=0.01, help="Open a waiting room that admits so many people per second."),
    ] = None,
    organizer: Annotated[
        str | None, typer.Option(help="The organizer's e-mail address; default: the demo's.")
    ] = None,
) -> None:
    """Create a published concert with an open schedule, and people who can pay.

    Prints the ids as one line of JSON; the tokens file gets one line of JSON per person.
    """
    from boxoffice.cli import seeding  # noqa: PLC0415 — costs time

    plan = seeding.Plan(
        seats, users, balance, hold_ttl_s, ticket_limit, queue_rate_per_s, organizer
    )
    seeded = asyncio.run(seeding.seed(addressed_settings(), plan, tokens, progress))
    sys.stdout.write(msgspec.json.encode(seeded).decode() + "\n")
