"""Whether each payment of a sale was told once in effect: by a webhook, and by a receipt."""

import asyncio
import time
from collections import Counter
from collections.abc import Collection, Mapping
from uuid import UUID

import asyncpg

from boxoffice.platform.ids import ScopedId
from boxoffice.platform.postgres import sql_files
from boxoffice.settings import Settings
from faults.cluster.inbox import Inbox
from faults.scenario import Observations

_SQL = sql_files.load("faults")
_SENT_WITHIN_S = 120.0


async def check_notifications(
    settings: Settings, inbox: Inbox, schedule_id: str, seen: Observations
) -> None:
    """Wait until the messenger has sent what a sale caused, and compare what arrived with it."""
    connection = await asyncpg.connect(settings.database.database_url)
    schedule = UUID(schedule_id)
    try:
        ends_at = time.monotonic() + _SENT_WITHIN_S
        while await connection.fetchval(_SQL["notifications_left"], schedule):
            if time.monotonic() > ends_at:
                seen.broken.append(f"webhooks or mails wait after {_SENT_WITHIN_S:.0f} s")
                break
            await connection.execute(_SQL["hurry_webhooks"])
            await connection.execute(_SQL["hurry_mails"])
            await asyncio.sleep(0.5)
        payments = await connection.fetch(_SQL["payments_of_schedule"], schedule)
        receipts = await connection.fetch(_SQL["receipts_of_schedule"], schedule)
    finally:
        await connection.close()
    paid = [str(ScopedId(schedule, row["payment_id"])) for row in payments]
    wanted = {f"<{row['message_id']}>": str(row["subject_id"]) for row in receipts}
    events = inbox.events_of(schedule_id)
    seen.broken += untold(paid, events)
    seen.broken += unmailed([str(row["payment_id"]) for row in payments], wanted, inbox.mails)
    seen.figures |= {
        "webhook_events_count": float(len(events)),
        "webhook_arrivals_count": float(sum(events.values())),
        "receipts_count": float(len(wanted)),
        "receipt_arrivals_count": float(sum(inbox.mails[one] for one in wanted)),
    }


def untold(paid: Collection[str], events: Mapping[tuple[str, str], int]) -> list[str]:
    """Return what is wrong with the events: each payment has one, which may arrive repeatedly."""
    told = Counter(payment for _, payment in events)
    broken = [f"{one} was told by {n} events" for one, n in told.items() if n > 1]
    broken += [f"the payment {one} was never told" for one in set(paid) - set(told)]
    return broken + [f"{one} was told and is no payment" for one in set(told) - set(paid)]


def unmailed(
    paid: Collection[str], wanted: Mapping[str, str], arrived: Mapping[str, int]
) -> list[str]:
    """Return what is wrong with the receipts: `wanted` has the payment of each Message-ID."""
    mailed = Counter(wanted.values())
    broken = [f"{one} has {n} receipts" for one, n in mailed.items() if n > 1]
    broken += [f"the payment {one} has no receipt" for one in set(paid) - set(mailed)]
    return broken + [f"the mail {one} never arrived" for one in wanted if not arrived.get(one)]
