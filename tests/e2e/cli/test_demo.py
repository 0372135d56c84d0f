"""A demo: made on one's own machine, with a random password, and out of reach of other machines."""

import asyncio
import socket
import stat
from pathlib import Path

import pytest

from boxoffice.app import open_services
from boxoffice.audit import audit
from boxoffice.audit.report import render
from boxoffice.cli import seeding
from boxoffice.cli.printing import terminal
from boxoffice.errors import BoxofficeError, CredentialsInvalid, SettingsInvalid
from boxoffice.platform.postgres.database import Database
from boxoffice.settings import Settings, load
from boxoffice_embedded import demo, demo_concerts
from boxoffice_embedded.up import UpOptions, _demo
from tests.e2e.cli.test_commands import _run

QUIET = terminal(quiet=True)
PASSWORD = "a-random-password"
ROOT = Path(__file__).parents[3]
OPEN = "0.0.0.0"  # noqa: S104 — what must be refused
STEPS = ["nothing", "organizer", "role", "buyer", "money", "all"]
ACCOUNTS = """
SELECT u.email, u.role, w.balance_minor FROM users u JOIN wallets w USING (user_id)
 WHERE u.email LIKE '%@demo.test' ORDER BY u.email
"""


@pytest.mark.parametrize("done", STEPS)
async def test_a_demo_that_was_interrupted_is_made_whole(
    settings: Settings, db: Database, done: str
) -> None:
    steps = STEPS.index(done)
    async with open_services(settings) as app:
        if steps >= 1:
            await app.services.accounts.sign_up(seeding.DEMO_ORGANIZER, PASSWORD, "Organizer")
        if steps >= 2:
            await app.services.accounts.grant_role(seeding.DEMO_ORGANIZER, "organizer")
        if steps >= 3:
            buyer_id = await app.services.accounts.sign_up(demo.BUYER_EMAIL, PASSWORD, "Demo Buyer")
        if steps >= 4:
            await app.services.payments.seed([buyer_id], demo.BALANCE_MINOR)
    if steps >= 5:
        await demo.make(settings, PASSWORD, QUIET)

    made = await demo.make(settings, PASSWORD, QUIET)
    assert await demo.make(settings, PASSWORD, QUIET) == made
    assert [tuple(row) for row in await db.fetch(ACCOUNTS)] == [
        (demo.BUYER_EMAIL, "buyer", demo.BALANCE_MINOR),
        (demo.OPERATOR_EMAIL, "operator", 0),
        (seeding.DEMO_ORGANIZER, "organizer", 0),
    ]
    further = sum(len(one.starts) for one in demo_concerts.catalog().concerts)
    assert len(await db.fetch("SELECT FROM schedules")) == 1 + further
    report = await audit(settings)
    assert report.ok, render(report)


@pytest.mark.parametrize("email", list(demo.ROLES))
async def test_an_existing_account_becomes_no_demo(
    settings: Settings, db: Database, email: str
) -> None:
    async with open_services(settings) as app:
        await app.services.accounts.sign_up(email, "another-password", "Somebody")
    with pytest.raises(BoxofficeError, match=rf"{email} is an account"):
        await demo.make(settings, PASSWORD, QUIET)
    rows = await db.fetch(
        f"SELECT * FROM ({ACCOUNTS.replace('ORDER BY u.email', '')}) a "  # noqa: S608 — our own
        "WHERE email = $1",
        email,
    )
    assert tuple(rows[0]) == (email, "buyer", 0)


async def test_a_demo_of_long_ago_is_followed_by_another_one(
    db: Database, settings: Settings
) -> None:
    """It is over, and nothing can be bought there any more."""
    made = await demo.make(settings, PASSWORD, QUIET)
    await db.fetch(
        "UPDATE schedules SET starts_at = now() WHERE schedule_id = $1", made.schedule_id
    )
    assert (await demo.make(settings, PASSWORD, QUIET)).schedule_id != made.schedule_id


async def test_a_published_password_is_replaced(settings: Settings) -> None:
    published = "encore-encore"
    async with open_services(settings) as app:
        await app.services.accounts.sign_up(demo.BUYER_EMAIL, published, "Demo Buyer")
        await demo.make(settings, PASSWORD, QUIET)
        await app.services.accounts.identify(demo.BUYER_EMAIL, PASSWORD)
        with pytest.raises(CredentialsInvalid):
            await app.services.accounts.identify(demo.BUYER_EMAIL, published)


def test_no_page_of_ours_tells_the_password_of_long_ago() -> None:
    pages = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    assert len(pages) > 10
    assert [page.name for page in pages if "encore-encore" in page.read_text("utf-8")] == []


def test_the_password_is_random_kept_and_its_owners(tmp_path: Path) -> None:
    one, other = (demo.keep_password(tmp_path / name) for name in "ab")
    assert one != other
    assert min(len(one), len(other)) >= 16
    assert demo.keep_password(tmp_path / "a") == one == demo.password_of(tmp_path / "a")
    assert demo.password_of(tmp_path / "c") is None
    assert stat.S_IMODE((tmp_path / "a" / demo.FILE_NAME).stat().st_mode) == 0o600


# A name server of the test: that of the machine may be away, slow, or know other names.
NAMES = {
    "localhost": ["127.0.0.1", "::1"],
    "shop.example": ["192.0.2.7"],
    "both.example": ["127.0.0.1", "192.0.2.7"],
}


def _look_up(host: str, port: None, **_: object) -> list[tuple[object, ...]]:
    if host not in NAMES:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
    return [(0, 0, 0, "", (address, port)) for address in NAMES[host]]


@pytest.mark.parametrize(
    ("host", "is_private"),
    [
        ("127.0.0.1", True), ("127.0.0.53", True), ("::1", True), ("localhost", True),
        (OPEN, False), ("::", False), ("10.0.0.9", False), ("no.such.host.invalid", False),
        ("shop.example", False), ("both.example", False),
    ],
)  # fmt: skip
def test_what_other_machines_reach_is_known(
    host: str, is_private: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", _look_up)
    assert demo.is_loopback(host) is is_private


async def test_a_demo_is_served_to_no_other_machine(settings: Settings, db: Database) -> None:
    def public(settings: Settings) -> Settings:
        servers = {
            "database_url": settings.database.database_url,
            "valkey_url": settings.valkey.valkey_url,
        }
        return load({}, host=OPEN, **servers)

    await demo.require_private(public(settings))
    await demo.make(settings, PASSWORD, QUIET)
    await demo.require_private(settings)
    with pytest.raises(SettingsInvalid, match="boxoffice demo --remove"):
        await demo.require_private(public(settings))
    assert set(await demo.remove(settings)) == set(demo.ROLES)
    assert await demo.remove(settings) == []
    await demo.require_private(public(settings))
    assert {row["role"] for row in await db.fetch("SELECT role FROM users")} == {"buyer"}
    async with open_services(settings) as app:
        for email in demo.ROLES:
            with pytest.raises(CredentialsInvalid):
                await app.services.accounts.identify(email, PASSWORD)
    report = await audit(settings)
    assert report.ok, render(report)


@pytest.mark.parametrize("workers", ["1", "2"])
def test_serve_refuses_a_demo_on_an_open_address(
    settings: Settings, tmp_path: Path, workers: str
) -> None:
    servers = {
        "database_url": settings.database.database_url,
        "valkey_url": settings.valkey.valkey_url,
    }
    ran = asyncio.run(demo.make(settings, PASSWORD, QUIET))
    assert ran.password == PASSWORD
    ended = _run("serve", "--workers", workers, cwd=tmp_path, host=OPEN, **servers)
    assert ended.returncode == 1
    assert "BOXOFFICE_HOST is '0.0.0.0'" in ended.stderr
    assert "boxoffice demo --remove" in ended.stderr
    removed = _run("demo", "--remove", cwd=tmp_path, **servers)
    assert removed.returncode == 0
    assert seeding.DEMO_ORGANIZER in removed.stderr


def test_ones_own_servers_get_no_demo_unless_that_is_wanted(
    settings: Settings, tmp_path: Path
) -> None:
    plain = UpOptions(tmp_path)
    assert _demo(settings, plain, QUIET, is_embedded=False) is None
    assert asyncio.run(demo.existing_accounts(settings)) == []
    made = _demo(settings, UpOptions(tmp_path, has_demo=True), QUIET, is_embedded=False)
    assert made is not None
    assert made.password == demo.password_of(tmp_path)
    open_ = load({}, host=OPEN, database_url=settings.database.database_url)
    assert _demo(open_, plain, QUIET, is_embedded=True) is None
    with pytest.raises(SettingsInvalid, match=r"served on 127\.0\.0\.1"):
        _demo(open_, UpOptions(tmp_path, has_demo=True), QUIET, is_embedded=False)
