// The state of a sale by the server's clock, for display only; the server decides what can be bought.

import { secondsUntil } from "./clock.js";

/**
 * Returns `soon`, `open` or `closed` for a schedule. The answer may be a second old, so the clock is checked
 * too: at the opening, that second matters.
 */
export function saleState(schedule) {
  if (["CLOSED", "CANCELLED"].includes(schedule.status) || hasStarted(schedule)) return "closed";
  if (secondsUntil(schedule.sale_opens_at) > 0) return "soon";
  const isOver = schedule.sale_closes_at && secondsUntil(schedule.sale_closes_at) <= 0;
  return schedule.status === "OPEN" && !isOver ? "open" : "closed";
}

/** Returns whether the performance has started; its sale is over, whatever the status. */
export function hasStarted(schedule) {
  return secondsUntil(schedule.starts_at) <= 0;
}

/** Returns the seconds until the sale opens or ends by itself; Infinity for never. */
export function secondsToNextChange({ sale_opens_at: opens, sale_closes_at: closes, starts_at: starts }) {
  const left = [opens, closes, starts].filter(Boolean).map(secondsUntil).filter((seconds) => seconds > 0);
  return Math.min(...left);
}
