"""The demo of `boxoffice up`: a concert on sale, accounts with a random password, and how they go.

A demo is for one's own machine. Its password is made per data directory and kept there in a file that
its owner alone may read; while its accounts exist, nothing is served to other machines.
"""

import ipaddress
import secrets
import socket
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import msgspec
from rich.console import Console

from boxoffice.accounts.rules import BUYER, OPERATOR, ORGANIZER
from boxoffice.app import Application, open_services
from boxoffice.cli import seeding
from boxoffice.errors import BoxofficeError, CredentialsInvalid, EmailTaken, SettingsInvalid
from boxoffice.platform.postgres import sql_files
from boxoffice.platform.postgres.database import Database, Record
from boxoffice.settings import Settings

_QUERIES = sql_files.load("boxoffice_embedded", "demo.sql")

FILE_NAME = "demo.json"
SEATS = 1_000
BUYER_EMAIL = "buyer@demo.test"
OPERATOR_EMAIL = "operator@demo.test"
BALANCE_MINOR = 2_000_000
# What every demo had before passwords were random; one that still has it gets a new one.
_PUBLISHED = "encore-encore"
ROLES = {
    BUYER_EMAIL: BUYER,
    seeding.DEMO_ORGANIZER: ORGANIZER,
    OPERATOR_EMAIL: OPERATOR,
}
_NAMES = {BUYER: "Demo Buyer", ORGANIZER: "Organizer", OPERATOR: "Demo Operator"}


class Secret(msgspec.Struct, frozen=True):
    """What the file of a data directory holds."""

    password: str


@dataclass(frozen=True)
class Demo:
    """Where the demo is, and as whom to use it."""

    schedule_id: UUID
    password: str


def password_of(data_dir: Path) -> str | None:
    """Return the password of the demo of a data directory, None where none is known."""
    try:
        return msgspec.json.decode((data_dir / FILE_NAME).read_bytes(), type=Secret).password
    except (FileNotFoundError, msgspec.MsgspecError):
        return None


def keep_password(data_dir: Path) -> str:
    """Return the password of a data directory, made and written there where there is none."""
    from boxoffice_embedded.servers.files import (  # noqa: PLC0415 — not needed by a deployment
        give_to_folder_owner,
        write_private,
    )

    password = password_of(data_dir)
    if password is None:
        password = secrets.token_urlsafe(12)
        data_dir.mkdir(parents=True, exist_ok=True)
        path = data_dir / FILE_NAME
        write_private(path, msgspec.json.encode(Secret(password)))
        give_to_folder_owner(path)
    return password


async def make(settings: Settings, password: str, console: Console) -> Demo:
    """Return the demo of this database, after making what is missing of it.

    Raises `BoxofficeError` where one of its addresses is the account of somebody else.
    """
    schedule_id = await _schedule(settings)
    if schedule_id is None:
        console.print("… seeding a demo concert", style="dim")
    async with open_services(settings) as application:
        ids = {email: await _account(settings, application, email, password) for email in ROLES}
        for email, role in ROLES.items():
            await application.services.accounts.grant_role(email, role)
        await application.services.payments.seed([ids[BUYER_EMAIL]], BALANCE_MINOR)
        if schedule_id is None:
            plan = seeding.Plan(SEATS, 0, BALANCE_MINOR)
            organizer_id = ids[seeding.DEMO_ORGANIZER]
            title = "Encore in Seoul"
            made = await seeding.put_on_sale(application, settings, organizer_id, plan, title)
            schedule_id = made.schedule_id
    return Demo(schedule_id, password)


async def _schedule(settings: Settings) -> UUID | None:
    for row in await _ask(settings, "demo_schedule", seeding.DEMO_ORGANIZER):
        schedule_id: UUID = row["schedule_id"]
        return schedule_id
    return None


async def _account(settings: Settings, application: Application, email: str, password: str) -> UUID:
    """Return the account, made now or by an earlier start that was interrupted.

    Who has the demo's password is the demo; anybody else must not be given a role or money.
    """
    accounts = application.services.accounts
    try:
        return await accounts.sign_up(email, password, _NAMES[ROLES[email]])
    except EmailTaken:
        pass
    try:
        return await accounts.identify(email, password)
    except CredentialsInvalid:
        pass
    try:
        user_id = await accounts.identify(email, _PUBLISHED)
    except CredentialsInvalid as error:
        raise BoxofficeError(
            f"{email} is an account in this database whose password is not that of this demo: "
            "the demo cannot be made here; `boxoffice demo --remove` closes such accounts"
        ) from error
    password_hash = await accounts.hash_password(password)
    await _ask(settings, "set_password", user_id, password_hash)
    return user_id


async def is_there(settings: Settings) -> list[str]:
    """Return the addresses of the demo's accounts that this database has."""
    rows = await _ask(settings, "demo_accounts", list(ROLES))
    return [row["email"] for row in rows]


async def remove(settings: Settings) -> list[str]:
    """Close the demo's accounts for good and return their addresses; what they did stays on record."""
    emails = await is_there(settings)
    async with open_services(settings) as application:
        for email in emails:
            await application.services.accounts.grant_role(email, BUYER)
            unknown = await application.services.accounts.hash_password(secrets.token_urlsafe(32))
            rows = await _ask(settings, "close_account", email, unknown)
            for row in rows:
                await application.services.accounts.log_out_everywhere(row["user_id"])
    return emails


async def require_private(settings: Settings) -> None:
    """Raise `SettingsInvalid` where a demo would be served to other machines."""
    if is_loopback(settings.server.host):
        return
    emails = await is_there(settings)
    if emails:
        raise SettingsInvalid(
            f"BOXOFFICE_HOST is {settings.server.host!r}, which other machines reach, and the "
            f"database has the demo's accounts ({', '.join(emails)}): `boxoffice demo --remove` closes "
            "them; a demo is served on 127.0.0.1"
        )


def is_loopback(host: str) -> bool:
    """Say whether an address, or what a name stands for, is reached from this machine only."""
    try:
        return ipaddress.ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        pass
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except OSError:
        return False
    return all(ipaddress.ip_address(one[4][0]).is_loopback for one in found)


async def _ask(settings: Settings, name: str, *args: object) -> list[Record]:
    db = Database(settings)
    await db.open()
    try:
        return await db.fetch(_QUERIES[name], *args)
    finally:
        await db.close()
