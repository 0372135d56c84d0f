"""Checks the files for TLS when a process starts, because redis-py reports a wrong one late."""

import ssl
from collections.abc import Callable

from boxoffice.errors import SettingsInvalid
from boxoffice.settings import ValkeySettings
from boxoffice.settings.values import variable


def check_tls_files(settings: ValkeySettings) -> None:
    """Raise `SettingsInvalid` for the first file that cannot be used."""
    ca_file, cert_file = settings.valkey_tls_ca_file, settings.valkey_tls_cert_file
    if not ca_file and not cert_file:
        return
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    key_file = settings.valkey_tls_key_file
    if ca_file:
        _check("valkey_tls_ca_file", ca_file, lambda: context.load_verify_locations(ca_file))
    if cert_file:
        _check("valkey_tls_cert_file", cert_file, lambda: context.load_verify_locations(cert_file))
        _check(
            "valkey_tls_key_file",
            key_file,
            lambda: context.load_cert_chain(cert_file, key_file, password=_no_password),
        )


def _check(name: str, path: str, load: Callable[[], None]) -> None:
    try:
        load()
    except ssl.SSLError as error:
        wants = (
            f"the key of {variable('valkey_tls_cert_file')}, in PEM and without a password"
            if name == "valkey_tls_key_file"
            else "certificates in PEM"
        )
        raise SettingsInvalid(f"{variable(name)} is {path!r}: it must contain {wants}") from error
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise SettingsInvalid(
            f"{variable(name)} is {path!r}: it cannot be read: {reason}"
        ) from error


def _no_password() -> str:
    """Return no password instead of asking for one on the terminal."""
    return ""
