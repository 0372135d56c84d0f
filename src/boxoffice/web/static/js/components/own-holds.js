// The unpaid holds of this user: on every page, in all tabs, and after a reload.

import { get, Problem, ignoreProblem } from "../lib/api.js";
import { learn, secondsUntil } from "../lib/clock.js";
import { localStore } from "../lib/storage.js";
import { session } from "../lib/session.js";

const NAME = "mine";
const LIST = "/v1/me/reservations?status=HELD&limit=100";
// The user may have paid on another device while this tab was hidden.
const AGAIN_MS = 10_000;

class OwnHolds extends EventTarget {
  #asked = -Infinity;
  #asking = null;

  /** The holds that can be paid now, in the order of their expiry. */
  get holds() {
    const known = localStore.get(NAME);
    if (!session.isLoggedIn || known?.email !== session.email) return [];
    return known.holds.filter((one) => secondsUntil(one.expires_at) > 0)
      .sort((one, other) => new Date(one.expires_at) - new Date(other.expires_at));
  }

  /** Updates the list with a reservation: adds one that is held, removes any other. */
  see({ reservation_id: id, schedule_id: schedule, status, seats, expires_at: until, expires_in_seconds: left }) {
    const others = this.holds.filter((one) => one.reservation_id !== id);
    if (status === "HELD") learn(until, left);
    const own = { reservation_id: id, schedule_id: schedule, expires_at: until, seat_ids: seats.map((seat) => seat.seat_id) };
    this.#keep(status === "HELD" ? [...others, own] : others);
  }

  /** Reloads from the server: another device may have paid. Without an answer the list stays. */
  ask() {
    if (!session.isLoggedIn) return this.#told([]);
    this.#asking ??= get(LIST, { noLogin: true, tries: 1 })
      .then(({ items }) => this.#told(items), ignoreProblem)
      .finally(() => { this.#asking = null; });
    return this.#asking;
  }

  /** Reloads when the tab becomes visible again. */
  lookedAt() {
    if (performance.now() - this.#asked > AGAIN_MS) this.ask();
  }

  /** Returns whether a hold has expired on the server: neither paid nor released. */
  async hasLapsed(id) {
    const one = await get(`/v1/reservations/${id}`, { noLogin: true, tries: 1 }).catch((error) => {
      if (error instanceof Problem) return null;
      throw error;
    });
    return one?.status === "EXPIRED";
  }

  #told(items) {
    this.#asked = performance.now();
    for (const one of items) learn(one.expires_at, one.expires_in_seconds);
    this.#keep(items.map((one) => ({
      reservation_id: one.reservation_id, schedule_id: one.schedule_id, expires_at: one.expires_at,
      seat_ids: one.seats.map((seat) => seat.seat_id),
    })));
  }

  #keep(holds) {
    localStore.set(NAME, holds.length ? { email: session.email, holds } : null);
    this.dispatchEvent(new Event("change"));
  }
}

export const ownHolds = new OwnHolds();

session.addEventListener("change", () => { ownHolds.dispatchEvent(new Event("change")); ownHolds.ask(); });
addEventListener("storage", (event) => {
  if (event.key === `boxoffice.${NAME}`) ownHolds.dispatchEvent(new Event("change"));
});
document.addEventListener("visibilitychange", () => { if (document.visibilityState === "visible") ownHolds.lookedAt(); });
