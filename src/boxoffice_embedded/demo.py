"""The demo of `boxoffice up`: a concert on sale, and accounts with a random password.

A demo is for one machine. Its password is generated per data directory, in a file that only its owner
may read; while its accounts exist, the API is not served to other machines.
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
from boxoffice.permissions import Actor
from boxoffice.platform.postgres import sql_files
from boxoffice.platform.postgres.database import Database, Record
from boxoffice.platform.storage.files import give_to_folder_owner, write_private
from boxoffice.settings import Settings
from boxoffice_embedded import demo_concerts

_QUERIES = sql_files.load("boxoffice_embedded", "demo.sql")

FILE_NAME = "demo.json"
SEATS = 1_000
BUYER_EMAIL = "buyer@demo.test"
OPERATOR_EMAIL = "operator@demo.test"
BALANCE_MINOR = 2_000_000
# The password of every demo before it became random; it is replaced where it is still in use.
_PUBLISHED = "encore-encore"
ROLES = {
    BUYER_EMAIL: BUYER,
    seeding.DEMO_ORGANIZER: ORGANIZER,
    OPERATOR_EMAIL: OPERATOR,
}
_NAMES = {BUYER: "Demo Buyer", ORGANIZER: "Organizer", OPERATOR: "Demo Operator"}


class DemoSecret(msgspec.Struct, frozen=True):
    """The content of the demo's file in a data directory."""

    password: str


@dataclass(frozen=True)
class Demo:
    """The demo's schedule, and the password of its accounts."""

    schedule_id: UUID
    password: str


def password_of(data_dir: Path) -> str | None:
    """Return the demo's password of a data directory, or None."""
    try:
        return msgspec.json.decode((data_dir / FILE_NAME).read_bytes(), type=DemoSecret).password
    except (FileNotFoundError, msgspec.MsgspecError):
        return None


def keep_password(data_dir: Path) -> str:
    """Return the demo's password of a data directory, generated and saved if there is none."""
    password = password_of(data_dir)
    if password is None:
        password = secrets.token_urlsafe(12)
        data_dir.mkdir(parents=True, exist_ok=True)
        path = data_dir / FILE_NAME
        write_private(path, msgspec.json.encode(DemoSecret(password)))
        give_to_folder_owner(path)
    return password


async def make(settings: Settings, password: str, console: Console) -> Demo:
    """Return the demo of this database, after creating what is missing.

    Raises `BoxofficeError` where one of its e-mail addresses has an account with another password.
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
            organizer = await seeding.acting(application, ids[seeding.DEMO_ORGANIZER])
            title = "Encore in Seoul"
            made = await seeding.put_on_sale(application, settings, organizer, plan, title)
            schedule_id = made.schedule_id
            await _add_concerts(settings, application, organizer, made.concert_id)
    return Demo(schedule_id, password)


async def _add_concerts(
    settings: Settings, application: Application, organizer: Actor, main_id: UUID
) -> None:
    db = Database(settings)
    await db.open()
    try:
        await demo_concerts.add(application, settings, db, organizer, main_id)
    finally:
        await db.close()


async def _schedule(settings: Settings) -> UUID | None:
    for row in await _ask(settings, "demo_schedule", seeding.DEMO_ORGANIZER):
        schedule_id: UUID = row["schedule_id"]
        return schedule_id
    return None


async def _account(settings: Settings, application: Application, email: str, password: str) -> UUID:
    """Return the account, created now or by an earlier start that was interrupted.

    An account with another password is not the demo's, and must not get a role or money.
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


async def existing_accounts(settings: Settings) -> list[str]:
    """Return the e-mail addresses of the demo's accounts in this database."""
    rows = await _ask(settings, "demo_accounts", list(ROLES))
    return [row["email"] for row in rows]


async def remove(settings: Settings) -> list[str]:
    """Close the demo's accounts and return their e-mail addresses; their history stays."""
    emails = await existing_accounts(settings)
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
    emails = await existing_accounts(settings)
    if emails:
        raise SettingsInvalid(
            f"BOXOFFICE_HOST is {settings.server.host!r}, which other machines reach, and the "
            f"database has the demo's accounts ({', '.join(emails)}): `boxoffice demo --remove` closes "
            "them; a demo is served on 127.0.0.1"
        )


def is_loopback(host: str) -> bool:
    """Say whether a host's addresses are reachable from this machine only."""
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
