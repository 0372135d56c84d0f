"""Queue tickets and passes, signed with the keys of access tokens under their own purposes.

A ticket is a user's number in the queue of one schedule. A pass lets the user hold seats there; it
expires with the grace period, and each heartbeat brings the next one.
"""

import math
import struct
from collections import OrderedDict
from collections.abc import Callable
from typing import NamedTuple, TypeVar
from uuid import UUID

from boxoffice.errors import QueuePassRequired, QueueTicketInvalid, TokenInvalid
from boxoffice.platform.signing import KeyRing

T = TypeVar("T")

# guard: ticket_pass_is_none => _TICKET = b"boxoffice.waiting_room.pass"
_TICKET = b"boxoffice.waiting_room.ticket"
_PASS = b"boxoffice.waiting_room.pass"
# Schedule, user, epoch, number, issued at (milliseconds since the epoch).
_TICKET_FIELDS = struct.Struct(">16s16sIQQ")
# Schedule, user, number, ends at (milliseconds since the epoch).
_PASS_FIELDS = struct.Struct(">16s16sQQ")


class QueueTicket(NamedTuple):
    """A verified queue ticket; times in seconds since the epoch, `key_until` ends its signing key."""

    schedule_id: UUID
    user_id: UUID
    epoch: int
    number: int
    issued_at: float
    key_until: float


class QueuePass(NamedTuple):
    """A verified pass; `ends_at` in seconds since the epoch."""

    schedule_id: UUID
    user_id: UUID
    number: int
    ends_at: float
    key_until: float


class QueueTicketSigner:
    """Signs and verifies; caches up to `cached_max` verified tickets, and passes."""

    def __init__(
        self, keys: KeyRing, now: Callable[[], float], *, ticket_ttl_s: int, cached_max: int
    ) -> None:
        self._keys = keys
        self._now = now
        self.ticket_ttl_s = ticket_ttl_s
        self._cached_max = cached_max
        self._key_changes = keys.changes
        self._tickets: OrderedDict[str, QueueTicket] = OrderedDict()
        self._passes: OrderedDict[str, QueuePass] = OrderedDict()

    def issue_ticket(self, schedule_id: UUID, user_id: UUID, epoch: int, number: int) -> str:
        """Return a ticket that is good from now on."""
        issued_ms = int(self._now() * 1000)
        payload = _TICKET_FIELDS.pack(schedule_id.bytes, user_id.bytes, epoch, number, issued_ms)
        return self._keys.seal(_TICKET, payload, self.ticket_ttl_s)

    def issue_pass(self, schedule_id: UUID, user_id: UUID, number: int, ends_at: float) -> str:
        """Return a pass that is good until `ends_at`."""
        ends_ms = int(ends_at * 1000)
        payload = _PASS_FIELDS.pack(schedule_id.bytes, user_id.bytes, number, ends_ms)
        return self._keys.seal(_PASS, payload, self.ticket_ttl_s)

    def read_ticket(self, text: str | None, schedule_id: UUID) -> QueueTicket:
        """Return a ticket of this schedule; raise `QueueTicketInvalid`. Its age is not checked."""
        self._forget_after_change()
        ticket = self._tickets.get(text or "")
        if ticket is None:
            ticket = self._verify_ticket(text, schedule_id)
            # guard: ticket_what_is_remembered_is_bounded: self._cached_max => 10**9
            _remember(self._tickets, text or "", ticket, self._cached_max)
        # guard: ticket_of_this_schedule_when_cached => if self._now() >= ticket.key_until:
        # guard: ticket_it_ends_with_its_key: or self._now() >= ticket.key_until =>
        if ticket.schedule_id != schedule_id or self._now() >= ticket.key_until:
            raise QueueTicketInvalid
        return ticket

    def is_ticket_expired(self, ticket: QueueTicket) -> bool:
        """Whether a ticket has expired."""
        # guard: ticket_it_grows_old => return False
        return self._now() - ticket.issued_at > self.ticket_ttl_s

    def needs_renewal(self, ticket: QueueTicket, epoch: int) -> bool:
        """Whether to reissue a ticket: half of its life is over, its key is being retired, or the epoch
        has changed.
        """
        is_old = self._now() - ticket.issued_at > self.ticket_ttl_s / 2
        return is_old or ticket.key_until != math.inf or ticket.epoch < epoch

    def read_pass(self, text: str | None, schedule_id: UUID, user_id: UUID) -> QueuePass:
        """Return the user's unexpired pass; raise `QueuePassRequired`."""
        found = self.own_pass(text, schedule_id, user_id)
        if self.is_pass_expired(found):
            raise QueuePassRequired(
                "This pass has expired: poll the queue position to get the next one."
            )
        return found

    def is_pass_expired(self, found: QueuePass) -> bool:
        """Whether a pass has expired."""
        # guard: pass_it_ends => return self._now() >= found.key_until
        # guard: pass_it_ends_with_its_key => return self._now() >= found.ends_at
        return self._now() >= min(found.ends_at, found.key_until)

    def own_pass(self, text: str | None, schedule_id: UUID, user_id: UUID) -> QueuePass:
        """Return the user's pass, expired or not; raise `QueuePassRequired`."""
        if not text:
            raise QueuePassRequired
        self._forget_after_change()
        found = self._passes.get(text)
        if found is None:
            found = self._verify_pass(text)
            _remember(self._passes, text, found, self._cached_max)
        # guard: pass_for_one_person_in_one_schedule => if False:
        if (found.schedule_id, found.user_id) != (schedule_id, user_id):
            raise QueuePassRequired("This pass belongs to another account or schedule.")
        return found

    def _forget_after_change(self) -> None:
        """Verify everything again once the keys have changed: one may be gone, or have an end now."""
        # guard: ticket_key_that_is_gone_takes_its_tickets_along => if False:
        if self._keys.changes != self._key_changes:
            self._key_changes = self._keys.changes
            self._tickets.clear()
            self._passes.clear()

    def _verify_ticket(self, text: str | None, schedule_id: UUID) -> QueueTicket:
        if not text:
            raise QueueTicketInvalid("This call needs the header Queue-Ticket.")
        try:
            payload, key_until = self._keys.unseal(_TICKET, text)
            schedule, user, epoch, number, issued_ms = _TICKET_FIELDS.unpack(payload)
        except (TokenInvalid, struct.error):
            raise QueueTicketInvalid from None
        # guard: ticket_for_this_schedule {
        if schedule != schedule_id.bytes:
            raise QueueTicketInvalid
        # guard: }
        return QueueTicket(
            schedule_id, UUID(bytes=user), epoch, number, issued_ms / 1000, key_until
        )

    def _verify_pass(self, text: str) -> QueuePass:
        try:
            payload, key_until = self._keys.unseal(_PASS, text)
            schedule, user, number, ends_ms = _PASS_FIELDS.unpack(payload)
        except (TokenInvalid, struct.error):
            raise QueuePassRequired from None
        return QueuePass(UUID(bytes=schedule), UUID(bytes=user), number, ends_ms / 1000, key_until)


def _remember(cache: "OrderedDict[str, T]", text: str, value: T, at_most: int) -> None:
    cache[text] = value
    if len(cache) > at_most:
        cache.popitem(last=False)
