// Follows each hold until its end is known, and reports the ones that expired unpaid. The page may notice an
// end by its clock, by a list without the hold, by another tab or after a reload, in any order; the server is
// asked each time, because the hold may have been paid or released on another device.

import { get, pause, Problem } from "../lib/api.js";
import { synchronize } from "../lib/clock.js";
import { session } from "../lib/session.js";
import { ownHolds } from "./own-holds.js";

const AGAIN_MS = 2_000;
const AGAIN_MAX_MS = 60_000;

export class HoldExpiry {
  #expired;
  #email = "";
  // Holds by what is known of their end.
  #open = new Set();
  #asking = new Set();
  #settled = new Set();

  /** `expired()` is called once for each hold of the user that expired unpaid. */
  constructor(expired) {
    this.#expired = expired;
    ownHolds.addEventListener("change", () => this.#look());
    this.#look();
  }

  #look() {
    if (this.#email !== session.email) this.#open.clear();
    this.#email = session.email;
    for (const { reservation_id: id } of ownHolds.known) if (!this.#settled.has(id)) this.#open.add(id);
    for (const id of this.#open) if (!isHeld(id) && !this.#asking.has(id)) this.#settle(id);
  }

  async #settle(id) {
    this.#asking.add(id);
    try {
      await synchronize();
      let again = AGAIN_MS;
      while (this.#open.has(id) && !isHeld(id)) {
        const wait = isShown(id) ? this.#leave(id) : await this.#ask(id, again);
        if (wait === null) return;
        again = Math.min(2 * again, AGAIN_MAX_MS);
        await pause(wait);
      }
    } finally {
      this.#asking.delete(id);
    }
  }

  // Returns after how many milliseconds to ask again, null for never.
  async #ask(id, again) {
    try {
      const one = await get(`/v1/reservations/${id}`, { noLogin: true, tries: 1 });
      if (!this.#open.has(id)) return null;
      if (one.status !== "HELD") this.#close(id);
      if (one.status === "EXPIRED" && !isShown(id)) this.#expired();
      ownHolds.see(one);
      // This page's clock is ahead of the server's, by less than the seconds left, which are rounded down.
      return one.status === "HELD" ? 1000 * (one.expires_in_seconds + 1) : null;
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      if (error.isTemporary || error.status === 429) return error.retryAfterS * 1000 || again;
      // After the next login there is an answer.
      return error.status === 401 ? null : this.#close(id);
    }
  }

  #close(id) {
    this.#settled.add(id);
    return this.#leave(id);
  }

  #leave(id) {
    this.#open.delete(id);
    return null;
  }
}

function isHeld(id) {
  return ownHolds.holds.some((one) => one.reservation_id === id);
}

// The page of a reservation shows its end itself.
function isShown(id) {
  return location.pathname === `/reservations/${id}`;
}
