// How the sale of a concert stands, in a list.

import { secondsUntil } from "../lib/clock.js";
import { h } from "../lib/dom.js";
import { money, moment, t } from "../lib/i18n.js";

const SOON_S = 24 * 3600;

/** Returns the state of a listed sale now: the answer may be some seconds old when a sale opens. */
export function stateOf({ sale }) {
  if (!sale) return "unknown";
  return sale.state === "soon" && secondsUntil(sale.opens_at) <= 0 ? "on_sale" : sale.state;
}

/** Returns a badge with the state, null where there is nothing to say. */
export function saleBadge(item) {
  const state = stateOf(item);
  if (state === "unknown" || state === "on_sale") return null;
  const text = state === "soon" ? opening(item.sale.opens_at) : t(`sale.${state}`);
  return h("span", { class: `badge ${state}` }, text);
}

/** Returns the lowest price in words, empty where it is not known. */
export function priceFrom({ sale }) {
  return sale?.price_from ? t("sale.from", { price: money(sale.price_from.amount, sale.price_from.currency) }) : "";
}

// The moment on the reader's clock: it says when to be there.
function opening(at) {
  const shape = secondsUntil(at) < SOON_S ? { weekday: "short", hour: "numeric", minute: "2-digit" } : { month: "short", day: "numeric", hour: "numeric", minute: "2-digit" };
  return t("sale.opens", { when: moment(at, shape) });
}
