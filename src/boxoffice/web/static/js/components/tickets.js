// The tickets of a paid reservation, to show at the door and to print.

import { get } from "../lib/api.js";
import { h, icon, svg } from "../lib/dom.js";
import { dateTime, inLanguage, money, t } from "../lib/i18n.js";
import { seatName } from "../map/labels.js";
import { ICONS } from "./icons.js";
import { methodName } from "./payment-methods.js";
import { performanceMoment, venueName } from "./performance-time.js";
import { RefundForm } from "./refund-form.js";
import { ownRefunds, refundList } from "./refund-list.js";
import { priceTypeName } from "./seat-table.js";
import { sellerMark } from "./seller.js";

const QUIET = 4;

/** Returns the tickets of `one`, a reservation with a payment; `refresh()` is called after a refund. */
export async function tickets(one, schedule, { signal, refresh }) {
  const path = `/v1/payments/${one.payment_id}`;
  const [paid, codes, refunds] = await Promise.all([get(path, { signal }), get(`${path}/codes`, { signal }), ownRefunds(signal, one.payment_id)]);
  const live = paid.tickets.filter((ticket) => ticket.status === "VALID");
  const typeOf = new Map(one.seats.filter((seat) => seat.price_type).map((seat) => [seat.seat_id, priceTypeName(one.schedule_id, seat.price_type)]));
  const codeOf = new Map(codes.items.map((code) => [code.ticket_id, code]));
  return h("div", { class: "stack" },
    h("div", { class: "notice good no-print" }, h("p", {}, icon(ICONS.check), " ", t("tickets.paid", { amount: money(paid.amount, paid.currency), when: dateTime(paid.created_at) }), " ", h("span", { class: "muted" }, methodName(paid.method)))),
    live.length === 0 && h("p", { class: "notice" }, t("refund.all")),
    h("ul", { class: "tickets" }, live.map((ticket) => h("li", {}, ticketCard(ticket, { code: codeOf.get(ticket.ticket_id), schedule, number: one.order_number, priceType: typeOf.get(ticket.seat_id) })))),
    h("div", { class: "actions no-print" },
      live.length > 0 && h("button", { type: "button", class: "button primary", onclick: () => print() }, icon(ICONS.print), t("tickets.print")),
      h("a", { class: "button", href: "/me" }, t("nav.me"))),
    refunds.length > 0 && h("section", { class: "card no-print" }, h("h2", {}, t("refund.refunds")), refundList(refunds)),
    live.length > 0 && new RefundForm({ paid, signal, refresh }).view);
}

/** One ticket with its QR code, the number of its order, and the element of its price type, if it has one. */
export function ticketCard(ticket, { code, schedule, number, priceType = null }) {
  return h("article", { class: "ticket" },
    h("div", { class: "ticket-text" },
      schedule?.brand && h("p", {}, sellerMark(schedule.brand)),
      h("p", { class: "ticket-kind" }, h("span", { class: "ticket-grade" }, ticket.grade), priceType),
      h("h2", {}, seatName(ticket)),
      schedule && h("p", {}, h("strong", {}, inLanguage(schedule.concert, "title")), h("br"), inLanguage(schedule.concert, "artist")),
      schedule && h("p", { class: "muted" }, performanceMoment(schedule.starts_at, schedule.time_zone)),
      schedule && h("p", { class: "muted" }, venueName(schedule)),
      number && orderNumber(number)),
    h("div", { class: "ticket-code" }, code && qr(code.rows, t("tickets.code", { seat: seatName(ticket) }))));
}

/** The number of an order, with its name. */
export function orderNumber(number) {
  return h("p", { class: "order-number" }, t("order.number"), " ", h("strong", { class: "number" }, number));
}

// Dark on light in any scheme: readers want it so.
function qr(rows, label) {
  const size = rows.length + 2 * QUIET;
  const path = rows.flatMap((row, y) => [...row.matchAll(/1+/g)].map((run) => `M${run.index + QUIET} ${y + QUIET}h${run[0].length}v1h-${run[0].length}z`)).join("");
  return svg("svg", { viewBox: `0 0 ${size} ${size}`, class: "qr", role: "img", "aria-label": label, "shape-rendering": "crispEdges" },
    svg("rect", { class: "qr-light", width: size, height: size }), svg("path", { class: "qr-dark", d: path }));
}
