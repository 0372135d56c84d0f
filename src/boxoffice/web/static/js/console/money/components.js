// Elements shared by the pages about money.

import { h } from "../../lib/dom.js";
import { dateTime, money, t } from "../../lib/i18n.js";
import { methodName } from "../../components/payment-methods.js";
import { timestamp } from "../components.js";

/** The state of something of the API; its texts begin with `kind`. */
export function stateChip(kind, state) {
  return h("span", { class: `chip of-${kind.split(".")[0]} state-${state.toLowerCase()}` }, t(`${kind}.${state}`));
}

/** The refunds of a payment or of a schedule as rows. */
export function refundRow(one) {
  return h("li", { class: "row-link" },
    h("span", { class: "grow" }, h("strong", {}, one.seat_ids.join(", ") || t("refund.late")),
      h("span", { class: "muted small" }, timestamp(one.created_at, dateTime), ` · ${t(`refunds.reason.${one.reason}`)}`),
      h("span", { class: "small" }, t(`refunds.status.${one.status}`, { where: where(one) })),
      one.fee > 0 && h("span", { class: "small muted" }, t("refund.feeKept", { amount: money(one.fee, one.currency) }))),
    h("span", { class: "number" }, money(one.amount, one.currency)));
}

function where({ to, method }) {
  return to === "wallet" ? t("method.wallet") : methodName(method);
}

/** A link to the page of a payment, the text `none` without one. */
export function paymentLink(paymentId, none) {
  return paymentId ? h("a", { href: `/organizer/payments/${paymentId}` }, h("code", { class: "whole" }, `…${paymentId.slice(-8)}`)) : none;
}
