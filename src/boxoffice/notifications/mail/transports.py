"""How a mail leaves: by SMTP, or into a local directory for the demo."""

import asyncio
import contextlib
import os
import ssl
from collections.abc import Sequence
from email.message import EmailMessage
from pathlib import Path
from typing import Protocol
from urllib.parse import unquote, urlsplit

import aiosmtplib

from boxoffice.errors import BoxofficeError
from boxoffice.settings import NotificationSettings

_PERMANENT = range(500, 600)
_REASON_CHARS_MAX = 300


class MailRefused(BoxofficeError):
    """The server refused this mail for good (5xx)."""


class MailDeferred(BoxofficeError):
    """This mail is to be tried again: 4xx, a timeout, or a connection that was lost."""


class MailServerAway(BoxofficeError):
    """No mail can be sent now: no connection, or the server refuses this sender."""


class MailTransport(Protocol):
    """A connection that takes one mail after the other."""

    async def open(self) -> None:
        """Connect; raise `MailServerAway`."""

    async def send(self, message: EmailMessage, to_address: str) -> None:
        """Send one mail; raise `MailRefused`, `MailDeferred` or `MailServerAway`."""

    async def close(self) -> None:
        """Disconnect."""


class SmtpTransport:
    """One connection to an SMTP server; every step has the deadline of the settings."""

    def __init__(self, settings: NotificationSettings) -> None:
        self._settings = settings
        self._timeout_s = settings.smtp_timeout_ms / 1000
        self._client: aiosmtplib.SMTP | None = None

    async def open(self) -> None:
        """Connect, with TLS as the settings say, and log in; raise `MailServerAway`."""
        url = urlsplit(self._settings.smtp_url)
        is_tls = url.scheme == "smtps"
        starttls = {"required": True, "offered": None, "off": False}[self._settings.smtp_starttls]
        client = aiosmtplib.SMTP(
            hostname=url.hostname,
            port=url.port or (465 if is_tls else 587),
            timeout=self._timeout_s,
            use_tls=is_tls,
            start_tls=False if is_tls else starttls,
            username=unquote(url.username) if url.username else None,
            password=unquote(url.password) if url.password else None,
        )
        try:
            async with asyncio.timeout(self._timeout_s):
                await client.connect()
        except (aiosmtplib.SMTPException, OSError, ssl.SSLError, TimeoutError, ValueError) as error:
            client.close()
            raise MailServerAway(_reason(error)) from error
        self._client = client

    async def send(self, message: EmailMessage, to_address: str) -> None:
        """Send one mail; raise as `MailTransport` says."""
        if self._client is None or not self._client.is_connected:
            await self.open()
        client = self._client
        if client is None:
            raise MailServerAway("not connected")
        try:
            async with asyncio.timeout(self._timeout_s):
                await client.send_message(message, recipients=[to_address])
        except aiosmtplib.SMTPSenderRefused as error:
            raise MailServerAway(_reason(error)) from error
        except aiosmtplib.SMTPRecipientsRefused as error:
            # guard: mail_refused_for_good_is_not_repeated => is_permanent = False
            is_permanent = all(one.code in _PERMANENT for one in error.recipients)
            refusal = MailRefused if is_permanent else MailDeferred
            raise refusal(_reason(error.recipients[0])) from error
        except aiosmtplib.SMTPResponseException as error:
            refusal = MailRefused if error.code in _PERMANENT else MailDeferred
            self._drop_unless_answering(error.code)
            raise refusal(_reason(error)) from error
        except (aiosmtplib.SMTPException, OSError, TimeoutError) as error:
            # Possibly sent: it is repeated with the same Message-ID.
            client.close()
            raise MailDeferred(_reason(error)) from error

    async def close(self) -> None:
        """Say goodbye, within a second."""
        client, self._client = self._client, None
        if client is None:
            return
        with contextlib.suppress(aiosmtplib.SMTPException, OSError, TimeoutError):
            async with asyncio.timeout(1.0):
                await client.quit()
        client.close()

    def _drop_unless_answering(self, code: int) -> None:
        if self._client is not None and not 400 <= code < 600:
            self._client.close()


def _reason(error: BaseException) -> str:
    if isinstance(error, aiosmtplib.SMTPResponseException):
        text = f"{error.code} {error.message}"
    else:
        text = str(error) or type(error).__name__
    return "".join(char if char.isprintable() else " " for char in text)[:_REASON_CHARS_MAX]


class MailboxTransport:
    """A directory of the newest mails, one file each, named by the mail: a repetition replaces it."""

    def __init__(self, directory: Path, mails_max: int) -> None:
        self._directory = directory
        self._mails_max = mails_max

    async def open(self) -> None:
        """Make the directory; raise `MailServerAway`."""
        try:
            self._directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise MailServerAway(str(error)) from error

    async def send(self, message: EmailMessage, to_address: str) -> None:
        """Keep one mail; raise `MailServerAway` where the disk refuses."""
        del to_address
        name = message["Message-ID"].strip("<>").partition("@")[0]
        try:
            await asyncio.to_thread(self._keep, name, message.as_bytes())
        except OSError as error:
            raise MailServerAway(str(error)) from error

    async def close(self) -> None:
        """Nothing is open."""

    def _keep(self, name: str, content: bytes) -> None:
        partial = self._directory / f".{name}.{os.getpid()}"
        partial.write_bytes(content)
        partial.replace(self._directory / f"{name}.eml")
        for old in kept_mails(self._directory)[self._mails_max :]:
            old.unlink(missing_ok=True)


def kept_mails(directory: Path) -> Sequence[Path]:
    """Return the files of a mailbox, the newest first."""
    dated = []
    for path in directory.glob("*.eml"):
        with contextlib.suppress(FileNotFoundError):
            dated.append((path.stat().st_mtime_ns, path))
    return [path for _, path in sorted(dated, reverse=True)]
