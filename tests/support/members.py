"""Members of organizations, as services get them."""

from uuid import UUID

from boxoffice.accounts.rules import ORGANIZER
from boxoffice.accounts.tokens import Caller


def member(user_id: UUID, *organization_ids: UUID) -> Caller:
    """Return a person who acts in these organizations, by default in the person's own."""
    return Caller(user_id, ORGANIZER, organization_ids=organization_ids or (user_id,))
