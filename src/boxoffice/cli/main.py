"""The commands. Each is one role or one errand; imports that cost time happen inside."""

import asyncio
import signal
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from boxoffice.cli.printing import printable, terminal
from boxoffice.errors import BoxofficeError
from boxoffice.settings import Settings, load
from boxoffice_loadtest.command import loadtest

app = typer.Typer(
    help="Concert seat reservations for the minute in which everybody wants the same seats.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    # Else an argument that looks like markup is taken for it in what is said about it.
    rich_markup_mode=None,
)
progress = terminal(stderr=True)

DATA_DIR = Path(".boxoffice")

DataDir = Annotated[Path, typer.Option(help="Where the embedded servers keep their data.")]
Port = Annotated[int | None, typer.Option(help="The port to serve on.")]
Workers = Annotated[int | None, typer.Option(help="How many API processes share the port.")]

app.command()(loadtest)


def main() -> None:
    """Run the command line; what is wrong is one sentence and an exit code, not a traceback."""
    try:
        app()
    except BoxofficeError as error:
        _fail(str(error))
    except OSError as error:
        _fail(f"{error.strerror or error}{f': {error.filename}' if error.filename else ''}")


def _fail(sentence: str) -> None:
    progress.print(f"boxoffice: {printable(sentence)}", style="red", soft_wrap=True)
    sys.exit(1)


def _say(text: str) -> None:
    progress.print(f"… {text}", style="dim", soft_wrap=True)


def _settings(**overrides: Any) -> Settings:
    """Return the settings, changed by the options that were given."""
    return load(**{name: value for name, value in overrides.items() if value is not None})


def _addressed(data_dir: Path = DATA_DIR, **overrides: Any) -> Settings:
    """Return settings with the servers' addresses: the given ones, else those of a running `up`."""
    settings = _settings(**overrides)
    if settings.database.database_url and settings.valkey.valkey_url:
        return settings
    from boxoffice_embedded import running_addresses  # noqa: PLC0415 — not needed by a deployment

    running = running_addresses(data_dir)
    if running is None:
        raise BoxofficeError(
            "set BOXOFFICE_DATABASE_URL and BOXOFFICE_VALKEY_URL, or start `boxoffice up` first"
        )
    return settings.replace(
        database_url=settings.database.database_url or running.database_url,
        valkey_url=settings.valkey.valkey_url or running.valkey_url,
    )


@app.command()
def up(
    data_dir: DataDir = DATA_DIR,
    port: Port = None,
    workers: Workers = None,
    demo: Annotated[
        bool, typer.Option("--demo", help="Make the demo also on servers of one's own.")
    ] = False,
    log: Annotated[
        str, typer.Option(help="What is printed: `people`, or `json` for machines.")
    ] = "people",
) -> None:
    """Run everything: servers, schema, a demo concert on sale, API, sweeper and relay."""
    from boxoffice_embedded import up as running  # noqa: PLC0415 — costs time

    if log not in running.LOGS:
        raise typer.BadParameter(f"--log is one of {', '.join(running.LOGS)}")
    wish = running.Wish(data_dir=data_dir, has_demo=demo, log=log)
    running.run(_settings(port=port, workers=workers), wish, progress)


@app.command()
def demo(
    data_dir: DataDir = DATA_DIR,
    remove: Annotated[
        bool, typer.Option("--remove", help="Close the demo's accounts for good.")
    ] = False,
) -> None:
    """Print as whom the demo can be used, or close its accounts."""
    from boxoffice_embedded import demo as demos  # noqa: PLC0415 — costs time

    settings = _addressed(data_dir)
    if remove:
        closed = asyncio.run(demos.remove(settings))
        progress.print(f"closed: {', '.join(closed)}" if closed else "there is no demo")
        return
    password = demos.password_of(data_dir)
    emails = asyncio.run(demos.is_there(settings))
    if password is None or not emails:
        raise BoxofficeError(f"{data_dir} has no demo: `boxoffice up` makes one")
    for email in emails:
        sys.stdout.write(f"{demos.ROLES[email]:<10} {email}, password {password}\n")


@app.command()
def serve(
    port: Port = None,
    workers: Workers = None,
    fd: Annotated[int | None, typer.Option(hidden=True)] = None,
) -> None:
    """Serve the API until SIGTERM, then drain."""
    from boxoffice.cli import serve  # noqa: PLC0415 — costs time

    settings = _addressed(port=port, workers=workers)
    if settings.server.workers > 1 and fd is None:
        serve.serve_group(settings)
    else:
        serve.serve(settings, fd)


@app.command()
def migrate(
    runtime_role: Annotated[
        str | None,
        typer.Option(help="Give this role, made where it is missing, what serving needs."),
    ] = None,
) -> None:
    """Bring the database's schema and functions up to date."""
    from boxoffice.platform.postgres.migrations import migrate as bring_up_to_date  # noqa: PLC0415 — costs time
    from boxoffice.platform.postgres.runtime_role import grant as grant_rights  # noqa: PLC0415 — costs time

    settings = _addressed(runtime_role=runtime_role)

    async def work() -> int:
        steps = await bring_up_to_date(settings, _say)
        if settings.database.runtime_role:
            await grant_rights(settings, settings.database.runtime_role, _say)
        return steps

    steps = asyncio.run(work())
    progress.print(f"the database is up to date ({steps} steps taken)")


@app.command()
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
        typer.Option(min=0.01, help="Have a waiting room that calls so many per second."),
    ] = None,
    organizer: Annotated[
        str | None, typer.Option(help="Whose concert it is: an e-mail address; else the demo's.")
    ] = None,
) -> None:
    """Make a published concert with an open schedule, and people who can pay.

    Prints the ids as one line of JSON; the tokens file gets one line of JSON per person.
    """
    from boxoffice.cli import seeding  # noqa: PLC0415 — costs time

    plan = seeding.Plan(
        seats, users, balance, hold_ttl_s, ticket_limit, queue_rate_per_s, organizer
    )
    seeded = asyncio.run(seeding.seed(_addressed(), plan, tokens, progress))
    sys.stdout.write(msgspec.json.encode(seeded).decode() + "\n")


@app.command()
def sweep() -> None:
    """Close lapsed holds, again and again."""
    from boxoffice.reservations import sweeper  # noqa: PLC0415 — costs time

    _run_role(sweeper.run)


@app.command()
def archive() -> None:
    """Move what ended long ago out of the way of sales, again and again."""
    from boxoffice.archive import archivist  # noqa: PLC0415 — costs time

    _run_role(archivist.run)


@app.command()
def relay() -> None:
    """Deliver the outbox to the Valkey stream, at least once."""
    from boxoffice.outbox import relay as relaying  # noqa: PLC0415 — costs time

    _run_role(relaying.run)


@app.command()
def auditor() -> None:
    """Check every invariant now and then, and when an operator wishes; keep the results."""
    from boxoffice.audit import auditor as auditing  # noqa: PLC0415 — costs time

    _run_role(auditing.run)


@app.command()
def audit(
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    """Check every invariant on the live database; exit 1 if one is broken."""
    from boxoffice import audit as auditing  # noqa: PLC0415 — costs time

    def say(check: auditing.Check) -> None:
        # Each check as it ends: a large database takes a while.
        if not as_json:
            sys.stdout.write("\n".join(auditing.render_check(check)) + "\n")
            sys.stdout.flush()

    report = asyncio.run(auditing.audit(_addressed(), say=say))
    last = auditing.as_json(report) if as_json else auditing.render_verdict(report)
    sys.stdout.write(last + "\n")
    raise typer.Exit(0 if report.ok else 1)


@app.command()
def grant(
    email: str, role: Annotated[str, typer.Argument(help="buyer, organizer or operator")]
) -> None:
    """Give an account another role; its tokens with the old one end within a refresh of the keys."""
    from boxoffice.app import open_services  # noqa: PLC0415 — costs time

    async def change() -> None:
        async with open_services(_addressed()) as application:
            await application.services.accounts.grant_role(email, role)

    asyncio.run(change())
    progress.print(printable(f"{email} is now: {role}"))


@app.command()
def rotate_keys() -> None:
    """Make a new key, which signs as soon as every process knows it; tokens of older ones stay good."""
    from boxoffice.app import open_services  # noqa: PLC0415 — costs time

    settings = _addressed()

    async def change() -> str:
        async with open_services(settings) as application:
            return await application.services.accounts.rotate_keys(
                settings.accounts.access_token_ttl_s + 2 * settings.accounts.token_key_refresh_s
            )

    progress.print(f"the new key is {asyncio.run(change())}")


@app.command()
def openapi() -> None:
    """Print the OpenAPI document."""
    from boxoffice.app import describe  # noqa: PLC0415 — costs time

    sys.stdout.write(msgspec.json.format(msgspec.json.encode(describe())).decode() + "\n")


def _run_role(role: Callable[[Settings, asyncio.Event], Coroutine[Any, Any, None]]) -> None:
    """Run a role until SIGTERM or SIGINT; what it is doing then, it finishes."""
    from boxoffice.observability.logs import configure_logs  # noqa: PLC0415 — costs time
    from boxoffice.observability.role_metrics import serve_metrics  # noqa: PLC0415 — costs time

    settings = _addressed()
    configure_logs(settings.observability)
    if settings.observability.role_metrics_port:
        serve_metrics(settings)

    async def until_stopped() -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        await role(settings, stop)

    asyncio.run(until_stopped())
