"""The way of a buyer through an installation, over HTTP alone: look up, queue, hold, pay, ticket.

Tests and drills walk it against any address: a server, an edge in front of several, a container.
`set_up` is what an organizer does first; `seeded` reads what `boxoffice seed` has made instead. Each
step checks what it reads and raises `JourneyFailed` with a sentence.
"""

import asyncio
import json
import random
import secrets
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import aiohttp

from tests.support.qr_reader import read

_PASSWORD = "열려라 참깨 8"
_PRICE, _BALANCE = 110_000, 1_000_000


class JourneyFailed(AssertionError):
    """An answer is not what the contract says; the sentence names request and answer."""


@dataclass(frozen=True)
class OnSale:
    """A schedule on sale. `tokens` are access tokens of buyers with money in their wallets.

    Without tokens the buyer tops the wallet up, which only `BOXOFFICE_WALLET_TOP_UP_FREE` allows.
    """

    concert_id: str
    schedule_id: str
    has_waiting_room: bool = False
    tokens: tuple[str, ...] = ()

    @property
    def path(self) -> str:
        """The path of the schedule."""
        return f"/v1/schedules/{self.schedule_id}"


@dataclass(frozen=True)
class Walked:
    """What a buyer has got, and how long each step took."""

    seat_id: str
    reservation_id: str
    payment_id: str
    ticket_id: str
    seconds: Mapping[str, float]


@dataclass(frozen=True)
class Answer:
    """One answer: header names in any case, the body as it came."""

    asked: str
    status: int
    headers: Mapping[str, str]
    raw: bytes

    @property
    def json(self) -> Any:
        """The body, decoded."""
        try:
            return json.loads(self.raw)
        except ValueError:
            raise JourneyFailed(f"{self}: the body is not JSON") from None

    @property
    def code(self) -> str:
        """The code of a problem (RFC 9457), empty where the answer is none."""
        is_problem = self.headers.get("Content-Type", "").startswith("application/problem+json")
        return str(self.json.get("code", "")) if is_problem else ""

    def expect(self, status: int, code: str = "") -> "Answer":
        """Return this answer if it has this status and code."""
        if (self.status, self.code) != (status, code):
            raise JourneyFailed(f"{self}: expected {status} {code}".rstrip())
        return self

    def __str__(self) -> str:
        return f"{self.asked} answered {self.status} {self.raw[:300].decode(errors='replace')}"


@dataclass
class Client:
    """A person at an address; connections are kept open. Lost connections raise `JourneyFailed`."""

    session: aiohttp.ClientSession
    base_url: str
    patience_s: float
    token: str = ""
    seconds: dict[str, float] = field(default_factory=dict)

    def of(self, token: str) -> "Client":
        """The same address, as another person."""
        return Client(self.session, self.base_url, self.patience_s, token, self.seconds)

    async def call(
        self, method: str, path: str, body: object = None, *, key: str = "", **headers: str
    ) -> Answer:
        """Send one request; `Queue_Pass="…"` is the header `Queue-Pass`."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if self.token:
            sent["Authorization"] = f"Bearer {self.token}"
        if key:
            sent["Idempotency-Key"] = key
        asked = f"{method} {path}"
        try:
            async with self.session.request(
                method, self.base_url + path, json=body, headers=sent, allow_redirects=False
            ) as answer:
                return Answer(asked, answer.status, answer.headers, await answer.read())
        except (aiohttp.ClientError, TimeoutError) as error:
            raise JourneyFailed(f"{asked} had no answer: {error!r}") from error

    async def get(self, path: str, **headers: str) -> Answer:
        """Send a GET."""
        return await self.call("GET", path, **headers)

    async def post(self, path: str, body: object = None, *, key: str = "", **more: str) -> Answer:
        """Send a POST."""
        return await self.call("POST", path, body, key=key, **more)

    async def until(self, sentence: str, is_so: Callable[[], Awaitable[bool]]) -> None:
        """Wait until `is_so`; raise with the sentence after `patience_s`."""
        end = time.monotonic() + self.patience_s
        while not await is_so():
            if time.monotonic() > end:
                raise JourneyFailed(f"not within {self.patience_s:g} s: {sentence}")
            await asyncio.sleep(0.1)

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Measure a step."""
        started = time.perf_counter()
        yield
        self.seconds[name] = time.perf_counter() - started


@asynccontextmanager
async def client(
    base_url: str, *, ca_file: Path | None = None, timeout_s: float = 20, patience_s: float = 30
) -> AsyncIterator[Client]:
    """Open a client: `timeout_s` for each request, `patience_s` for what may take its time."""
    trusted = ssl.create_default_context(cafile=ca_file) if ca_file else True
    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(ssl=trusted), timeout=aiohttp.ClientTimeout(total=timeout_s)
    ) as session:
        yield Client(session, base_url.rstrip("/"), patience_s)


async def walk(base_url: str, sale: OnSale, **options: Any) -> Walked:
    """Play a buyer from the first look to the ticket; `options` are those of `client`.

    Raises:
        JourneyFailed: an answer is not what the contract says.
    """
    async with client(base_url, **options) as visitor:
        with visitor.step("look up"):
            await _look_up(visitor, sale)
        with visitor.step("log in"):
            buyer = await _buyer(visitor, sale)
        with visitor.step("queue"):
            entered = await _enter(buyer, sale) if sale.has_waiting_room else {}
        with visitor.step("release"):
            await _release(buyer, sale, await _hold(buyer, sale, entered))
        with visitor.step("hold"):
            held = await _hold(buyer, sale, entered)
        with visitor.step("pay"):
            payment = await _pay(buyer, held)
        with visitor.step("ticket"):
            ticket_id = await _ticket(buyer, sale, held, payment)
    return Walked(
        held["seats"][0]["seat_id"],
        held["reservation_id"],
        payment["payment_id"],
        ticket_id,
        visitor.seconds,
    )


async def set_up(
    base_url: str,
    grant: Callable[[str], Awaitable[object]],
    *,
    seats: int = 20,
    with_waiting_room: bool = True,
    **options: Any,
) -> OnSale:
    """Sign an organizer up and put a concert on sale; `options` are those of `client`.

    `grant` gets the e-mail address and runs `boxoffice grant ADDRESS organizer`.
    """
    async with client(base_url, **options) as visitor:
        email = await _sign_up(visitor, "Organizer")
        await grant(email)
        organizer = visitor.of(await _log_in(visitor, email))
        concert = {"title": "봄의 노래", "artist": "The Encores", "venue": "Hall 1"}
        made = (await organizer.post("/v1/admin/concerts", concert)).expect(201).json
        concert_path = f"/v1/admin/concerts/{made['concert_id']}"
        schedule = (await organizer.post(f"{concert_path}/schedules", _dates())).expect(201).json
        path = f"/v1/admin/schedules/{schedule['schedule_id']}"
        (await organizer.post(f"{path}/seats", {"seats": _seats(seats)})).expect(201)
        (await organizer.post(f"{concert_path}/publish")).expect(200)
        if with_waiting_room:
            room = {"mode": "fifo", "rate_per_s": 100}
            (await organizer.post(f"{path}/queue", room)).expect(200)
        (await organizer.post(f"{path}/open")).expect(200)
        return OnSale(made["concert_id"], schedule["schedule_id"], with_waiting_room)


def seeded(printed: str, tokens: Path, *, has_waiting_room: bool = False) -> OnSale:
    """Return the sale that `boxoffice seed --tokens FILE` has printed, with its buyers."""
    ids = json.loads(printed)
    lines = tokens.read_text(encoding="utf-8").splitlines()
    people = tuple(str(json.loads(line)["access_token"]) for line in lines)
    return OnSale(ids["concert_id"], ids["schedule_id"], has_waiting_room, people)


def _dates() -> dict[str, str]:
    now = datetime.now(UTC)
    starts_at, opens_at = now + timedelta(days=30), now - timedelta(hours=1)
    return {"starts_at": starts_at.isoformat(), "sale_opens_at": opens_at.isoformat()}


def _seats(count: int) -> list[dict[str, object]]:
    return [
        {
            "section": "A",
            "row": str(1 + n // 10),
            "number": 1 + n % 10,
            "grade": "R",
            "price": _PRICE,
        }
        for n in range(count)
    ]


async def _look_up(visitor: Client, sale: OnSale) -> None:
    concert = await _read(visitor, f"/v1/concerts/{sale.concert_id}")
    _require(concert["concert_id"] == sale.concert_id, "the concert is another one")
    await _read(visitor, "/v1/concerts")
    listed = (await _read(visitor, f"/v1/concerts/{sale.concert_id}/schedules"))["items"]
    found = [one for one in listed if one["schedule_id"] == sale.schedule_id]
    _require(len(found) == 1, "the concert does not list its schedule once")
    _require(found[0]["on_sale"], "the schedule is not on sale")
    await _read(visitor, sale.path)
    seats = (await _read(visitor, f"{sale.path}/seats"))["seats"]
    _require(len(seats) == found[0]["seats_total"], "the seat map has another number of seats")


async def _read(visitor: Client, path: str) -> Any:
    """Read an address with its `ETag`: 304 for it, and HEAD has the same headers without a body."""
    for _ in range(5):
        first = (await visitor.get(path)).expect(200)
        tag = first.headers.get("ETag", "")
        _require(tag != "", f"GET {path} has no ETag")
        again = await visitor.get(path, If_None_Match=tag)
        head = (await visitor.call("HEAD", path)).expect(200)
        _require(head.raw == b"", f"HEAD {path} has a body")
        _require(
            head.headers.get("Content-Type") == first.headers["Content-Type"],
            f"HEAD {path} has another Content-Type than GET",
        )
        if again.status == 304 and head.headers.get("ETag") == tag:
            _require(again.raw == b"", f"304 of {path} has a body")
            return first.json
        # Another buyer may have changed it between the three requests, which changes the ETag.
        changed = again if again.status != 304 else head
        _require(changed.headers.get("ETag") not in ("", None, tag), f"{changed}: 304 was expected")
    raise JourneyFailed(f"the ETag of {path} was never the same twice")


async def _buyer(visitor: Client, sale: OnSale) -> Client:
    """Log in, and return the person who buys: of the seed, or the one who has logged in."""
    email = await _sign_up(visitor, "김민수")
    person = visitor.of(await _log_in(visitor, email))
    shown = (await person.get("/v1/me")).expect(200).json
    _require(shown["email"] == email, "GET /v1/me shows another account")
    if sale.tokens:
        person = visitor.of(random.choice(sale.tokens))
    else:
        top_up = await person.post("/v1/me/wallet/top-ups", {"amount": _BALANCE}, key=str(uuid4()))
        top_up.expect(201)
    wallet = (await person.get("/v1/me/wallet")).expect(200).json
    _require(wallet["balance"] > 0, "the buyer has no money")
    return person


async def _sign_up(visitor: Client, name: str) -> str:
    email = f"{secrets.token_hex(8)}@example.test"
    body = {"email": email, "password": _PASSWORD, "name": name}
    (await visitor.post("/v1/users", body)).expect(201)
    return email


async def _log_in(visitor: Client, email: str) -> str:
    body = {"email": email, "password": _PASSWORD}
    return str((await visitor.post("/v1/sessions", body)).expect(201).json["access_token"])


async def _enter(buyer: Client, sale: OnSale) -> dict[str, str]:
    """Join the queue, poll until admitted, and return the header with the pass."""
    queue = f"{sale.path}/queue"
    joined: dict[str, Any] = {}

    async def is_in() -> bool:
        answer = await buyer.post(queue)
        if answer.status == 503:
            # A process leads a new room within two seconds; until then joins are refused.
            return False
        joined.update(answer.expect(201).json)
        return True

    await buyer.until("the buyer has joined the queue", is_in)
    end = time.monotonic() + buyer.patience_s
    while True:
        polled = (await buyer.get(queue, Queue_Ticket=joined["queue_ticket"])).expect(200).json
        joined.update({name: value for name, value in polled.items() if value is not None})
        if polled["state"] == "ADMITTED":
            await _require_pass(buyer, sale)
            return {"Queue_Pass": polled["queue_pass"]}
        if time.monotonic() > end:
            raise JourneyFailed(f"the buyer was not admitted: {polled}")
        # A poll is cheap, and one that waits as long as it may makes a test slow.
        await asyncio.sleep(min(0.2, polled["poll_after_s"]))


async def _require_pass(buyer: Client, sale: OnSale) -> None:
    refused = await buyer.post(f"{sale.path}/reservations", {"quantity": 1}, key=str(uuid4()))
    refused.expect(403, "queue_pass_required")


async def _hold(buyer: Client, sale: OnSale, entered: Mapping[str, str]) -> dict[str, Any]:
    """Hold a free seat; under one key there is one hold, and the seat is taken then."""
    path, key = f"{sale.path}/reservations", str(uuid4())
    for _ in range(20):
        wanted = {"seat_ids": [random.choice(await _free_seats(buyer, sale))]}
        answer = await buyer.post(path, wanted, key=key, **entered)
        if answer.code != "seat_taken":
            break
    held: dict[str, Any] = answer.expect(201).json
    _require(held["status"] == "HELD", f"{answer}: it is not HELD")
    _require([one["seat_id"] for one in held["seats"]] == wanted["seat_ids"], f"{answer}: seats")
    again = (await buyer.post(path, wanted, key=key, **entered)).expect(201)
    _require(again.raw == answer.raw, f"{again}: the repetition is not the first answer")
    (await buyer.post(path, wanted, key=str(uuid4()), **entered)).expect(409, "seat_taken")
    shown = (await buyer.get(f"/v1/reservations/{held['reservation_id']}")).expect(200).json
    _require(shown["status"] == "HELD", "GET of the reservation does not show a hold")
    return held


async def _free_seats(buyer: Client, sale: OnSale) -> list[str]:
    seats = (await buyer.get(f"{sale.path}/seats")).expect(200).json["seats"]
    free = [str(one["seat_id"]) for one in seats if one["status"] == "AVAILABLE"]
    _require(bool(free), "the seat map shows no free seat")
    return free


async def _release(buyer: Client, sale: OnSale, held: Mapping[str, Any]) -> None:
    """Release a hold; the map shows its seat as free again."""
    path = f"/v1/reservations/{held['reservation_id']}"
    (await buyer.call("DELETE", path)).expect(204)
    shown = (await buyer.get(path)).expect(200).json
    _require(shown["status"] == "CANCELLED", "the released reservation is not CANCELLED")
    (await buyer.call("DELETE", path)).expect(409, "not_held")
    await _seat_becomes(buyer, sale, str(held["seats"][0]["seat_id"]), "AVAILABLE")


async def _seat_becomes(buyer: Client, sale: OnSale, seat_id: str, wanted: str) -> None:
    async def is_so() -> bool:
        seats = (await buyer.get(f"{sale.path}/seats")).expect(200).json["seats"]
        return any((one["seat_id"], one["status"]) == (seat_id, wanted) for one in seats)

    await buyer.until(f"seat {seat_id} is {wanted} in the map", is_so)


async def _pay(buyer: Client, held: Mapping[str, Any]) -> dict[str, Any]:
    """Pay from the wallet, once under one key."""
    body, key = {"reservation_id": held["reservation_id"], "method": "wallet"}, str(uuid4())
    answer = (await buyer.post("/v1/payments", body, key=key)).expect(201)
    payment: dict[str, Any] = answer.json
    _require(payment["status"] == "SUCCEEDED", f"{answer}: it has not succeeded")
    _require(payment["amount"] == held["amount"], f"{answer}: the hold had another amount")
    again = (await buyer.post("/v1/payments", body, key=key)).expect(201)
    _require(again.raw == answer.raw, f"{again}: the repetition is not the first answer")
    (await buyer.post("/v1/payments", body, key=str(uuid4()))).expect(409, "already_paid")
    return payment


async def _ticket(
    buyer: Client, sale: OnSale, held: Mapping[str, Any], payment: Mapping[str, Any]
) -> str:
    """Read the ticket and its QR code, and see the seat sold; return the ticket's id."""
    seat_id = str(held["seats"][0]["seat_id"])
    (ticket,) = payment["tickets"]
    _require((ticket["seat_id"], ticket["status"]) == (seat_id, "VALID"), f"ticket {ticket}")
    path = f"/v1/payments/{payment['payment_id']}"
    _require((await buyer.get(path)).expect(200).json == payment, "the payment has changed")
    (code,) = (await buyer.get(f"{path}/codes")).expect(200).json["items"]
    _require(code["ticket_id"] == ticket["ticket_id"], "the QR code is of another ticket")
    _require(
        code["text"] != "" and read(code["rows"]) == [code["text"]], "the QR code is not readable"
    )
    path = f"/v1/reservations/{held['reservation_id']}"
    shown = (await buyer.get(path)).expect(200).json
    _require(
        (shown["status"], shown["payment_id"]) == ("CONFIRMED", payment["payment_id"]),
        f"GET {path} does not show the payment: {shown}",
    )
    await _seat_becomes(buyer, sale, seat_id, "SOLD")
    return str(ticket["ticket_id"])


def _require(is_so: bool, sentence: str) -> None:
    if not is_so:
        raise JourneyFailed(sentence)
