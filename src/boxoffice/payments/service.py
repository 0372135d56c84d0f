"""The use cases of payments: pay a hold, top up a wallet, get either."""

from collections.abc import Sequence
from typing import Never
from uuid import UUID

from boxoffice.batching import GroupCommit
from boxoffice.errors import (
    AlreadyPaid,
    HoldExpired,
    IdempotencyKeyReused,
    InsufficientBalance,
    IntegrityError,
    NotHeld,
    PaymentInProgress,
    PaymentMethodUnknown,
    PaymentNotFound,
    Problem,
    ReservationNotFound,
    ScheduleNotFound,
    TopUpUnavailable,
    WalletLimit,
)
from boxoffice.payments import ledger
from boxoffice.payments.handlers import PayHandler, TopUpHandler
from boxoffice.payments.store import (
    WALLET,
    Entry,
    PayCommand,
    Payment,
    PaymentStore,
    TopUp,
    TopUpCommand,
    Wallet,
)
from boxoffice.platform.ids import ScopedId, fingerprint_of, new_id
from boxoffice.seats.read_model import SeatReadModel

_REFUSALS: dict[str, type[Problem]] = {
    "reservation_not_found": ReservationNotFound,
    "already_paid": AlreadyPaid,
    "hold_expired": HoldExpired,
    "not_held": NotHeld,
    "payment_in_progress": PaymentInProgress,
    "insufficient_balance": InsufficientBalance,
    "key_reused": IdempotencyKeyReused,
    "currency_differs": InsufficientBalance,
    "wallet_limit": WalletLimit,
}
_PAID = frozenset({"paid", "replayed"})
_TOPPED_UP = frozenset({"charged", "replayed"})


class Payments:
    """Wallets and payments; every write goes through the group commit."""

    def __init__(
        self,
        store: PaymentStore,
        group_commit: GroupCommit,
        pays: PayHandler,
        top_ups: TopUpHandler,
        top_up_max_minor: int,
        seats: SeatReadModel,
        *,
        can_top_up: bool = False,
    ) -> None:
        self.can_top_up = can_top_up
        self._store = store
        self._group_commit = group_commit
        self._pays = pays
        self._top_ups = top_ups
        self._top_up_max_minor = top_up_max_minor
        self._seats = seats

    async def pay(self, user_id: UUID, reservation: ScopedId, key: str, method: str) -> Payment:
        """Pay a hold from the wallet: its seats are sold and its tickets issued in one transaction.

        Other methods begin with a payment intent. Raises the refusals of `docs/api.md`; the same key
        and body return the same payment.
        """
        # guard: pay_method_that_exists => if False:
        if method != WALLET:
            raise PaymentMethodUnknown(method=method)
        await self._require_schedule(reservation.schedule_id)
        command = PayCommand(
            user_id=user_id,
            key=key,
            # guard: fingerprint_reservation_and_method_of_payment => fingerprint=fingerprint_of("pay"),
            fingerprint=fingerprint_of("pay", str(reservation), method),
            reservation_id=reservation.own_id,
            payment_id=new_id(),
            transfer_id=new_id(),
        )
        outcome = await self._group_commit.submit(self._pays, reservation.schedule_id, command)
        if outcome.payment is None or outcome.name not in _PAID:
            _refuse(outcome.name)
        return outcome.payment

    async def _require_schedule(self, schedule_id: UUID) -> None:
        """Refuse invented ids from memory, so that they never enter the group commit."""
        try:
            await self._seats.layout(schedule_id)
        except ScheduleNotFound:
            raise ReservationNotFound from None

    async def get(self, user_id: UUID, payment: ScopedId) -> Payment:
        """Return a payment of this person; raise `PaymentNotFound` otherwise."""
        found = await self._store.get(payment.schedule_id, payment.own_id, user_id)
        if found is None:
            raise PaymentNotFound
        return found

    async def top_up(self, user_id: UUID, key: str, amount_minor: int) -> TopUp:
        """Top up a wallet without a payment; the same key and amount return the same top-up.

        Raises `TopUpUnavailable` unless free top-ups are enabled, as in a demo.
        """
        if not self.can_top_up:
            raise TopUpUnavailable
        # guard: top_up_amount_that_makes_sense
        ledger.check_top_up(amount_minor, self._top_up_max_minor)
        command = TopUpCommand(
            user_id,
            key,
            # guard: fingerprint_amount_of_top_up: , str(amount_minor) =>
            fingerprint_of("charge", str(amount_minor)),
            new_id(),
            amount_minor,
        )
        outcome = await self._group_commit.submit(self._top_ups, None, command)
        if outcome.top_up is None or outcome.name not in _TOPPED_UP:
            _refuse(outcome.name)
        return outcome.top_up

    async def wallet(self, user_id: UUID) -> Wallet:
        """Return a person's wallet."""
        found = await self._store.wallet(user_id)
        if found is None:
            raise IntegrityError(f"person {user_id} has no wallet")
        return found

    async def entries(self, user_id: UUID, before: UUID | None, count: int) -> list[Entry]:
        """Return at most `count` movements of a person's wallet, the newest first."""
        return await self._store.entries(user_id, before, count)

    async def seed(self, user_ids: Sequence[UUID], amount_minor: int) -> None:
        """Top up the wallets of seeded people, without events; idempotent.

        At most a few thousand people fit into the statement timeout.
        """
        await self._store.seed_top_ups(user_ids, amount_minor)


def _refuse(name: str) -> Never:
    problem = _REFUSALS.get(name)
    if problem is None:
        raise IntegrityError(f"the database answered {name!r}")
    raise problem
