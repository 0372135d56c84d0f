"""What a command opens: the services, nothing that runs beside them, and never the lead."""

import asyncio
import subprocess
import sys
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from boxoffice.app import open_application, open_services
from boxoffice.cli import operators, seeding
from boxoffice.platform.postgres.database import Database
from boxoffice.settings import Settings
from boxoffice.waiting_room.engine.leader import ROLE
from tests.e2e.cli.test_commands import TIMEOUT_S, _env


async def test_a_command_starts_nothing_in_the_background(settings: Settings) -> None:
    before = asyncio.all_tasks()
    async with open_services(settings) as application:
        await application.services.accounts.sign_up("a@example.test", "a-long-password-1", "A")
        assert asyncio.all_tasks() == before
    async with open_application(settings):
        # Negative control: what serves does run things.
        assert asyncio.all_tasks() > before
    assert asyncio.all_tasks() == before


async def test_a_command_never_leads(
    settings: Settings, db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(seeding, "_LINE_WITHIN_S", 1.0)
    said = Console(file=StringIO())
    plan = seeding.Plan(5, 0, 0, queue_rate_per_s=1.0)
    await seeding.seed(settings, plan, None, said)
    # Before, the seeding process led its room for as long as it ran.
    rows = await db.fetch("SELECT role FROM leases WHERE role = $1", ROLE)
    assert rows == []
    assert isinstance(said.file, StringIO)
    assert "as soon as the API is served" in said.file.getvalue()


async def test_a_key_outlasts_the_queue_tickets_that_it_has_signed(
    settings: Settings, db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_services(settings) as application:
        await application.services.accounts.ensure_key()
    monkeypatch.setattr(operators, "addressed_settings", lambda: settings)
    await asyncio.to_thread(operators.rotate_keys)
    [old] = await db.fetch(
        "SELECT extract(epoch FROM verifies_until - clock_timestamp())::float8 AS left_s"
        "  FROM token_keys WHERE verifies_until IS NOT NULL"
    )
    # A page that reads the board polls, and so renews its ticket, every six hours.
    assert old["left_s"] > settings.waiting_room.queue_ticket_ttl_s


@pytest.mark.parametrize("attempt", range(4))
def test_a_command_ends_as_soon_as_it_is_done(
    settings: Settings, tmp_path: Path, attempt: int
) -> None:
    """Three of ten of these ended late or never, so several show it."""
    servers = {
        "database_url": settings.database.database_url,
        "valkey_url": settings.valkey.valkey_url,
    }
    ended = subprocess.run(
        [sys.executable, "-m", "boxoffice", "rotate-keys"],
        cwd=tmp_path,
        env=_env(**servers),
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S / 2,
        check=False,
    )
    assert ended.returncode == 0, f"{attempt}: {ended.stderr}"
    assert "tasks_not_ended" not in ended.stdout + ended.stderr
