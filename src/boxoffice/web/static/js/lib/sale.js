// How a sale stands by the shop's clock. Only for showing: what can be bought the shop decides.

import { secondsUntil } from "./clock.js";

/**
 * Returns `soon`, `open` or `closed` for a schedule. An answer may be a second old, and at the very moment
 * of the opening people look at the page: so the clock has its say too.
 */
export function saleState(schedule) {
  if (schedule.status === "CLOSED") return "closed";
  if (secondsUntil(schedule.sale_opens_at) > 0) return "soon";
  const isOver = schedule.sale_closes_at && secondsUntil(schedule.sale_closes_at) <= 0;
  return schedule.status === "OPEN" && !isOver ? "open" : "closed";
}
