"""The inbox keeps every arrival, and a schedule's payments are sent to it."""

from email.message import EmailMessage
from pathlib import Path

import aiohttp
import aiosmtplib
from yarl import URL

from boxoffice.platform.postgres.database import Database
from boxoffice.settings import Settings
from faults.cluster.inbox import open_inbox
from faults.workload.fixtures import create_fixtures


async def test_every_arrival_is_kept(settings: Settings, db: Database, tmp_path: Path) -> None:
    fixtures = await create_fixtures(settings, tmp_path, seats=4, users=1)
    async with open_inbox() as inbox, aiohttp.ClientSession() as session:
        await inbox.subscribe(settings, fixtures.schedule_id)
        [endpoint] = await db.fetch("SELECT url, topics, state FROM webhook_endpoints")
        assert (endpoint["url"], endpoint["state"]) == (inbox.webhook_url, "ACTIVE")
        for schedule_id in (fixtures.schedule_id, fixtures.schedule_id, "another"):
            body = {"data": {"schedule_id": schedule_id, "payment_id": "p"}}
            headers = {"webhook-id": "7"}
            async with session.post(inbox.webhook_url, json=body, headers=headers) as answer:
                assert answer.status == 204
        assert inbox.events_of(fixtures.schedule_id) == {("7", "p"): 2}
        mail = EmailMessage()
        mail["From"], mail["To"], mail["Message-ID"] = "a@shop.example", "b@x.example", "<m1>"
        address = URL(inbox.smtp_url)
        for _ in range(2):
            await aiosmtplib.send(mail, hostname=address.host, port=address.port)
        assert inbox.mails == {"<m1>": 2}
