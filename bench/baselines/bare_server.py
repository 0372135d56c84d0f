"""The baseline: a bare ASGI application on uvicorn, with uvloop and httptools.

It decodes the JSON of a hold and encodes the JSON of an answer, with the shop's types. No framework,
routing, authentication, log or database.
"""

import signal
import sys
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
import uvicorn

from boxoffice.http.server.listening import listen
from boxoffice.platform.ids import ScopedId
from boxoffice.platform.values import Money
from boxoffice.reservations.routes import HeldOut, HoldRequest, SeatOut
from boxoffice.reservations.rules import Status
from boxoffice.settings import load

_SCHEDULE_ID = UUID("01890000-0000-7000-8000-000000000001")
_RESERVATION_ID = str(ScopedId(_SCHEDULE_ID, UUID("01890000-0000-7000-8000-000000000002")))
_HOLD_FOR = timedelta(seconds=300)
_PRICE = Money(110_000, "KRW")

_decode = msgspec.json.Decoder(HoldRequest).decode
_encode = msgspec.json.Encoder().encode


async def application(scope: Any, receive: Any, send: Any) -> None:
    """Answer a POST with a made-up hold, and anything else with 200."""
    raw, more = b"", True
    while more:
        message = await receive()
        raw += message.get("body", b"")
        more = message.get("more_body", False)
    status, answer = (201, hold(raw)) if scope["method"] == "POST" else (200, b"{}")
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(answer)).encode()),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": answer})


def hold(raw: bytes) -> bytes:
    """Decode a hold request and encode an answer."""
    request = _decode(raw)
    now = datetime.now(UTC)
    seats = [SeatOut(seat_id, "4", "10", 25, "VIP", _PRICE) for seat_id in request.seat_ids or ()]
    return _encode(
        HeldOut(
            reservation_id=_RESERVATION_ID,
            schedule_id=_SCHEDULE_ID,
            status=Status.HELD,
            seats=seats,
            amount=110_000 * len(seats),
            currency="KRW",
            created_at=now,
            expires_at=now + _HOLD_FOR,
            expires_in_seconds=300,
        )
    )


def main() -> None:
    """Serve on the port that the environment names."""
    settings = load()
    with listen(settings) as sock:
        config = uvicorn.Config(
            application,
            loop="uvloop",
            http="httptools",
            lifespan="off",
            access_log=False,
            log_config=None,
        )
        # uvicorn raises the signal again when it has stopped.
        signal.signal(signal.SIGTERM, lambda *_: sys.exit())
        uvicorn.Server(config).run(sockets=[sock])


if __name__ == "__main__":
    main()
