"""The messenger is killed at each point; the next one goes on, and no event is lost."""

import asyncio
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from boxoffice.platform.postgres.database import Database
from boxoffice.settings import Settings

from .messengers import queue, states, until
from .receivers import Receiver

if TYPE_CHECKING:
    from .conftest import CreateEndpoint

_MESSENGER = """
import asyncio, os, signal, sys
from boxoffice import settings
from boxoffice.notifications import messenger
from boxoffice.notifications.webhooks import client, sender

point = sys.argv[1]

def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)

async def die_async(*_, **__):
    die()

post = client.WebhookClient.post

async def post_and_die(*args):
    await post(*args)
    die()

async def judged_and_die(*args):
    # Some are written; then the process dies in the middle of a backlog.
    judged_and_die.count += 1
    if judged_and_die.count > 20:
        die()
    return await judged(*args)

judged_and_die.count = 0
judged = sender.WebhookSender._judged
if point == "before send":
    client.WebhookClient.post = die_async
elif point == "after send":
    client.WebhookClient.post = post_and_die
elif point == "before mark":
    sender.WebhookSender._write = die_async
elif point == "in the middle":
    sender.WebhookSender._judged = judged_and_die

async def main():
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    await messenger.run(settings.load(), stop)

asyncio.run(main())
"""


def start(settings: Settings, point: str) -> "subprocess.Popen[bytes]":
    """Start a messenger that dies at a point; `none` lives."""
    limits = settings.notifications
    env = {name: value for name, value in os.environ.items() if not name.startswith("BOXOFFICE_")}
    env |= {
        "BOXOFFICE_DATABASE_URL": settings.database.database_url,
        "BOXOFFICE_VALKEY_URL": settings.valkey.valkey_url,
        "BOXOFFICE_WEBHOOK_LOOPBACK_ALLOWED": "true",
        "BOXOFFICE_MESSENGER_INTERVAL_MS": str(limits.messenger_interval_ms),
        "BOXOFFICE_MESSENGER_LEASE_MS": str(limits.messenger_lease_ms),
        "BOXOFFICE_LOG_LEVEL": "error",
    }
    return subprocess.Popen([sys.executable, "-c", _MESSENGER, point], env=env)


@pytest.mark.parametrize("point", ["before send", "after send", "before mark", "in the middle"])
async def test_a_killed_messenger_loses_nothing(
    db: Database, create: "CreateEndpoint", receiver: Receiver, settings: Settings, point: str
) -> None:
    """Every event arrives at least once, and its id makes it one."""
    made = await create(receiver.url)
    ids = await queue(db, made.endpoint.endpoint_id, 60)
    dying = start(settings, point)
    assert await asyncio.to_thread(dying.wait, 30) == -signal.SIGKILL
    early = len(receiver.ids)
    assert await states(db) != {"DELIVERED": 60}
    assert (early == 0) == (point == "before send")
    heir = start(settings, "none")
    try:
        await until(lambda: _are_delivered(db), timeout_s=30)
    finally:
        heir.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(heir.wait, 30) == 0
    print(f"{point}: {len(receiver.ids)} arrivals of 60 events, {early} before the kill")
    assert sorted(set(receiver.ids), key=int) == ids
    bodies = {(one.event_id, one.body) for one in receiver.received}
    assert len(bodies) == 60, "a repetition is the same event"


async def _are_delivered(db: Database) -> bool:
    return await states(db) == {"DELIVERED": 60}
