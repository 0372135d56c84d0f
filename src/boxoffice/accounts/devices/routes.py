"""The log-ins of an account over HTTP."""

from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from boxoffice.accounts.devices.errors import SessionNotFound
from boxoffice.accounts.devices.service import Devices
from boxoffice.accounts.devices.store import ListedSession
from boxoffice.accounts.service import Accounts
from boxoffice.errors import OutcomeUnknown
from boxoffice.http.api.operation import Call, PathId, Reply, RouteDependencies, operation
from boxoffice.platform.ids import parse_uuid

SESSION_ID = PathId(parse_uuid, SessionNotFound, "The `session_id` of a log-in.")


class SessionOut(msgspec.Struct, frozen=True):
    """A log-in; `is_current` is the one of this request.

    `browser` and `system` are names such as `Chrome` and `Android`, empty where they are not known.
    """

    session_id: UUID
    browser: str
    system: str
    started_at: datetime
    expires_at: datetime
    is_current: bool


class SessionsOut(msgspec.Struct, frozen=True):
    """The log-ins of an account, the newest first."""

    items: list[SessionOut]


def sessions_out(sessions: list[ListedSession], token_id: str) -> SessionsOut:
    """Present log-ins; `token_id` is of the token that asks."""
    return SessionsOut(
        [
            SessionOut(
                one.session_id,
                one.browser,
                one.system,
                one.started_at,
                one.expires_at,
                one.token_id == token_id,
            )
            for one in sessions
        ]
    )


class OwnSessions:
    """`/v1/me/sessions`."""

    def __init__(
        self, service: Devices, accounts: Accounts, dependencies: RouteDependencies
    ) -> None:
        self.dependencies = dependencies
        self._service = service
        self._accounts = accounts

    @operation("List my log-ins", role="any", returns=SessionsOut)
    async def on_get(self, call: Call[Any, Any]) -> Reply:
        """Those whose token is valid, with the device that the browser named; newest first."""
        found = await self._service.of(call.caller.user_id)
        return Reply(sessions_out(found, call.caller.token_id))

    @operation("Log out everywhere", 204, role="any", problems=[OutcomeUnknown])
    async def on_delete(self, call: Call[Any, Any]) -> Reply:
        """Revoke every token of this person; every process refuses them within the key refresh."""
        await self._accounts.log_out_everywhere(call.caller.user_id)
        return Reply()


class OwnSession:
    """`/v1/me/sessions/{session_id}`."""

    def __init__(self, service: Devices, dependencies: RouteDependencies) -> None:
        self.dependencies = dependencies
        self._service = service

    @operation(
        "End a log-in",
        204,
        role="any",
        path={"session_id": SESSION_ID},
        problems=[SessionNotFound, OutcomeUnknown],
    )
    async def on_delete(self, call: Call[Any, Any]) -> Reply:
        """Revoke the token of a log-in; every process refuses it within the key refresh."""
        await self._service.end(call.caller.user_id, call.ids["session_id"])
        return Reply()


def routes(
    service: Devices, accounts: Accounts, dependencies: RouteDependencies
) -> list[tuple[str, object]]:
    """Return the resources of this module by URI template."""
    return [
        ("/v1/me/sessions", OwnSessions(service, accounts, dependencies)),
        ("/v1/me/sessions/{session_id}", OwnSession(service, dependencies)),
    ]
