"""Tokens of invitations, as links carry them."""

from hashlib import sha256
from typing import NamedTuple
from uuid import UUID

from boxoffice.organizations.errors import InvitationEnded
from boxoffice.platform.ids import parse_uuid

TOKEN_BYTES = 32


class InvitationToken(NamedTuple):
    """An invitation, and the secret that proves its address."""

    invitation_id: UUID
    secret: str

    @property
    def text(self) -> str:
        """The token as a link has it."""
        return f"{self.invitation_id}.{self.secret}"

    @property
    def hash(self) -> bytes:
        """What the database keeps; the secret is random, so that a fast hash is enough."""
        return sha256(self.secret.encode()).digest()


def parse_token(text: str) -> InvitationToken:
    """Return the token in a text; raise `InvitationEnded` for what no mail contains."""
    own_id, _, secret = text.partition(".")
    invitation_id = parse_uuid(own_id)
    if invitation_id is None or not secret:
        raise InvitationEnded
    return InvitationToken(invitation_id, secret)
