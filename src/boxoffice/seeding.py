"""What a shop begins with: the demo of `boxoffice up`, and whole fields of buyers for load tests."""

import asyncio
import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import msgspec
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeElapsedColumn

from boxoffice.accounts.rules import BUYER, ORGANIZER
from boxoffice.app import Application, open_services
from boxoffice.catalog import rules as catalog_rules
from boxoffice.catalog.rules import NewConcert, NewSchedule
from boxoffice.errors import BoxofficeError, CredentialsInvalid, EmailTaken
from boxoffice.platform import sqlfiles
from boxoffice.platform.postgres import Database
from boxoffice.printing import text_column
from boxoffice.queue.rules import Mode, RoomChange
from boxoffice.settings import Settings

_QUERIES = sqlfiles.load("boxoffice", "seeding.sql")

_CHARGES_MAX = 2_000  # per transaction, well within the statement deadline

# A process that serves leads a new room within two seconds.
_LINE_WITHIN_S = 5.0

DEMO_SEATS = 1_000
DEMO_PASSWORD = "encore-encore"  # noqa: S105 — printed at every start of the demo
DEMO_BUYER = "buyer@demo.test"
DEMO_ORGANIZER = "organizer@demo.test"
DEMO_BALANCE_MINOR = 2_000_000


@dataclass(frozen=True)
class Plan:
    """What `boxoffice seed` is to make; None means the settings' default."""

    seats: int
    users: int
    balance_minor: int
    hold_ttl_s: int | None = None
    ticket_limit: int | None = None
    # With a rate the schedule has a waiting room, first come, first served.
    queue_rate_per_s: float | None = None


class Seeded(msgspec.Struct, frozen=True):
    """What scripts need to know of it."""

    concert_id: UUID
    schedule_id: UUID


@dataclass(frozen=True)
class Demo:
    """Where the demo is, and as whom to use it."""

    schedule_id: UUID
    buyer_email: str = DEMO_BUYER
    organizer_email: str = DEMO_ORGANIZER
    password: str = DEMO_PASSWORD


async def seed(settings: Settings, plan: Plan, tokens: Path | None, console: Console) -> Seeded:
    """Make a concert on sale and people with money; write their access tokens to `tokens`."""
    tag = secrets.token_hex(4)
    async with open_services(settings) as application:
        with _bar(console, "seats", plan.seats) as advance:
            email = f"organizer-{tag}@example.test"
            organizer_id = await application.accounts.sign_up(
                email, secrets.token_urlsafe(), "Organizer"
            )
            await application.accounts.grant_role(email, ORGANIZER)
            made = await _put_on_sale(application, settings, organizer_id, plan, f"Seeded {tag}")
            if plan.queue_rate_per_s is not None:
                change = RoomChange(mode=Mode.FIFO, rate_per_s=plan.queue_rate_per_s)
                await _open_room(application, organizer_id, made.schedule_id, change, console)
            advance(plan.seats)
        with _bar(console, "people", plan.users) as advance:
            user_ids = await people(application, plan.users, plan.balance_minor, tag, advance)
        if tokens is not None:
            _write_tokens(application, user_ids, tokens)
    return made


async def _open_room(
    application: Application,
    organizer_id: UUID,
    schedule_id: UUID,
    change: RoomChange,
    console: Console,
) -> None:
    """Open a waiting room, and return when a process that serves leads it, or say that none does."""
    queue = application.queue
    await queue.service.configure(organizer_id, schedule_id, change)
    try:
        async with asyncio.timeout(_LINE_WITHIN_S):
            while not queue.rooms.has_counters(schedule_id):
                await asyncio.sleep(0.05)
                await queue.rooms.read_counters(schedule_id)
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
    """Make buyers `buyer-<n>-<tag>@example.test` with money; return their ids in order."""
    user_ids = await application.accounts.seed_people(count, tag=tag)
    for start in range(0, count, _CHARGES_MAX):
        chunk = user_ids[start : start + _CHARGES_MAX]
        if balance_minor:
            await application.payments.seed(chunk, balance_minor)
        progress(start + len(chunk))
    return user_ids


async def demo(settings: Settings, console: Console) -> Demo:
    """Return the demo of this database, after making it where it is missing."""
    schedule_id = await _demo_schedule(settings)
    if schedule_id is None:
        console.print("… seeding a demo concert", style="dim")
        schedule_id = await _make_demo(settings)
    return Demo(schedule_id)


async def _demo_schedule(settings: Settings) -> UUID | None:
    db = Database(settings)
    await db.open()
    try:
        row = await db.read_one(_QUERIES["demo_schedule"], DEMO_ORGANIZER)
    finally:
        await db.close()
    return None if row is None else row["schedule_id"]


async def _make_demo(settings: Settings) -> UUID:
    plan = Plan(DEMO_SEATS, 0, DEMO_BALANCE_MINOR)
    async with open_services(settings) as application:
        organizer_id = await _demo_account(application, DEMO_ORGANIZER, "Organizer")
        await application.accounts.grant_role(DEMO_ORGANIZER, ORGANIZER)
        buyer_id = await _demo_account(application, DEMO_BUYER, "Demo Buyer")
        await application.payments.seed([buyer_id], DEMO_BALANCE_MINOR)
        made = await _put_on_sale(application, settings, organizer_id, plan, "Encore in Seoul")
    return made.schedule_id


async def _demo_account(application: Application, email: str, name: str) -> UUID:
    """Return the account, made now or by an earlier start that was interrupted.

    Who has the demo's password is the demo; anybody else must not be given a role or money.
    """
    try:
        return await application.accounts.sign_up(email, DEMO_PASSWORD, name)
    except EmailTaken:
        pass
    try:
        return await application.accounts.identify(email, DEMO_PASSWORD)
    except CredentialsInvalid as error:
        raise BoxofficeError(
            f"{email} is somebody's account in this database: the demo cannot be made here"
        ) from error


async def _put_on_sale(
    application: Application, settings: Settings, organizer_id: UUID, plan: Plan, title: str
) -> Seeded:
    # A day is more than any clock of ours is wrong: the sale is open by the database's clock too.
    now = datetime.now(UTC).replace(microsecond=0)
    schedule = NewSchedule(
        starts_at=now + timedelta(days=30),
        sale_opens_at=now - timedelta(days=1),
        sale_closes_at=None,
        currency=settings.currency,
        hold_ttl_s=plan.hold_ttl_s or settings.hold_ttl_default_s,
        ticket_limit=plan.ticket_limit or settings.ticket_limit_default,
    )
    concert = NewConcert(
        title=title,
        artist="The Encores",
        venue="Olympic Hall, Seoul",
        description="One evening, numbered seats.",
    )
    seats = catalog_rules.hall(plan.seats)
    on_sale = await application.catalog.put_on_sale(organizer_id, concert, schedule, seats)
    return Seeded(on_sale.concert_id, on_sale.schedule_id)


def _write_tokens(application: Application, user_ids: list[UUID], path: Path) -> None:
    """Write one line per person; the file lets its reader act for them, so only its owner reads it."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        for user_id in user_ids:
            token = application.accounts.tokens.mint(user_id, BUYER)
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
