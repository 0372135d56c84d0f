"""Pure rules of people without an account: their identity, and the number that an account keeps."""

from hashlib import blake2b
from uuid import UUID

from boxoffice.waiting_room.rules import Mode, WaitingRoomState

# The version and the variant of a UUID, and their values in one of version 8.
_FIXED_BITS = 0xF << 76 | 0x3 << 62
_VERSION_8 = 0x8 << 76 | 0x2 << 62


def anonymous_id(room: WaitingRoomState, secret: str) -> UUID:
    """Return the identity of a browser's secret in one room: a UUID of version 8 (RFC 9562).

    Accounts have other versions. Without the key of the room no secret can be found for an identity
    with chosen bits.
    """
    digest = blake2b(secret.encode(), key=room.anonymous_key, digest_size=16).digest()
    return UUID(int=int.from_bytes(digest) & ~_FIXED_BITS | _VERSION_8)


def is_anonymous(user_id: UUID) -> bool:
    """Whether an identity is that of a person without account."""
    return user_id.int & _FIXED_BITS == _VERSION_8


def keeps_earlier_number(room: WaitingRoomState) -> bool:
    """Whether an account keeps the lower of its own and a redeemed number: that of the earlier join.

    In a draw it keeps its own: by choosing among drawn places it would have several lots.
    """
    return room.mode is Mode.FIFO and not room.drawn
