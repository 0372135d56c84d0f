"""Members, invitations and applications: what each change refuses, and races for the same row."""

import asyncio
from typing import Any
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

import pytest

from boxoffice.accounts.credentials.link_tokens import LinkToken, new_link_token
from boxoffice.accounts.tokens import Caller
from boxoffice.activity_log.store import ActivityStore
from boxoffice.errors import Forbidden, OrganizationNotFound
from boxoffice.notifications.mail import teams
from boxoffice.notifications.mail.rules import Shop
from boxoffice.notifications.mail.store import ClaimedMail, MailQueue
from boxoffice.organizations.composition import OrganizationServices, compose_organizations
from boxoffice.organizations.errors import (
    AlreadyMember,
    ApplicationDecided,
    ApplicationLimit,
    ApplicationNotFound,
    ApplicationWaiting,
    InvitationEnded,
    InvitationForAnother,
    InvitationLimit,
    InvitationNotFound,
    LastOwner,
    MemberNotFound,
)
from boxoffice.organizations.views import ApplicationBody, InvitationBody
from boxoffice.permissions import MemberRole
from boxoffice.platform.ids import new_id
from boxoffice.platform.postgres.database import Database
from boxoffice.settings import Settings
from tests.support.members import member

_MEMBER = "INSERT INTO organization_members (organization_id, user_id, role) VALUES ($1, $2, $3)"
GIVEN = ApplicationBody(organization_name="Hall & Co", contact="+82 2 123", note="Concerts")


@pytest.fixture
def teams_of(db: Database, settings: Settings) -> OrganizationServices:
    """The use cases."""
    return compose_organizations(settings, db)


async def person(db: Database, role: str = "buyer") -> UUID:
    user_id = new_id()
    await db.fetch(
        "INSERT INTO users (user_id, email, name, password_hash, role)"
        " VALUES ($1, $1::uuid || '@example.org', 'Name', '-', $2)",
        user_id,
        role,
    )
    return user_id


@pytest.fixture
async def owner(db: Database) -> Caller:
    """The owner of an organization, which has the owner's id."""
    return member(await person(db, "organizer"))


@pytest.fixture
async def stranger(db: Database) -> Caller:
    """The owner of another organization, in which a door is known too."""
    other = await person(db, "organizer")
    await db.fetch(_MEMBER, other, await person(db), "door")
    return member(other)


async def roles(services: OrganizationServices, organization_id: UUID) -> dict[UUID, str]:
    found = await services.organizations.members(None, organization_id)
    return {one.user_id: one.role.value for one in found}


async def actions(db: Database, organization_id: UUID) -> list[str]:
    found = await ActivityStore(db).entries([organization_id], None, None, None, 50)
    return [one.action for one in found][::-1]


async def test_members_are_changed_by_an_owner_of_their_organization(
    teams_of: OrganizationServices, db: Database, owner: Caller, stranger: Caller
) -> None:
    service, own, theirs = teams_of.organizations, owner.user_id, stranger.user_id
    door = await person(db)
    await db.fetch(_MEMBER, own, door, "door")
    before = await roles(teams_of, theirs)
    assert await roles(teams_of, own) == {own: "owner", door: "door"}
    with pytest.raises(OrganizationNotFound):
        await service.members([theirs], own)
    for refused in (
        service.change_role(stranger, own, door, MemberRole.OWNER),
        service.remove(stranger, own, door),
        service.rename(stranger, own, "Mine"),
    ):
        with pytest.raises(OrganizationNotFound):
            await refused
    with pytest.raises(MemberNotFound):
        await service.change_role(owner, own, theirs, MemberRole.DOOR)
    with pytest.raises(MemberNotFound):
        await service.remove(owner, own, theirs)
    await service.change_role(owner, own, door, MemberRole.MANAGER)
    await service.change_role(owner, own, door, MemberRole.MANAGER)
    assert await roles(teams_of, own) == {own: "owner", door: "manager"}
    await service.rename(owner, own, "New name")
    [mine] = await service.mine(door)
    assert (mine.organization_id, mine.name, mine.role) == (own, "New name", "manager")
    await service.remove(owner, own, door)
    assert await roles(teams_of, own) == {own: "owner"}
    assert await roles(teams_of, theirs) == before
    assert await actions(db, own) == [
        "member.role_changed",
        "organization.renamed",
        "member.removed",
    ]
    [unchanged] = await service.mine(theirs)
    assert unchanged.name == "Name"


async def test_the_last_owner_stays(
    teams_of: OrganizationServices, db: Database, owner: Caller, stranger: Caller
) -> None:
    service, own = teams_of.organizations, owner.user_id
    manager = await person(db)
    await db.fetch(_MEMBER, own, manager, "manager")
    for refused in (
        service.leave(own, own),
        service.remove(owner, own, own),
        service.change_role(owner, own, own, MemberRole.MANAGER),
    ):
        with pytest.raises(LastOwner):
            await refused
    with pytest.raises(OrganizationNotFound):
        await service.leave(stranger.user_id, own)
    await service.leave(manager, own)
    await db.fetch(_MEMBER, own, manager, "owner")
    await service.leave(own, own)
    assert await roles(teams_of, own) == {manager: "owner"}
    assert await actions(db, own) == ["member.left", "member.left"]


async def test_two_owners_who_remove_each_other_leave_one(
    teams_of: OrganizationServices, db: Database, owner: Caller
) -> None:
    own, second = owner.user_id, await person(db)
    await db.fetch(_MEMBER, own, second, "owner")
    service, other = teams_of.organizations, member(second, own)
    done = await asyncio.gather(
        service.remove(owner, own, second), service.remove(other, own, own), return_exceptions=True
    )
    assert [type(one) for one in done if one is not None] == [Forbidden]
    assert len(await roles(teams_of, own)) == 1


async def test_a_member_who_was_removed_in_a_session_changes_nothing(
    teams_of: OrganizationServices, db: Database, owner: Caller
) -> None:
    own, second = owner.user_id, await person(db)
    await db.fetch(_MEMBER, own, second, "owner")
    still = member(second, own)
    await teams_of.organizations.remove(owner, own, second)
    with pytest.raises(Forbidden):
        await teams_of.organizations.remove(still, own, own)
    with pytest.raises(Forbidden):
        await teams_of.invitations.invite(
            still, own, InvitationBody(email="a@example.org", role=MemberRole.OWNER)
        )


async def invited(
    services: OrganizationServices,
    db: Database,
    owner: Caller,
    email: str,
    role: str = "door",
    organization_id: UUID | None = None,
) -> LinkToken:
    """Invite an address, and send the mail."""
    given = InvitationBody(email=email, role=MemberRole(role), language="en")
    made = await services.invitations.invite(owner, organization_id or owner.user_id, given)
    token = new_link_token(made.invitation_id)
    facts = await MailQueue(db).invitation(made.invitation_id, token.hash)
    assert facts is not None
    assert (facts.email, facts.role, facts.organization_name) == (email, role, "Name")
    return token


async def test_an_invitation_is_for_one_account_once(
    teams_of: OrganizationServices, db: Database, owner: Caller, stranger: Caller
) -> None:
    service, own, guest = teams_of.invitations, owner.user_id, await person(db)
    theirs = await invited(teams_of, db, stranger, f"{guest}@example.org", "manager")
    token = await invited(teams_of, db, owner, f"{guest}@example.org")
    with pytest.raises(InvitationForAnother):
        await service.accept(stranger.user_id, token.text)
    for wrong in (f"{token.row_id}.x", f"{theirs.row_id}.{token.secret}", "x", "x.y"):
        with pytest.raises(InvitationEnded):
            await service.accept(guest, wrong)
    done = await asyncio.gather(
        *(service.accept(guest, token.text) for _ in range(4)), return_exceptions=True
    )
    assert [one for one in done if isinstance(one, UUID)] == [own]
    assert [type(one) for one in done if not isinstance(one, UUID)] == [InvitationEnded] * 3
    assert await roles(teams_of, own) == {own: "owner", guest: "door"}
    assert await actions(db, own) == ["member.invited", "member.joined"]
    assert guest not in await roles(teams_of, stranger.user_id)
    [open_one] = await service.list(None, stranger.user_id)
    assert open_one.invitation_id == theirs.row_id
    assert await service.list(None, own) == []
    with pytest.raises(AlreadyMember):
        await invited(teams_of, db, owner, f"{guest}@example.org")


@pytest.mark.parametrize("end", ["removed", "demoted", "left"])
async def test_invitations_end_with_the_role_of_their_inviter(
    teams_of: OrganizationServices, db: Database, owner: Caller, stranger: Caller, end: str
) -> None:
    own, leaver = owner.user_id, await person(db)
    friends = [await person(db) for _ in range(3)]
    await db.fetch(_MEMBER, own, leaver, "owner")
    await db.fetch(_MEMBER, stranger.user_id, leaver, "owner")
    back = await invited(teams_of, db, member(leaver, own), f"{friends[0]}@example.org", "owner",
                         organization_id=own)  # fmt: skip
    kept = await invited(teams_of, db, owner, f"{friends[1]}@example.org")
    elsewhere = await invited(
        teams_of, db, member(leaver, stranger.user_id), f"{friends[2]}@example.org",
        organization_id=stranger.user_id,
    )  # fmt: skip
    match end:
        case "removed":
            await teams_of.organizations.remove(owner, own, leaver)
        case "demoted":
            await teams_of.organizations.change_role(owner, own, leaver, MemberRole.MANAGER)
        case _:
            await teams_of.organizations.leave(leaver, own)
    with pytest.raises(InvitationEnded):
        await teams_of.invitations.accept(friends[0], back.text)
    assert await teams_of.invitations.accept(friends[1], kept.text) == own
    assert await teams_of.invitations.accept(friends[2], elsewhere.text) == stranger.user_id


async def test_an_invitation_ends_by_time_revocation_or_another_one(
    teams_of: OrganizationServices, db: Database, owner: Caller, stranger: Caller
) -> None:
    service, own, guest = teams_of.invitations, owner.user_id, await person(db)
    email = f"{guest}@example.org"
    elsewhere = await invited(teams_of, db, stranger, email)
    other = await invited(teams_of, db, owner, "other@example.org")
    first = await invited(teams_of, db, owner, email)
    second = await invited(teams_of, db, owner, email)
    with pytest.raises(InvitationEnded):
        await service.accept(guest, first.text)
    with pytest.raises(OrganizationNotFound):
        await service.revoke(stranger, own, second.row_id)
    with pytest.raises(InvitationNotFound):
        await service.revoke(stranger, stranger.user_id, second.row_id)
    with pytest.raises(OrganizationNotFound):
        await service.list([stranger.user_id], own)
    await service.revoke(owner, own, second.row_id)
    with pytest.raises(InvitationNotFound):
        await service.revoke(owner, own, second.row_id)
    with pytest.raises(InvitationEnded):
        await service.accept(guest, second.text)
    assert [one.invitation_id for one in await service.list(None, own)] == [other.row_id]
    third = await invited(teams_of, db, owner, email)
    await db.fetch(
        "UPDATE organization_invitations SET expires_at = clock_timestamp() WHERE invitation_id = $1",
        third.row_id,
    )
    with pytest.raises(InvitationEnded):
        await service.accept(guest, third.text)
    assert await service.accept(guest, elsewhere.text) == stranger.user_id


async def test_a_mail_that_was_sent_twice_has_two_links_that_hold(
    teams_of: OrganizationServices, db: Database, owner: Caller
) -> None:
    guest = await person(db)
    token = await invited(teams_of, db, owner, f"{guest}@example.org")
    again = LinkToken(token.row_id, "another")
    assert await MailQueue(db).invitation(token.row_id, again.hash) is not None
    stored = await db.read("SELECT token_hashes FROM organization_invitations")
    assert token.secret not in repr(stored[0]["token_hashes"])
    assert await teams_of.invitations.accept(guest, token.text) == owner.user_id
    with pytest.raises(InvitationEnded):
        await teams_of.invitations.accept(guest, again.text)


async def test_invitations_are_throttled(
    db: Database, settings: Settings, owner: Caller, stranger: Caller
) -> None:
    services = compose_organizations(settings.replace(invitations_per_hour_max=2), db)
    await invited(services, db, stranger, "z@example.org")
    for name in ("a", "b"):
        await invited(services, db, owner, f"{name}@example.org")
    with pytest.raises(InvitationLimit):
        await invited(services, db, owner, "c@example.org")
    await db.fetch(
        "UPDATE organization_invitations SET created_at = created_at - interval '61 minutes'"
    )
    await invited(services, db, owner, "c@example.org")


async def test_an_application_is_decided_once(teams_of: OrganizationServices, db: Database) -> None:
    service, operator = teams_of.applications, await person(db, "operator")
    first, second = await person(db), await person(db)
    one, two = await service.apply(first, GIVEN), await service.apply(second, GIVEN)
    with pytest.raises(ApplicationWaiting):
        await service.apply(first, GIVEN)
    assert [a.application_id for a in await service.list("WAITING", None, 9)] == [one, two]
    assert [a.application_id for a in await service.list("WAITING", one, 9)] == [two]
    assert len(await service.list("WAITING", None, 1)) == 1
    done = await asyncio.gather(
        *(service.approve(operator, one) for _ in range(3)), return_exceptions=True
    )
    [organization] = [each for each in done if isinstance(each, UUID)]
    assert [type(x) for x in done if not isinstance(x, UUID)] == [ApplicationDecided] * 2
    assert await roles(teams_of, organization) == {first: "owner"}
    [mine] = await teams_of.organizations.mine(first)
    assert (mine.name, mine.role) == ("Hall & Co", MemberRole.OWNER)
    assert await actions(db, organization) == ["organization.approved"]
    await service.reject(operator, two, "No hall")
    with pytest.raises(ApplicationDecided):
        await service.reject(operator, two, "No hall")
    with pytest.raises(ApplicationNotFound):
        await service.approve(operator, uuid4())
    [kept] = await service.of_user(second)
    assert (kept.state, kept.reason, kept.organization_id) == ("REJECTED", "No hall", None)
    assert await service.list("WAITING", None, 9) == []
    assert [a.application_id for a in await service.list("APPROVED", None, 9)] == [one]
    facts = [await MailQueue(db).decision(each) for each in (one, two)]
    assert [each and each.state for each in facts] == ["APPROVED", "REJECTED"]
    mails = await db.read("SELECT user_id, kind FROM mails ORDER BY queued_at")
    assert [tuple(row) for row in mails] == [
        (first, "application_decided"), (second, "application_decided"),
    ]  # fmt: skip


async def test_applications_are_throttled(db: Database, settings: Settings) -> None:
    services = compose_organizations(settings.replace(applications_per_day_max=1), db)
    operator, one, other = await person(db, "operator"), await person(db), await person(db)
    await services.applications.reject(
        operator, await services.applications.apply(one, GIVEN), "No"
    )
    with pytest.raises(ApplicationLimit):
        await services.applications.apply(one, GIVEN)
    await services.applications.apply(other, GIVEN)
    await db.fetch(
        "UPDATE organizer_applications SET created_at = created_at - interval '25 hours'"
    )
    await services.applications.apply(one, GIVEN)


@pytest.mark.parametrize("language", ["en", "ko"])
async def test_an_invitation_goes_to_its_address_with_its_link(
    teams_of: OrganizationServices, db: Database, owner: Caller, settings: Settings, language: Any
) -> None:
    given = InvitationBody(email="New@Example.org", role=MemberRole.DOOR, language=language)
    made = await teams_of.invitations.invite(owner, owner.user_id, given)
    await db.fetch("UPDATE organizations SET name = 'A <b>' || chr(10) || 'Bcc: x@example.org'")
    facts = await MailQueue(db).invitation(made.invitation_id, b"h")
    assert facts is not None
    mail = ClaimedMail(
        user_id=owner.user_id, mail_id=new_id(), scope_id=owner.user_id,
        subject_id=made.invitation_id, kind="invitation", queued_at=made.created_at, attempts=1,
        tries=0, to_address="owner@example.org", language="ko", message_id="m@x", name="Owner",
    )  # fmt: skip
    zone = ZoneInfo(settings.payments.venue_time_zone)
    shop = Shop("Shop <shop@example.org>", "https://shop.example", zone)
    message = teams.invitation(mail, facts, "the-token", shop)
    assert message["To"] == "new@example.org"
    assert message["Bcc"] is None
    text, html = (part.get_content() for part in message.iter_parts())
    assert "https://shop.example/organizer/invitation#the-token" in text
    assert "<b>" not in html
    assert ("Door" in text) == (language == "en")
