"""Payment intents over one hall, as one pod has them."""

from dataclasses import dataclass, field
from uuid import UUID, uuid4

from boxoffice.batching import GroupCommit, GroupCommitLimits
from boxoffice.payments.intents.confirmations import Confirmations, IntentHandlers
from boxoffice.payments.intents.handlers import (
    AnswerHandler,
    BeginHandler,
    ChangeHandler,
    OpenHandler,
    ReadHandler,
    RenewHandler,
    SettleHandler,
)
from boxoffice.payments.intents.rules import order_id
from boxoffice.payments.intents.service import ConfirmRequest, IntentLimits, PaymentIntents
from boxoffice.payments.intents.store import Intent, IntentBounds, IntentStore
from boxoffice.platform.concurrency.background import Background
from boxoffice.platform.ids import ScopedId
from boxoffice.platform.postgres.database import Record
from boxoffice.seats.cache.entries import ScheduleEntries
from boxoffice.seats.read_model import SeatReadModel
from boxoffice.seats.store import SeatStore
from boxoffice.settings import Settings
from tests.support.fake_provider import FakeProvider
from tests.support.hall import BALANCE_MAX_MINOR, Hall

BOUNDS = IntentBounds(
    extension_s=300, fence_s=90, fence_max_s=900, look_up_after_s=65, attempts_max=5,
    balance_max_minor=BALANCE_MAX_MINOR,
)  # fmt: skip


def reservation_of(intent: Intent) -> UUID:
    """Return the reservation that an intent pays."""
    if intent.reservation_id is None:
        raise AssertionError(intent)
    return intent.reservation_id


@dataclass
class Checkout:
    """The service of one pod; pods of one test share the provider."""

    hall: Hall
    provider: FakeProvider = field(default_factory=FakeProvider)
    bounds: IntentBounds = BOUNDS
    confirm_wait_s: float = 5.0

    def __post_init__(self) -> None:
        self.group_commit = GroupCommit(GroupCommitLimits())
        self.background = Background()
        self.store = IntentStore(self.hall.db, self.bounds)
        providers = {self.provider.name: self.provider}
        self.handlers = IntentHandlers(
            OpenHandler(self.store, providers),
            BeginHandler(self.store),
            RenewHandler(self.store),
            ChangeHandler(self.store),
            SettleHandler(self.store),
            ReadHandler(self.store),
            AnswerHandler(self.store),
        )
        self.intents = PaymentIntents(
            self.store,
            self.group_commit,
            self.handlers,
            providers,
            IntentLimits(self.confirm_wait_s, 1_000_000),
            SeatReadModel(ScheduleEntries(Settings().seats, SeatStore(self.hall.db))),
            self.background,
        )

    @property
    def confirmations(self) -> Confirmations:
        """What the cashier uses."""
        return self.intents.confirmations

    async def open(self, person: UUID, reservation_id: UUID, key: str = "") -> Intent:
        """Make an intent for a hold."""
        reservation = ScopedId(self.hall.schedule_id, reservation_id)
        return await self.intents.open(person, reservation, key or str(uuid4()), self.provider.name)

    async def opened(self, person: UUID, *seat_ids: str) -> Intent:
        """Hold seats and make an intent for them."""
        return await self.open(person, await self.hall.held(person, *seat_ids))

    async def confirm(self, intent: Intent, payment_key: str = "p") -> Intent:
        """Come back from the provider's window."""
        request = ConfirmRequest(
            payment_key, order_id(intent.user_id, intent.intent_id), intent.amount_minor
        )
        return await self.intents.confirm(intent.user_id, intent.intent_id, request)

    async def current(self, intent: Intent) -> Intent:
        """Return an intent as it is now."""
        return await self.confirmations.current(intent.user_id, intent.intent_id)

    async def row(self, intent: Intent) -> Record:
        """Return the row of an intent."""
        query = "SELECT * FROM payment_intents WHERE user_id = $1 AND intent_id = $2"
        [row] = await self.hall.db.fetch(query, intent.user_id, intent.intent_id)
        return row

    async def work(self, intent: Intent) -> list[str]:
        """Return the kinds of work that the cashier has to do about an intent."""
        query = "SELECT kind FROM cashier_work WHERE subject_id = $1 ORDER BY kind"
        return [row["kind"] for row in await self.hall.db.fetch(query, intent.intent_id)]

    async def balances(self, person: UUID) -> dict[str, int]:
        """Return the sums of a person's entries by account, without those that are zero."""
        query = """
            SELECT account, sum(amount_minor)::bigint AS minor FROM ledger_entries
             WHERE user_id = $1 GROUP BY account HAVING sum(amount_minor) <> 0
        """
        return {row["account"]: row["minor"] for row in await self.hall.db.fetch(query, person)}

    async def close(self) -> None:
        """Let everything end."""
        self.provider.answers.set()
        await self.background.finish()
        await self.group_commit.close()
