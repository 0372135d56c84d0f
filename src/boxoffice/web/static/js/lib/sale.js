// How a sale stands by the shop's clock. Only for showing: what can be bought the shop decides.

import { secondsUntil } from "./clock.js";

/**
 * Returns `soon`, `open` or `closed` for a schedule. An answer may be a second old, and at the very moment
 * of the opening people look at the page: so the clock has its say too.
 */
export function saleState(schedule) {
  if (schedule.status === "CLOSED" || hasStarted(schedule)) return "closed";
  if (secondsUntil(schedule.sale_opens_at) > 0) return "soon";
  const isOver = schedule.sale_closes_at && secondsUntil(schedule.sale_closes_at) <= 0;
  return schedule.status === "OPEN" && !isOver ? "open" : "closed";
}

/** Says whether the performance has begun: it is not sold any more, whatever was set. */
export function hasStarted(schedule) {
  return secondsUntil(schedule.starts_at) <= 0;
}

/** Returns in how many seconds the sale opens or ends by itself; infinite for never. */
export function secondsToNextChange({ sale_opens_at: opens, sale_closes_at: closes, starts_at: starts }) {
  const left = [opens, closes, starts].filter(Boolean).map(secondsUntil).filter((seconds) => seconds > 0);
  return Math.min(...left);
}
