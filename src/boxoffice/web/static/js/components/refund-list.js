// Refunds and where their money is.

import { all, ignoreProblem } from "../lib/api.js";
import { h } from "../lib/dom.js";
import { dateTime, list, money, t } from "../lib/i18n.js";
import { methodName } from "./payment-methods.js";

/** Returns the refunds of this person, of one payment or all, newest first. */
export async function ownRefunds(signal, paymentId = null) {
  const found = await all("/v1/me/refunds", { signal }).catch(ignoreProblem) ?? [];
  return paymentId ? found.filter((one) => one.payment_id === paymentId) : found;
}

/** Returns the refunds as a list. */
export function refundList(refunds) {
  return h("ul", { class: "rows" }, refunds.map((one) => h("li", { class: "row-link" },
    h("span", { class: "grow" },
      h("strong", {}, one.seat_ids.length ? list(one.seat_ids) : t("refund.late")),
      h("span", { class: "muted small" }, dateTime(one.created_at)),
      h("span", { class: "small" }, t(`refund.status.${one.status}`, { where: where(one) })),
      one.fee > 0 && h("span", { class: "small muted" }, t("refund.feeKept", { amount: money(one.fee, one.currency) }))),
    h("span", { class: "number" }, `+${money(one.amount, one.currency)}`))));
}

function where({ to, method }) {
  return to === "wallet" ? t("method.wallet") : methodName(method);
}
