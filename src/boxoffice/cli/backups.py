"""The commands about backups: `boxoffice backup …`."""

import asyncio
import os
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from boxoffice.cli import plugins
from boxoffice.cli.context import addressed_database, progress, say, settings_of
from boxoffice.cli.printing import printable
from boxoffice.platform.ids import ScopedId
from boxoffice.settings import Settings

if TYPE_CHECKING:
    from boxoffice.backups.catalog import BackupCatalog
    from boxoffice.backups.programs import PostgresPrograms
    from boxoffice.backups.verification import Verification

app = typer.Typer(
    help="Back up the database, prove it, and restore it.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
Label = Annotated[str | None, typer.Option(help="The backup, by its label; default: the newest.")]
User = Annotated[
    str, typer.Option(help="Root alone: the user that PostgreSQL runs as; default: postgres.")
]
To = Annotated[
    str, typer.Option("--to", help="A time with its zone, an LSN, or `latest`: replay until there.")
]
# Recovery takes any other failure for the end of the archive.
_STORE_IS_AWAY = 200


@app.command()
def create(
    full: Annotated[
        bool, typer.Option("--full", help="A full backup; default: incremental where one can be.")
    ] = False,
) -> None:
    """Copy the running database into the store."""
    from boxoffice.backups import creation  # noqa: PLC0415 — costs time

    settings = settings_of()
    if not settings.backups.backup_database_url:
        settings = addressed_database()
    catalog = _catalog(settings)
    direct = settings.replace(
        db_pooler="none",
        database_url=settings.backups.backup_database_url or settings.database.database_url,
    )
    source = creation.read_source(direct)
    programs = _programs(settings, source.major_version)
    made = creation.create(direct, catalog, programs, source, is_full=full, say=say)
    progress.print(f"{made.label} is complete: {made.size_bytes:,} bytes")


@app.command("list")
def list_backups(as_json: AsJson = False) -> None:
    """Show the complete backups, the oldest first, and how far the archive is."""
    from boxoffice.backups import rules  # noqa: PLC0415 — costs time
    from boxoffice.backups.catalog import backup_status  # noqa: PLC0415 — costs time

    catalog = _catalog(settings_of())
    backups = catalog.backups()
    status = backup_status(catalog.storage, datetime.now(UTC))
    if as_json:
        shown = {"backups": backups, "status": status._asdict()}
        _print(msgspec.json.encode(shown).decode())
        return
    for one in backups:
        ends = rules.shown_lsn(one.stop_position)
        _print(
            f"{one.label}  {one.finished_at:%Y-%m-%d %H:%M:%S}Z  {one.size_bytes:>15,} bytes  "
            f"timeline {one.timeline}  to {ends}" + (f"  on {one.parent}" if one.parent else "")
        )
    lag = "none" if status.archive_lag_s is None else f"{status.archive_lag_s:,.0f} s ago"
    _print(f"{len(backups)} complete backups; the last WAL was archived: {lag}")


@app.command()
def verify(
    label: Label = None, target: To = "latest", user: User = "", as_json: AsJson = False
) -> None:
    """Restore a backup to a scratch server, replay the archive and audit it; exit 1 if it is broken."""
    from boxoffice.backups import restoring, verification  # noqa: PLC0415 — costs time
    from boxoffice.backups.scratch_server import RunAs  # noqa: PLC0415 — costs time

    settings = settings_of()
    catalog = _catalog(settings)
    wanted = restoring.read_target(target)
    chain = restoring.chosen(catalog.backups(), label, wanted)
    programs = _programs(settings, chain[-1].server_version // 10_000)
    context = restoring.RestoreContext(catalog, programs, RunAs(user), _quiet(as_json))
    found = verification.verify(context, settings, chain, wanted)
    _print(msgspec.json.encode(found).decode() if as_json else _shown(found))
    raise typer.Exit(0 if found.ok else 1)


@app.command()
def restore(
    data_dir: Annotated[Path, typer.Option(help="The new data directory: an empty or new folder.")],
    target: To = "latest",
    label: Label = None,
    end_sessions: Annotated[
        bool, typer.Option("--end-sessions", help="Revoke all access tokens.")
    ] = False,
    user: User = "",
) -> None:
    """Make a data directory of a backup and the archive, ready to be started."""
    from boxoffice.backups import restoring  # noqa: PLC0415 — costs time
    from boxoffice.backups.scratch_server import RunAs  # noqa: PLC0415 — costs time

    settings = settings_of()
    catalog = _catalog(settings)
    wanted = restoring.read_target(target)
    data_dir = data_dir.absolute()
    restoring.require_free(data_dir)
    chain = restoring.chosen(catalog.backups(), label, wanted)
    programs = _programs(settings, chain[-1].server_version // 10_000)
    context = restoring.RestoreContext(catalog, programs, RunAs(user), say)
    recovered, incarnation = restoring.restore(
        context, settings, chain, wanted, data_dir, is_ending_sessions=end_sessions
    )
    last = recovered.last_commit_at or chain[-1].finished_at
    _print(_NEXT.format(data_dir=data_dir, last=last, incarnation=incarnation.number))


@app.command()
def mark_restored(
    recovered_to: Annotated[str, typer.Option(help="The time to which it was restored.")],
    incarnation: Annotated[
        int, typer.Option(min=1, help="At least this one, if it was restored here before.")
    ] = 1,
    end_sessions: Annotated[
        bool, typer.Option("--end-sessions", help="Revoke all access tokens.")
    ] = False,
) -> None:
    """Note that another tool restored this database, before anything serves from it."""
    from boxoffice.backups import after_restore, restoring  # noqa: PLC0415 — costs time
    from boxoffice.backups.errors import BackupError  # noqa: PLC0415 — costs time

    settings = addressed_database().replace(db_pooler="none")
    moment = restoring.read_target(recovered_to).moment
    if moment is None:
        raise BackupError("--recovered-to wants a time with its zone")
    begun = after_restore.begin(
        settings,
        _catalog(settings) if settings.backups.backup_location else None,
        recovered_to=moment,
        backup_label="",
        target=moment.isoformat(),
        is_ending_sessions=end_sessions,
        incarnation_min=incarnation,
    )
    progress.print(f"this database is in incarnation {begun.number}")


@app.command()
def lost_payments(
    give_back: Annotated[
        bool, typer.Option("--give-back", help="Have the cashier return the money.")
    ] = False,
) -> None:
    """Show payments of the time that a restore lost, as the statements have them; return them."""
    from boxoffice.payments.reconciliation import lost_orders  # noqa: PLC0415 — costs time
    from boxoffice.platform.postgres.database import Database  # noqa: PLC0415 — costs time

    settings = addressed_database()

    async def work() -> tuple[list[lost_orders.LostOrder], set[ScopedId]]:
        db = Database(settings)
        await db.open()
        try:
            found = await lost_orders.find_lost_orders(db, settings.payments.statement_overlap_s)
            return found, await lost_orders.give_back(db, found) if give_back else set()
        finally:
            await db.close()

    found, returning = asyncio.run(work())
    for one in found:
        is_returned = one.intent in returning
        _print(
            f"{one.provider}  {one.happened_at:%Y-%m-%d %H:%M:%S}Z  {one.amount_minor:,} "
            f"{one.currency}  {one.payment_key}" + ("  is being returned" if is_returned else "")
        )
    _print(f"{len(found)} lost payments, {len(returning)} are being returned")


@app.command()
def prune() -> None:
    """Delete the backups and the WAL that no kept backup needs, and what killed commands left."""
    from boxoffice.backups import retention  # noqa: PLC0415 — costs time

    settings = settings_of()
    deleted = retention.prune(
        _catalog(settings), settings.backups.backup_full_kept_min, datetime.now(UTC), say
    )
    progress.print(
        f"deleted: {deleted.backups} backups, {deleted.segments} WAL files, {deleted.unfinished} "
        "unfinished files"
    )


@app.command()
def archive_wal(
    path: Annotated[Path, typer.Argument(help="The file, as PostgreSQL's %p names it.")],
    data_dir: Annotated[
        Path | None, typer.Option(help="The server's data directory; default: the working folder.")
    ] = None,
) -> None:
    """Store a WAL file: the server's `archive_command`."""
    from boxoffice.backups import archive  # noqa: PLC0415 — costs time

    folder = data_dir or Path.cwd()
    archive.archive_wal(_catalog(settings_of()).storage, folder / path, folder)


@app.command()
def fetch_wal(
    name: Annotated[str, typer.Argument(help="The file's name, PostgreSQL's %f.")],
    path: Annotated[Path, typer.Argument(help="Where to write it, PostgreSQL's %p.")],
    data_dir: Annotated[
        Path | None, typer.Option(help="The server's data directory; default: the working folder.")
    ] = None,
) -> None:
    """Write an archived WAL file: a standby's `restore_command`. Exit 1 where there is none.

    Exit 200 where the store cannot be read or the file not be written: recovery stops.
    """
    from boxoffice.backups import archive  # noqa: PLC0415 — costs time
    from boxoffice.errors import BoxofficeError  # noqa: PLC0415 — costs time

    folder = data_dir or Path.cwd()
    try:
        system = archive.read_system_identifier(folder)
        content = archive.read_wal(_catalog(settings_of()).storage, system, name)
        if content is not None:
            (folder / path).write_bytes(content)
    except (BoxofficeError, OSError) as error:
        progress.print(printable(f"boxoffice: {error}"))
        raise typer.Exit(_STORE_IS_AWAY) from None
    if content is None:
        raise typer.Exit(1)


def _catalog(settings: Settings) -> "BackupCatalog":
    from boxoffice.backups.catalog import BackupCatalog  # noqa: PLC0415 — costs time
    from boxoffice.backups.stores.objects import open_storage  # noqa: PLC0415 — costs time

    # Everything that these commands write is for their user alone.
    os.umask(0o077)
    return BackupCatalog(open_storage(settings.backups))


def _programs(settings: Settings, major: int) -> "PostgresPrograms":
    from boxoffice.backups.programs import find_programs  # noqa: PLC0415 — costs time

    setting = settings.backups.backup_programs_dir
    return find_programs(setting, plugins.server_programs(), major)


def _quiet(is_quiet: bool) -> Callable[[str], None]:
    return (lambda _: None) if is_quiet else say


def _print(text: str) -> None:
    sys.stdout.write(printable(text) + "\n")


def _shown(found: "Verification") -> str:
    recovered = "nothing" if found.recovered_to is None else found.recovered_to.isoformat()
    held = found.checks - len(found.broken)
    lines = [
        f"backup    {' + '.join(found.chain)}",
        f"replayed  {found.wal_files} files of WAL to {found.position}; last commit: {recovered}",
        f"RPO       {found.rpo_s:,.1f} s: what a loss of the server would lose now, at most",
        f"RTO       {found.rto_s:,.1f} s: from the first byte to a server that takes connections",
        f"audit     {held} of {found.checks} invariants hold ({found.audit_s:,.1f} s)",
    ]
    lines += [f"BROKEN    {name}" for name in found.broken]
    lines += [f"MISSING   {name}: the archive has later ones" for name in found.missing_wal]
    return "\n".join(lines)


_NEXT = """\
{data_dir} is restored: last commit {last}, incarnation {incarnation}.
What is next:
 1. Keep the old data directory, and make sure that its server can not start.
 2. Look at {data_dir}/postgresql.conf and postgresql.auto.conf: archive_command, and no
    synchronous_standby_names of a standby that is not there yet. Start the server; beside the
    running one with archive_mode=off and no role, or it becomes the history of the archive.
 3. boxoffice migrate, boxoffice audit
 4. Start the roles anew, the cashier first: it compares the providers' statements since then.
    A process that ran before must not go on.
 5. Make standbys anew, and then a full backup: boxoffice backup create --full
"""
