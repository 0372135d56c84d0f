"""The simulated Stripe: its API, its payment fields, and what the control port does."""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from aiohttp import web

from boxoffice_simulators.book import SimulatorBook
from boxoffice_simulators.calls import CallServer
from boxoffice_simulators.errors import WireRefusal
from boxoffice_simulators.faults import FaultBoard
from boxoffice_simulators.notices import NoticeSender
from boxoffice_simulators.options import SimulatorKeys
from boxoffice_simulators.pages import page, script, with_query
from boxoffice_simulators.stripe.aftermath import StripeAftermath
from boxoffice_simulators.stripe.payments import CARD_OK, StripeAccount
from boxoffice_simulators.stripe.wire import StripeWire

_PACKAGE = "boxoffice_simulators.stripe"


class FieldsRequest(msgspec.Struct):
    """What the payment fields ask for."""

    key: str
    client_secret: str
    card: str
    return_url: str


class StripeSimulator:
    """The simulated provider."""

    def __init__(self, book: SimulatorBook, keys: SimulatorKeys) -> None:
        self._book = book
        self._keys = keys
        self.faults = FaultBoard(declines="authorize", confirms="confirm")
        self.notices = NoticeSender(book, self.faults)
        wire = StripeWire(book, keys.secret_key, keys.webhook_secret)
        self.notices.use(wire)
        self._account = StripeAccount(book, wire, self.notices)
        self._aftermath = StripeAftermath(book, wire, self._account)
        self.calls = CallServer(book, wire, self.faults, self.notices)

    def routes(self) -> list[web.RouteDef]:
        """Return what the shop and the buyer's browser reach."""
        account, after, route = self._account, self._aftermath, self.calls.route
        intents = "/v1/payment_intents"
        return [
            route("POST", intents, "open", account.create),
            route("GET", f"{intents}/search", "look_up", account.search),
            route("GET", f"{intents}/{{intent}}", "look_up", account.get),
            route("POST", f"{intents}/{{intent}}/capture", "confirm", account.capture),
            route("POST", f"{intents}/{{intent}}/cancel", "abandon", account.cancel),
            route("POST", "/v1/refunds", "refund", after.refund),
            route("GET", "/v1/refunds", "look_up", after.list_refunds),
            route("GET", "/v1/refunds/{refund}", "look_up", after.get_refund),
            route("GET", "/v1/disputes/{dispute}", "look_up", after.get_dispute),
            route("GET", "/v1/balance_transactions", "statement", account.transactions),
            web.get("/v3/", self._sdk),
            web.get("/elements", self._fields),
            web.get("/elements.js", self._fields_script),
            web.get("/elements/intent", self._retrieve),
            web.post("/elements/confirm", self._confirm),
            web.get("/three_d_secure", self._challenge),
            web.post("/three_d_secure", self._challenged),
        ]

    def commands(self) -> Mapping[str, Callable[[dict[str, Any]], object]]:
        """Return what the control port can do at the provider, by name."""
        account, after = self._account, self._aftermath
        return {
            "authorize": self._authorize,
            "decline": lambda one: account.pay(one["payment_key"], one["code"]),
            "cancel": lambda one: account.end(account.intent(one["payment_key"]), "abandoned"),
            "foreign_refund": lambda one: after.give_back(
                account.intent(one["payment_key"]), one.get("amount"), {}
            ),
            "settle_refund": lambda one: after.settle(one["refund_key"], is_done=one["is_done"]),
            "dispute": lambda one: after.dispute(
                one["payment_key"], one["stage"], one.get("status", "")
            ),
        }

    def payments(self) -> list[dict[str, Any]]:
        """Return every payment intent."""
        return self._book.objects("payment_intent")

    def _authorize(self, one: dict[str, Any]) -> object:
        """Let a buyer finish an intent; the mix may decline it."""
        intent = self._pay(one["payment_key"], one.get("card", CARD_OK), one.get("return_url", ""))
        return {"payment_key": intent["id"], "status": intent["status"]}

    def _pay(self, own_id: str, card: str, return_url: str) -> dict[str, Any]:
        order_id = self._account.intent(own_id)["metadata"].get("order_id", "")
        declined = self.faults.plan("authorize", order_id).of("decline")
        if declined is not None:
            card = declined.code or "generic_decline"
        return self._account.pay(own_id, card, return_url)

    def _of_secret(self, client_secret: str) -> dict[str, Any]:
        intent = self._account.intent(client_secret.partition("_secret_")[0])
        if intent["client_secret"] != client_secret:
            raise web.HTTPNotFound(text="TEST: no such payment intent")
        return intent

    async def _sdk(self, request: web.Request) -> web.Response:
        del request
        return script(_PACKAGE, "sdk.js")

    async def _fields_script(self, request: web.Request) -> web.Response:
        del request
        return script(_PACKAGE, "elements.js")

    async def _fields(self, request: web.Request) -> web.Response:
        key = request.query.get("key", "")
        if key != self._keys.client_key:
            raise web.HTTPBadRequest(text="TEST: the publishable key is of another account")
        secret = request.query.get("client_secret", "")
        return page(_PACKAGE, "elements.html", {"key": key, "client_secret": secret})

    async def _retrieve(self, request: web.Request) -> web.Response:
        intent = self._of_secret(request.query.get("client_secret", ""))
        headers = {"Access-Control-Allow-Origin": "*"}
        return web.json_response(_public(intent), headers=headers)

    async def _confirm(self, request: web.Request) -> web.Response:
        try:
            asked = msgspec.json.decode(await request.read(), type=FieldsRequest)
        except msgspec.DecodeError as error:
            raise web.HTTPBadRequest(text=str(error)) from error
        if asked.key != self._keys.client_key:
            raise web.HTTPUnauthorized(text="TEST: the publishable key is of another account")
        try:
            with self._book.transaction():
                own = self._of_secret(asked.client_secret)["id"]
                intent = self._pay(own, asked.card, asked.return_url)
        except WireRefusal as refused:
            return web.json_response(refused.body)
        self.notices.wake()
        return web.json_response(_after_confirm(intent, asked.return_url, request))

    async def _challenge(self, request: web.Request) -> web.Response:
        intent = self._of_secret(request.query.get("client_secret", ""))
        names = ("client_secret", "amount", "currency")
        return page(_PACKAGE, "three_d_secure.html", {name: intent[name] for name in names})

    async def _challenged(self, request: web.Request) -> web.Response:
        asked = await request.post()
        with self._book.transaction():
            intent = self._of_secret(str(asked.get("client_secret", "")))
            if intent["status"] != "requires_action":
                raise web.HTTPBadRequest(text="TEST: nothing to authenticate")
            return_url = intent["next_action"]["redirect_to_url"]["return_url"]
            failed = "" if asked.get("action") == "complete" else "authentication_required"
            intent = self._account.finish(intent, failed)
        self.notices.wake()
        raise web.HTTPSeeOther(_returned(intent, return_url))


def _after_confirm(
    intent: dict[str, Any], return_url: str, request: web.Request
) -> dict[str, object]:
    """Return what the fields tell the page: an error, or where to go."""
    if intent["status"] == "requires_action":
        query = {"client_secret": intent["client_secret"]}
        url = with_query(f"{request.scheme}://{request.host}/three_d_secure", query)
        return {"redirectUrl": url, "isAction": True}
    if intent["status"] == "requires_payment_method":
        return {"error": {**intent["last_payment_error"], "payment_intent": _public(intent)}}
    return {"redirectUrl": _returned(intent, return_url), "paymentIntent": _public(intent)}


def _returned(intent: dict[str, Any], return_url: str) -> str:
    is_paid = intent["status"] in ("requires_capture", "succeeded")
    values = {
        "payment_intent": intent["id"],
        "payment_intent_client_secret": intent["client_secret"],
        "redirect_status": "succeeded" if is_paid else "failed",
    }
    return with_query(return_url, values)


def _public(intent: dict[str, Any]) -> dict[str, object]:
    """Return what a publishable key may see."""
    names = ("id", "object", "amount", "currency", "status", "client_secret", "last_payment_error")
    return {name: intent[name] for name in names}
