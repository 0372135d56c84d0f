"""Tokens of links in mail: a random secret that belongs to one row, of which only a hash is stored."""

import secrets
from hashlib import sha256
from typing import NamedTuple
from uuid import UUID

from boxoffice.platform.ids import parse_uuid

_SECRET_BYTES = 32


class LinkToken(NamedTuple):
    """The row that a link is about, and the secret that proves the address of its mail."""

    row_id: UUID
    secret: str

    @property
    def text(self) -> str:
        """The token as a link has it."""
        return f"{self.row_id}.{self.secret}"

    @property
    def hash(self) -> bytes:
        """What the database keeps; the secret is random, so that a fast hash is enough."""
        return sha256(self.secret.encode()).digest()


def new_link_token(row_id: UUID) -> LinkToken:
    """Return a token with a new secret."""
    return LinkToken(row_id, secrets.token_urlsafe(_SECRET_BYTES))


def read_link_token(text: str) -> LinkToken | None:
    """Return the token in a text; None for what no mail contains."""
    own_id, _, secret = text.partition(".")
    row_id = parse_uuid(own_id)
    if row_id is None or not secret:
        return None
    return LinkToken(row_id, secret)
