"""An SMTP server on this machine that keeps what it got and answers as it is told."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any, Self

from aiosmtpd.smtp import SMTP, Envelope, Session


@dataclass
class MailServer:
    """`answers` are given to DATA in turn, `rcpt` to RCPT; then all mails are taken."""

    answers: list[str] = field(default_factory=list)
    rcpt: list[str] = field(default_factory=list)
    mails: list[EmailMessage] = field(default_factory=list)
    raw: list[bytes] = field(default_factory=list)
    recipients: list[str] = field(default_factory=list)
    after_data: Callable[[], Awaitable[None]] | None = None
    _server: asyncio.Server | None = None

    async def __aenter__(self) -> Self:
        self._server = await asyncio.get_running_loop().create_server(
            lambda: SMTP(self, enable_SMTPUTF8=False), "127.0.0.1", 0
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._server is not None:
            self._server.close()

    @property
    def url(self) -> str:
        """Its address."""
        if self._server is None:
            raise RuntimeError("enter the server first")
        return f"smtp://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    @property
    def ids(self) -> list[str]:
        """The Message-IDs in order of arrival, with repetitions."""
        return [mail["Message-ID"] for mail in self.mails]

    async def handle_RCPT(  # noqa: N802 - the name of the library
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: Any
    ) -> str:
        """Answer a recipient."""
        if self.rcpt:
            return self.rcpt.pop(0)
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(  # noqa: N802 - the name of the library
        self, _server: SMTP, _session: Session, envelope: Envelope
    ) -> str:
        """Answer a mail."""
        if self.answers:
            return self.answers.pop(0)
        content = envelope.content or b""
        self.raw.append(content if isinstance(content, bytes) else content.encode())
        parsed = message_from_bytes(self.raw[-1], policy=policy.default)
        assert isinstance(parsed, EmailMessage)
        self.mails.append(parsed)
        self.recipients += envelope.rcpt_tos
        if self.after_data is not None:
            await self.after_data()
        return "250 taken"
