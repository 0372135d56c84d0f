"""Seed data: a concert on sale, and buyers for load tests."""

import asyncio
import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from uuid import UUID

import msgspec
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeElapsedColumn

from boxoffice.accounts.rules import BUYER, ORGANIZER, normal_email
from boxoffice.app import Application, open_services
from boxoffice.catalog import rules as catalog_rules
from boxoffice.catalog.rules import NewConcert, NewSchedule
from boxoffice.cli.printing import text_column
from boxoffice.errors import BoxofficeError
from boxoffice.permissions import Actor, Permission
from boxoffice.platform.postgres import sql_files
from boxoffice.platform.postgres.database import Database
from boxoffice.settings import Settings
from boxoffice.waiting_room.rules import Mode, WaitingRoomChange

_QUERIES = sql_files.load("boxoffice.cli", "seeding.sql")

_TOP_UPS_MAX = 2_000  # per transaction, well within the statement deadline

# A serving process leads a new waiting room within two seconds.
_LINE_WITHIN_S = 5.0

DEMO_ORGANIZER = "organizer@demo.test"
# Seoul has no daylight saving time, so a fixed offset is enough.
_SEOUL = timezone(timedelta(hours=9))
_DOORS_H, _SALE_H = 19, 10
_PERFORMANCE_IN_DAYS, _ON_SALE_FOR_DAYS = 30, 2


@dataclass(frozen=True)
class Plan:
    """The data that `boxoffice seed` creates; None means the settings' default."""

    seats: int
    users: int
    balance_minor: int
    hold_ttl_s: int | None = None
    ticket_limit: int | None = None
    # With a rate the schedule has a waiting room, first come, first served.
    queue_rate_per_s: float | None = None
    # The organizer's e-mail address.
    organizer: str | None = None
    row_seats: int = 25
    section_rows: int = 10


class Seeded(msgspec.Struct, frozen=True):
    """The ids of the seeded concert."""

    concert_id: UUID
    schedule_id: UUID


async def seed(settings: Settings, plan: Plan, tokens: Path | None, console: Console) -> Seeded:
    """Create a concert on sale and buyers with money; write their access tokens to `tokens`."""
    tag = secrets.token_hex(4)
    async with open_services(settings) as application:
        with _bar(console, "seats", plan.seats) as advance:
            organizer_id = await _organizer(settings, application, plan.organizer, tag, console)
            organizer = await acting(application, organizer_id)
            made = await put_on_sale(application, settings, organizer, plan, f"Seeded {tag}")
            if plan.queue_rate_per_s is not None:
                change = WaitingRoomChange(mode=Mode.FIFO, rate_per_s=plan.queue_rate_per_s)
                await _open_room(application, organizer, made.schedule_id, change, console)
            advance(plan.seats)
        with _bar(console, "people", plan.users) as advance:
            user_ids = await people(application, plan.users, plan.balance_minor, tag, advance)
        if tokens is not None:
            _write_tokens(application, user_ids, tokens)
    return made


async def _open_room(
    application: Application,
    organizer: Actor,
    schedule_id: UUID,
    change: WaitingRoomChange,
    console: Console,
) -> None:
    """Open a waiting room, and return when a serving process leads it; print if none does."""
    queue = application.services.waiting_room
    await queue.service.configure(organizer, schedule_id, change)
    try:
        async with asyncio.timeout(_LINE_WITHIN_S):
            while not queue.rooms.has_counters(schedule_id):
                await asyncio.sleep(0.05)
                await queue.rooms.refresh_counters(schedule_id)
    except TimeoutError:
        console.print(
            "… the waiting room takes people in as soon as the API is served", style="dim"
        )


async def people(
    application: Application,
    count: int,
    balance_minor: int,
    tag: str,
    progress: Callable[[int], None] = lambda _: None,
) -> list[UUID]:
    """Create buyers `buyer-<n>-<tag>@example.test` with money; return their ids in order."""
    user_ids = await application.services.accounts.seed_people(count, tag=tag)
    for start in range(0, count, _TOP_UPS_MAX):
        chunk = user_ids[start : start + _TOP_UPS_MAX]
        if balance_minor:
            await application.services.payments.seed(chunk, balance_minor)
        progress(start + len(chunk))
    return user_ids


async def _organizer(
    settings: Settings, application: Application, wanted: str | None, tag: str, console: Console
) -> UUID:
    """Return the organizer's id: the wanted one, else the demo's, else a new one.

    Raises `BoxofficeError` where the wanted one has no account or is no organizer.
    """
    email = normal_email(wanted or DEMO_ORGANIZER)
    db = Database(settings)
    await db.open()
    try:
        known = await db.read_one(_QUERIES["account"], email)
    finally:
        await db.close()
    if known is not None and known["role"] == ORGANIZER:
        organizer_id: UUID = known["user_id"]
        return organizer_id
    if wanted is not None:
        raise BoxofficeError(
            f"{email} has no account here: sign up first"
            if known is None
            else f"{email} is no organizer: `boxoffice grant {email} {ORGANIZER}` first"
        )
    email = f"organizer-{tag}@example.test"
    made = await application.services.accounts.sign_up(email, secrets.token_urlsafe(), "Organizer")
    await application.services.accounts.grant_role(email, ORGANIZER)
    console.print(
        f"… the concert belongs to {email}, which has no password; --organizer names another one",
        style="dim",
    )
    return made


async def acting(application: Application, organizer_id: UUID) -> Actor:
    """Return an organizer who acts in one organization of theirs."""
    found = await application.services.accounts.act_as(organizer_id, Permission.EVENTS_WRITE)
    own = found.organization_ids or ()
    return msgspec.structs.replace(found, organization_ids=own[:1])


async def put_on_sale(
    application: Application, settings: Settings, organizer: Actor, plan: Plan, title: str
) -> Seeded:
    """Create a published concert some weeks ahead, with its schedule on sale."""
    # Two days back, so that the sale is open by the database's clock as well.
    today = datetime.now(_SEOUL).replace(minute=0, second=0, microsecond=0)
    schedule = NewSchedule(
        starts_at=today.replace(hour=_DOORS_H) + timedelta(days=_PERFORMANCE_IN_DAYS),
        sale_opens_at=today.replace(hour=_SALE_H) - timedelta(days=_ON_SALE_FOR_DAYS),
        sale_closes_at=None,
        currency=settings.payments.currency,
        hold_ttl_s=plan.hold_ttl_s or settings.holds.hold_ttl_default_s,
        ticket_limit=plan.ticket_limit or settings.holds.ticket_limit_default,
    )
    concert = NewConcert(
        title=title,
        artist="The Encores",
        venue="Olympic Hall, Seoul",
        description="One evening, numbered seats.",
    )
    seats = catalog_rules.hall(plan.seats, plan.row_seats, plan.section_rows)
    on_sale = await application.services.catalog.put_on_sale(organizer, concert, schedule, seats)
    return Seeded(on_sale.concert_id, on_sale.schedule_id)


def _write_tokens(application: Application, user_ids: list[UUID], path: Path) -> None:
    """Write one line per person, readable by the owner only: the tokens give access."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        for user_id in user_ids:
            token = application.services.accounts.tokens.mint(user_id, BUYER)
            line = {"user_id": user_id, "access_token": token}
            file.write(msgspec.json.encode(line) + b"\n")


@contextmanager
def _bar(console: Console, what: str, total: int) -> Iterator[Callable[[int], None]]:
    columns = (
        text_column("… {task.description:<8}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, transient=not console.is_terminal) as bar:
        task = bar.add_task(what, total=total)

        def advance(completed: int) -> None:
            bar.update(task, completed=completed)

        yield advance
