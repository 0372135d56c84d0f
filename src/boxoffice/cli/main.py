"""The console script `boxoffice`: the product's commands, and those of the packages beside it."""

import sys

import typer

from boxoffice.cli import backups, database, examination, operators, plugins, roles
from boxoffice.cli.context import progress
from boxoffice.cli.printing import printable
from boxoffice.errors import BoxofficeError

COMMANDS = (
    roles.serve,
    roles.sweep,
    roles.archive,
    roles.relay,
    roles.messenger,
    roles.cashier,
    roles.auditor,
    database.migrate,
    database.seed,
    operators.audit,
    examination.doctor,
    operators.grant,
    operators.rotate_keys,
    operators.openapi,
)

app = typer.Typer(
    help="Concert seat reservations for the minute in which all buyers want the same seats.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    # Otherwise an argument that looks like markup is interpreted in an error message.
    rich_markup_mode=None,
)
for _command in COMMANDS:
    app.command()(_command)
app.add_typer(backups.app, name="backup")


def main() -> None:
    """Run a command; an error is one sentence and an exit code, not a traceback."""
    try:
        if not _is_own(sys.argv[1:2]):
            plugins.register(app)
        app()
    except BoxofficeError as error:
        _fail(str(error))
    except OSError as error:
        _fail(f"{error.strerror or error}{f': {error.filename}' if error.filename else ''}")


def _is_own(first: list[str]) -> bool:
    """Say whether the command is the product's, so that a role does not import the plugins."""
    own = {one.__name__.replace("_", "-") for one in COMMANDS} | {"backup"}
    return bool(first) and first[0] in own


def _fail(sentence: str) -> None:
    progress.print(f"boxoffice: {printable(sentence)}", style="red", soft_wrap=True)
    sys.exit(1)
