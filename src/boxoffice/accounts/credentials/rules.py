"""Which links there are, and who may ask for one."""

from typing import NamedTuple
from uuid import UUID

from boxoffice.accounts.credentials.errors import LinkEnded
from boxoffice.accounts.credentials.link_tokens import LinkToken, read_link_token

VERIFY_EMAIL = "verify_email"
CHANGE_EMAIL = "change_email"


class NewLink(NamedTuple):
    """A link that is to be mailed to `email`; without a language, in that of the person's mail.

    It is valid for `ttl_s` seconds from the mail; `retention_s` is how long any link is kept.
    """

    link_id: UUID
    purpose: str
    email: str
    ttl_s: int
    retention_s: int
    email_before: str | None = None
    language: str | None = None


def parse_link(text: str) -> LinkToken:
    """Return the token in a text; raise `LinkEnded` for what no mail contains."""
    token = read_link_token(text)
    if token is None:
        raise LinkEnded
    return token
