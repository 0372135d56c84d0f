"""The commands for operators: the audit, roles and keys, and the API's description."""

import asyncio
import sys
from typing import Annotated

import msgspec
import typer

from boxoffice.cli.context import addressed_settings, progress
from boxoffice.cli.printing import printable


def audit(
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    """Check every invariant on the live database; exit 1 if one is broken."""
    from boxoffice import audit as auditing  # noqa: PLC0415 — costs time

    def say(check: auditing.Check) -> None:
        # One check at a time: a large database takes a while.
        if not as_json:
            sys.stdout.write("\n".join(auditing.render_check(check)) + "\n")
            sys.stdout.flush()

    report = asyncio.run(auditing.audit(addressed_settings(), on_check=say))
    last = auditing.as_json(report) if as_json else auditing.render_summary(report)
    sys.stdout.write(last + "\n")
    raise typer.Exit(0 if report.ok else 1)


def grant(
    email: str, role: Annotated[str, typer.Argument(help="buyer, organizer or operator")]
) -> None:
    """Give an account another role; its old tokens end within one refresh of the keys."""
    from boxoffice.app import open_services  # noqa: PLC0415 — costs time

    async def change() -> None:
        async with open_services(addressed_settings()) as application:
            await application.services.accounts.grant_role(email, role)

    asyncio.run(change())
    progress.print(printable(f"{email} is now: {role}"))


def rotate_keys() -> None:
    """Create a signing key, used once every process knows it; tokens of older keys stay valid."""
    from boxoffice.app import open_services  # noqa: PLC0415 — costs time

    settings = addressed_settings()
    # A user who waits may renew a queue ticket hours later.
    signed_for_s = max(
        settings.accounts.access_token_ttl_s, settings.waiting_room.queue_ticket_ttl_s
    )

    async def change() -> str:
        async with open_services(settings) as application:
            return await application.services.accounts.rotate_keys(
                signed_for_s + 2 * settings.accounts.token_key_refresh_s
            )

    progress.print(f"the new key is {asyncio.run(change())}")


def openapi() -> None:
    """Print the OpenAPI document."""
    from boxoffice.app import describe  # noqa: PLC0415 — costs time

    sys.stdout.write(msgspec.json.format(msgspec.json.encode(describe())).decode() + "\n")
