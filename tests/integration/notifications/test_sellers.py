"""A mail about a performance names the organization that sells it."""

from boxoffice.notifications.mail.store import MailQueue
from boxoffice.platform.postgres.database import Database
from tests.support.hall import Hall, open_hall


async def test_a_mail_names_the_organization_that_sells(db: Database, hall: Hall) -> None:
    other, queue = await open_hall(db), MailQueue(db)
    await db.fetch(
        "UPDATE organizations SET name = 'Mine' WHERE organization_id = $1", hall.schedule_id
    )
    await db.fetch(
        "INSERT INTO brands (organization_id, name_ko, accent) VALUES ($1, '다른 곳', '#123456')",
        other.schedule_id,
    )
    found = [
        await queue.seller(schedule_id, language)
        for schedule_id in (hall.schedule_id, other.schedule_id)
        for language in ("en", "ko")
    ]
    names = [(one.name, one.accent) for one in found if one is not None]
    assert names == [
        ("Mine", None), ("Mine", None), ("Organizer", "#123456"), ("다른 곳", "#123456"),
    ]  # fmt: skip
    assert await queue.seller(hall.people[0], "en") is None
