"""In which organizations a caller has a permission, and what the role organizer does to memberships."""

from uuid import UUID, uuid4

from boxoffice.accounts.service import Accounts
from boxoffice.accounts.tokens import Caller
from boxoffice.permissions import Permission
from boxoffice.platform.postgres.database import Database

_MEMBER = "INSERT INTO organization_members (organization_id, user_id, role) VALUES ($1, $2, $3)"


async def person(accounts: Accounts, role: str = "organizer") -> tuple[UUID, str]:
    email = f"{uuid4()}@example.test"
    user_id = await accounts.sign_up(email, "open sesame 8", "Name")
    await accounts.grant_role(email, role)
    return user_id, email


async def allowed(accounts: Accounts, user_id: UUID, permission: Permission) -> set[UUID] | None:
    found = await accounts.act_as(user_id, permission)
    return None if found.organization_ids is None else set(found.organization_ids)


async def test_a_permission_holds_where_the_role_has_it(accounts: Accounts, db: Database) -> None:
    (one, _), (two, _) = await person(accounts), await person(accounts)
    await db.fetch(_MEMBER, two, one, "door")
    assert await allowed(accounts, one, Permission.CHECK_IN) == {one, two}
    assert await allowed(accounts, one, Permission.EVENTS_WRITE) == {one}
    assert await allowed(accounts, two, Permission.EVENTS_READ) == {two}
    status = await accounts.confirm(
        Caller(one, "organizer", version=1), Permission.EVENTS_WRITE.value
    )
    assert status.organization_ids == (one,)


async def test_an_operator_reads_everywhere_and_changes_nothing(accounts: Accounts) -> None:
    operator, _ = await person(accounts, "operator")
    assert await allowed(accounts, operator, Permission.ORDERS_READ) is None
    assert await allowed(accounts, operator, Permission.ORDERS_WRITE) == set()
    buyer, _ = await person(accounts, "buyer")
    assert await allowed(accounts, buyer, Permission.ORDERS_READ) == set()


async def test_who_becomes_organizer_owns_an_organization_until_the_role_ends(
    accounts: Accounts, db: Database
) -> None:
    (one, email), (two, _) = await person(accounts), await person(accounts)
    await db.fetch(_MEMBER, one, two, "owner")
    await db.fetch(_MEMBER, two, one, "manager")
    await accounts.grant_role(email, "buyer")
    assert await allowed(accounts, one, Permission.EVENTS_READ) == set()
    assert await allowed(accounts, two, Permission.EVENTS_READ) == {one, two}
    # What the person had belongs to the other owner now: a later grant is for another organization.
    await accounts.grant_role(email, "organizer")
    own = await allowed(accounts, one, Permission.TEAM_WRITE)
    assert own is not None
    assert len(own) == 1
    assert own.isdisjoint({one, two})


async def test_an_organization_without_members_goes_back_to_its_person(accounts: Accounts) -> None:
    one, email = await person(accounts)
    for role, owned in (("operator", set()), ("organizer", {one})):
        await accounts.grant_role(email, role)
        assert await allowed(accounts, one, Permission.TEAM_WRITE) == owned
