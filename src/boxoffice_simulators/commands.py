"""The command `boxoffice simulate`; slow imports are inside the function."""

import asyncio
from pathlib import Path
from typing import Annotated

import typer

_ENV = "SIMULATOR_"

ProviderArgument = Annotated[str, typer.Argument(help="toss or stripe")]
PortOption = Annotated[int, typer.Option(help="Port of the provider's API; 0 for a free one.")]
ControlPortOption = Annotated[int, typer.Option(help="Port of the control API; 0 for a free one.")]
DataOption = Annotated[Path, typer.Option(help="Folder of the book.")]
WebhookOption = Annotated[str, typer.Option(help="Where notices go.", envvar=f"{_ENV}WEBHOOK_URL")]
SecretOption = Annotated[str, typer.Option(help="The secret key.", envvar=f"{_ENV}SECRET_KEY")]
ClientOption = Annotated[str, typer.Option(help="The key of pages.", envvar=f"{_ENV}CLIENT_KEY")]
SigningOption = Annotated[
    str, typer.Option(help="The secret that signs notices.", envvar=f"{_ENV}WEBHOOK_SECRET")
]
QuietOption = Annotated[bool, typer.Option("--quiet", help="Do not print the addresses.")]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(simulate)


def simulate(  # noqa: PLR0913 — each is an option of the command
    provider: ProviderArgument,
    port: PortOption = 0,
    control_port: ControlPortOption = 0,
    data: DataOption = Path(".boxoffice/simulators"),
    webhook_url: WebhookOption = "",
    secret_key: SecretOption = "",
    client_key: ClientOption = "",
    webhook_secret: SigningOption = "",
    *,
    quiet: QuietOption = False,
) -> None:
    """Simulate a payment provider on this machine, for tests and the demo; no money moves."""
    from boxoffice_simulators import server  # noqa: PLC0415 — costs time
    from boxoffice_simulators.options import SimulatorKeys, SimulatorOptions  # noqa: PLC0415 — costs time

    keys = SimulatorKeys(
        secret_key or _TEST_KEYS[provider == "stripe"][0],
        client_key or _TEST_KEYS[provider == "stripe"][1],
        webhook_secret or "whsec_simulator00000000",
    )
    options = SimulatorOptions(
        provider, port, control_port, data, webhook_url, keys, is_quiet=quiet
    )
    asyncio.run(server.run(options))


# The keys without options, by whether the provider is Stripe.
_TEST_KEYS = {
    False: ("test_sk_simulator00000000", "test_ck_simulator00000000"),
    True: ("sk_test_simulator00000000", "pk_test_simulator00000000"),
}
