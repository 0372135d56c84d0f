"""Which organizations an actor is in, and what each role may do."""

from uuid import UUID, uuid4

import pytest

from boxoffice.errors import Invalid, OrganizationNotFound
from boxoffice.permissions import (
    OPERATOR_PERMISSIONS,
    MemberRole,
    Permission,
    chosen,
    narrowed,
    roles_with,
)
from tests.support.members import member

ONE, TWO = uuid4(), uuid4()


@pytest.mark.parametrize(
    ("permission", "roles"),
    [
        (Permission.EVENTS_READ, "owner manager box_office door read_only"),
        (Permission.EVENTS_WRITE, "owner manager"),
        (Permission.SALES_WRITE, "owner manager"),
        (Permission.SEATS_WRITE, "owner manager"),
        (Permission.ORDERS_READ, "owner manager box_office read_only"),
        (Permission.ORDERS_WRITE, "owner manager box_office"),
        (Permission.REPORTS_READ, "owner manager read_only"),
        (Permission.ACTIVITY_READ, "owner manager read_only"),
        (Permission.TEAM_READ, "owner manager read_only"),
        (Permission.TEAM_WRITE, "owner"),
        (Permission.WEBHOOKS_READ, "owner manager read_only"),
        (Permission.WEBHOOKS_WRITE, "owner manager"),
        (Permission.CHECK_IN, "owner manager box_office door"),
    ],
)
def test_roles_have_their_permissions(permission: Permission, roles: str) -> None:
    assert roles_with(permission) == [MemberRole(role) for role in roles.split()]


def test_operators_change_nothing_of_others() -> None:
    assert {one for one in Permission if one.endswith("_read")} == OPERATOR_PERMISSIONS


def test_an_actor_is_narrowed_to_an_organization_of_theirs() -> None:
    both = member(ONE, ONE, TWO)
    assert narrowed(both, None) == (ONE, TWO)
    assert narrowed(both, TWO) == (TWO,)
    with pytest.raises(OrganizationNotFound):
        narrowed(both, uuid4())


def test_an_actor_in_all_organizations_is_narrowed_to_any() -> None:
    class Operator:
        user_id: UUID = ONE
        organization_ids = None

    assert narrowed(Operator(), None) is None
    assert narrowed(Operator(), TWO) == (TWO,)


def test_one_of_several_organizations_must_be_named() -> None:
    assert chosen(member(ONE), None) == ONE
    assert chosen(member(ONE, ONE, TWO), TWO) == TWO
    with pytest.raises(Invalid, match="several organizations"):
        chosen(member(ONE, ONE, TWO), None)
    with pytest.raises(OrganizationNotFound):
        chosen(member(ONE), TWO)
