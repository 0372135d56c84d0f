"""Tokens of invitations, as links carry them."""

from boxoffice.accounts.credentials.link_tokens import LinkToken, read_link_token
from boxoffice.organizations.errors import InvitationEnded


def parse_token(text: str) -> LinkToken:
    """Return the token in a text; raise `InvitationEnded` for what no mail contains."""
    token = read_link_token(text)
    if token is None:
        raise InvitationEnded
    return token
