// Payments of this person, each with its refunds.

import { all, ignoreProblem } from "../lib/api.js";
import { h } from "../lib/dom.js";
import { dateTime, money, t } from "../lib/i18n.js";
import { performanceText } from "../lib/performance-time.js";
import { methodName } from "./payment-methods.js";
import { refundList } from "./refund-list.js";

/** Returns a payment as an item of a list. */
export function paymentItem(one) {
  return h("li", { class: "payment" },
    h("a", { class: "row-link", href: `/reservations/${one.reservation_id}` },
      h("span", { class: "grow" },
        h("strong", {}, one.concert_title),
        h("span", { class: "muted small" }, performanceText(one.starts_at, one.time_zone)),
        h("span", { class: "small" }, t("payment.paid", { when: dateTime(one.created_at), method: methodName(one.method) })),
        one.order_number && h("span", { class: "muted small" }, t("order.numbered", { number: one.order_number }))),
      h("span", { class: "row-end" },
        h("span", { class: `chip payment-${one.status.toLowerCase()}` }, t(`payment.status.${one.status}`)),
        h("span", { class: "number" }, money(one.amount, one.currency)))),
    one.refunds.length > 0 && refundList(one.refunds));
}

/** Returns the refunds of money that arrived too late for its seats, so that there is no payment. */
export async function lateRefunds(signal) {
  const found = await all("/v1/me/refunds", { signal }).catch(ignoreProblem) ?? [];
  return found.filter((one) => one.payment_id === null);
}
