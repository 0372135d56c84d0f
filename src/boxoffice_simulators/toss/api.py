"""The simulated Toss Payments: its API, its payment window, and what the control port does."""

from collections.abc import Callable, Mapping
from typing import Any

from aiohttp import web

from boxoffice_simulators.book import SimulatorBook
from boxoffice_simulators.calls import CallServer
from boxoffice_simulators.faults import FaultBoard
from boxoffice_simulators.notices import NoticeSender
from boxoffice_simulators.options import SimulatorKeys
from boxoffice_simulators.pages import page, script, with_query
from boxoffice_simulators.toss.payments import TossShop
from boxoffice_simulators.toss.wire import TossWire, shown_payment

_PACKAGE = "boxoffice_simulators.toss"
_ORDER = {"clientKey": "client_key", "orderId": "order_id", "orderName": "order_name"} | {
    "amount": "amount", "currency": "currency", "successUrl": "success_url", "failUrl": "fail_url",
}  # fmt: skip


class TossSimulator:
    """The simulated provider."""

    def __init__(self, book: SimulatorBook, keys: SimulatorKeys) -> None:
        self._book = book
        self._keys = keys
        self.faults = FaultBoard(declines="confirm", confirms="confirm")
        self.notices = NoticeSender(book, self.faults)
        wire = TossWire(keys.secret_key)
        self.notices.use(wire)
        self._shop = TossShop(book, wire, self.notices)
        self.calls = CallServer(book, wire, self.faults, self.notices)

    def routes(self) -> list[web.RouteDef]:
        """Return what the shop and the buyer's browser reach."""
        shop, route = self._shop, self.calls.route
        key = "{payment_key:[^/]+}"
        return [
            route("POST", "/v1/payments/confirm", "confirm", shop.confirm),
            route("GET", "/v1/payments/orders/{order_id}", "look_up", shop.get_by_order),
            route("GET", f"/v1/payments/{key}", "look_up", shop.get),
            route("POST", f"/v1/payments/{key}/cancel", "refund", shop.cancel),
            route("GET", "/v1/transactions", "statement", shop.transactions),
            route("GET", "/v1/settlements", "settlements", shop.settlements),
            web.get("/v2/standard", self._sdk),
            web.get("/window", self._window),
            web.post(f"/window/{key}", self._acted),
        ]

    def commands(self) -> Mapping[str, Callable[[dict[str, Any]], object]]:
        """Return what the control port can do at the provider, by name."""
        return {
            "begin": lambda order: _key(self._shop.begin(order)),
            "authorize": self._authorize,
            "decline": lambda one: _key(self._shop.fail(one["payment_key"], one["code"])),
            "deposit": lambda one: self._shop.deposit(one["payment_key"]),
            "fall_back": lambda one: self._shop.fall_back(one["payment_key"]),
            "foreign_refund": self._foreign_refund,
            "settle_refund": lambda one: self._shop.settle_cancel(
                one["payment_key"], is_done=one["is_done"]
            ),
        }

    def payments(self) -> list[dict[str, Any]]:
        """Return every payment."""
        return [shown_payment(one) for one in self._book.objects("payment")]

    def _authorize(self, order: dict[str, Any]) -> object:
        """Let a buyer finish a payment of an order, or one that was begun."""
        key = order.get("payment_key") or self._shop.begin(order)["paymentKey"]
        return _key(self._shop.authorize(key))

    def _foreign_refund(self, one: dict[str, Any]) -> object:
        payment = self._shop.payment(one["payment_key"])
        return self._shop.take_back(payment, one.get("amount"), "made at the provider")

    async def _sdk(self, request: web.Request) -> web.Response:
        del request
        return script(_PACKAGE, "sdk.js")

    async def _window(self, request: web.Request) -> web.StreamResponse:
        order = {ours: request.query.get(theirs, "") for theirs, ours in _ORDER.items()}
        if order["client_key"] != self._keys.client_key:
            raise web.HTTPBadRequest(text="TEST: INVALID_CLIENT_KEY")
        for name in ("success_url", "fail_url"):
            with_query(order[name], {})
        if not order["amount"].isdecimal() or not 6 <= len(order["order_id"]) <= 64:
            raise web.HTTPBadRequest(text="TEST: INVALID_PARAMETERS")
        method = request.query.get("method", "CARD").lower()
        with self._book.transaction():
            payment = self._shop.begin({**order, "method": method})
        shown = {"payment_key": payment["paymentKey"], **order}
        return page(_PACKAGE, "window.html", shown)

    async def _acted(self, request: web.Request) -> web.StreamResponse:
        action = (await request.post()).get("action")
        key = request.match_info["payment_key"]
        with self._book.transaction():
            payment = self._shop.payment(key)
            if action == "pay":
                payment = self._shop.authorize(key)
            else:
                code = "PAY_PROCESS_CANCELED" if action == "close" else "REJECT_CARD_COMPANY"
                payment = self._shop.fail(key, code)
        self.notices.wake()
        raise web.HTTPSeeOther(_return_url(payment))


def _return_url(payment: dict[str, Any]) -> str:
    if payment["status"] == "IN_PROGRESS":
        values = {
            "paymentType": "NORMAL",
            "orderId": payment["orderId"],
            "paymentKey": payment["paymentKey"],
            "amount": payment["totalAmount"],
        }
        return with_query(payment["_success_url"], values)
    failure = payment["failure"] or {"code": "PAY_PROCESS_ABORTED", "message": "TEST"}
    values = {"code": failure["code"], "message": failure["message"], "orderId": payment["orderId"]}
    return with_query(payment["_fail_url"], values)


def _key(payment: dict[str, Any]) -> dict[str, str]:
    return {"payment_key": payment["paymentKey"], "status": payment["status"]}
