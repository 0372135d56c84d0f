"""A CA of one's own, and certificates that it has signed, made with openssl."""

import subprocess
from dataclasses import dataclass
from pathlib import Path

_DAYS = "2"
# Python 3.13 checks chains strictly (RFC 5280): these, and what a CA's key is for.
_IDENTIFIERS = "subjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n"


@dataclass(frozen=True)
class KeyPair:
    """A certificate and its key, in PEM."""

    certificate: Path
    key: Path


@dataclass(frozen=True)
class Certificates:
    """The CA, what it signed, and a client's key with a password."""

    ca: Path
    server: KeyPair
    client: KeyPair
    locked_key: Path


def certificates(folder: Path) -> Certificates:
    """Make a CA, a server for 127.0.0.1 and localhost, and a client."""
    ca, ca_key = folder / "ca.pem", folder / "ca.key"
    _openssl(
        *("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"),
        *("-subj", "/CN=an own CA", "-days", _DAYS, "-keyout", ca_key, "-out", ca),
        *("-addext", "keyUsage=critical,keyCertSign,cRLSign"),
    )
    server = _signed(folder, "server", "subjectAltName=IP:127.0.0.1,DNS:localhost", ca, ca_key)
    client = _signed(folder, "client", "extendedKeyUsage=clientAuth", ca, ca_key)
    locked = folder / "locked.key"
    _openssl("ec", "-in", client.key, "-aes256", "-passout", "pass:secret", "-out", locked)
    return Certificates(ca, server, client, locked)


def _signed(folder: Path, name: str, extension: str, ca: Path, ca_key: Path) -> KeyPair:
    pair = KeyPair(folder / f"{name}.pem", folder / f"{name}.key")
    request, extensions = folder / f"{name}.csr", folder / f"{name}.ext"
    extensions.write_text(f"{extension}\n{_IDENTIFIERS}", encoding="utf-8")
    _openssl(
        *("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"),
        *("-subj", f"/CN={name}", "-keyout", pair.key, "-out", request),
    )
    _openssl(
        *("x509", "-req", "-in", request, "-CA", ca, "-CAkey", ca_key, "-CAcreateserial"),
        *("-days", _DAYS, "-extfile", extensions, "-out", pair.certificate),
    )
    return pair


def _openssl(*words: str | Path) -> None:
    subprocess.run(
        ["openssl", *map(str, words)],  # noqa: S607 - of the system
        check=True,
        capture_output=True,
    )
