"""What receives webhooks and mail beside the cluster: every arrival is kept, also repeated ones."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from email import message_from_bytes
from typing import Any
from uuid import UUID

import asyncpg
import msgspec
from aiohttp import web
from aiosmtpd.smtp import SMTP, Envelope, Session

from boxoffice.notifications.webhooks.service import ActingMember, Webhooks
from boxoffice.notifications.webhooks.store import WebhookStore
from boxoffice.platform.ids import new_id
from boxoffice.platform.postgres import sql_files
from boxoffice.platform.postgres.database import Database
from boxoffice.settings import Settings

_SQL = sql_files.load("faults")
_TOPIC = "payment.succeeded"


class Inbox:
    """A receiver of webhooks and a mail server on this machine."""

    def __init__(self) -> None:
        self.events: Counter[tuple[str, bytes]] = Counter()
        self.mails: Counter[str] = Counter()
        self.webhook_url = ""
        self.smtp_url = ""

    @property
    def settings(self) -> dict[str, object]:
        """The settings of a shop that sends here, by flat name."""
        return {
            "webhook_loopback_allowed": True,
            "smtp_url": self.smtp_url,
            "smtp_starttls": "off",
            "mail_from": "tickets@shop.example",
            "messenger_lease_ms": 1_500,
        }

    async def subscribe(self, settings: Settings, schedule_id: str) -> None:
        """Have the payments of a schedule's organization sent here."""
        connection = await asyncpg.connect(settings.database.database_url)
        try:
            [seller] = await connection.fetch(_SQL["seller"], UUID(schedule_id))
        finally:
            await connection.close()
        allowed = settings.replace(webhook_loopback_allowed=True)
        db = Database(allowed)
        await db.open()
        try:
            webhooks = Webhooks(WebhookStore(db), allowed.notifications)
            caller = ActingMember(seller["organizer_id"], [seller["organization_id"]], "faults")
            await webhooks.create(caller, self.webhook_url, [_TOPIC], str(new_id()))
        finally:
            await db.close()

    async def receive(self, request: web.Request) -> web.Response:
        """Keep an event."""
        self.events[request.headers["webhook-id"], await request.read()] += 1
        return web.Response(status=204)

    async def handle_DATA(  # noqa: N802 — the name of the library
        self, _server: SMTP, _session: Session, envelope: Envelope
    ) -> str:
        """Keep a mail."""
        content = envelope.original_content or b""
        self.mails[str(message_from_bytes(content)["Message-ID"])] += 1
        return "250 OK"

    def events_of(self, schedule_id: str) -> Counter[tuple[str, str]]:
        """Return the arrivals about a schedule: event and payment."""
        found: Counter[tuple[str, str]] = Counter()
        for (event_id, body), count in self.events.items():
            data: dict[str, Any] = msgspec.json.decode(body)["data"]
            if data["schedule_id"] == schedule_id:
                found[event_id, data["payment_id"]] += count
        return found


@asynccontextmanager
async def open_inbox() -> AsyncIterator[Inbox]:
    """Listen on two free ports."""
    inbox = Inbox()
    app = web.Application()
    app.add_routes([web.post("/", inbox.receive)])
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    loop = asyncio.get_running_loop()
    mail = await loop.create_server(lambda: SMTP(inbox, enable_SMTPUTF8=False), "127.0.0.1", 0)
    inbox.webhook_url = f"http://127.0.0.1:{runner.addresses[0][1]}/"
    inbox.smtp_url = f"smtp://127.0.0.1:{mail.sockets[0].getsockname()[1]}"
    try:
        yield inbox
    finally:
        mail.close()
        await runner.cleanup()
