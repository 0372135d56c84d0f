"""Keeps a batch of notices in one transaction."""

from collections.abc import Sequence

from boxoffice.batching import Outcome, Pending
from boxoffice.payments.notices.store import NoticeCommand, NoticeStore


class NoticeHandler:
    """Decides which notices are new; all notices share one lane."""

    kind = "notice"

    def __init__(self, notices: NoticeStore) -> None:
        self._store = notices

    async def handle(
        self, lane_key: None, batch: Sequence[Pending[NoticeCommand, bool]]
    ) -> Sequence[Outcome[bool]]:
        """Return for each command, in order, whether it is new."""
        return await self._store.insert([pending.command for pending in batch])

    async def look_up(
        self, lane_key: None, commands: Sequence[NoticeCommand]
    ) -> Sequence[bool | None]:
        """Return True for what an interrupted batch has kept; the rest is decided again."""
        return [True if is_kept else None for is_kept in await self._store.find(commands)]
