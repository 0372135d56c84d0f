"""The use cases of devices: list the log-ins of an account, end one."""

from uuid import UUID

from boxoffice.accounts.devices.errors import SessionNotFound
from boxoffice.accounts.devices.store import DeviceStore, ListedSession
from boxoffice.accounts.tokens import TokenAuthority


class Devices:
    """The log-ins of people; `tokens` refuses the token of one that has ended."""

    def __init__(self, store: DeviceStore, tokens: TokenAuthority, shown_max: int) -> None:
        self._store = store
        self._tokens = tokens
        self._shown_max = shown_max

    async def of(self, user_id: UUID) -> list[ListedSession]:
        """Return the valid log-ins of a person, the newest first."""
        return await self._store.sessions(user_id, self._shown_max)

    async def end(self, user_id: UUID, session_id: UUID) -> None:
        """Revoke the token of a log-in: here at once, elsewhere with the next key refresh.

        Raises `SessionNotFound`.
        """
        revoked = await self._store.end(user_id, session_id)
        # guard: session_of_another_is_not_found => if False:
        if revoked is None:
            raise SessionNotFound
        self._tokens.revoke_token(revoked)
