// What this person holds and has not paid yet: known on every page, in all tabs, and after a reload.

import { get, Problem, ignoreProblem } from "../lib/api.js";
import { learn, secondsUntil } from "../lib/clock.js";
import { localStore } from "../lib/storage.js";
import { session } from "../lib/session.js";

const NAME = "mine";
const LIST = "/v1/me/reservations?status=HELD&limit=100";
// Somebody who comes back to a tab may have paid elsewhere.
const AGAIN_MS = 10_000;

class OwnHolds extends EventTarget {
  #asked = -Infinity;
  #asking = null;

  /** The holds that can be paid at this moment, the first one to lapse first. */
  get holds() {
    const known = localStore.get(NAME);
    if (!session.isLoggedIn || known?.email !== session.email) return [];
    return known.holds.filter((one) => secondsUntil(one.expires_at) > 0)
      .sort((one, other) => new Date(one.expires_at) - new Date(other.expires_at));
  }

  /** A reservation was seen: one that is held is remembered, any other one is no hold any more. */
  see({ reservation_id: id, schedule_id: schedule, status, seats, expires_at: until, expires_in_seconds: left }) {
    const others = this.holds.filter((one) => one.reservation_id !== id);
    if (status === "HELD") learn(until, left);
    const own = { reservation_id: id, schedule_id: schedule, expires_at: until, seat_ids: seats.map((seat) => seat.seat_id) };
    this.#keep(status === "HELD" ? [...others, own] : others);
  }

  /** Asks the shop, which alone knows: another device may have paid. Without an answer, what is known stays. */
  ask() {
    if (!session.isLoggedIn) return this.#told([]);
    this.#asking ??= get(LIST, { noLogin: true, tries: 1 })
      .then(({ items }) => this.#told(items), ignoreProblem)
      .finally(() => { this.#asking = null; });
    return this.#asking;
  }

  /** Somebody looks at the page again. */
  lookedAt() {
    if (performance.now() - this.#asked > AGAIN_MS) this.ask();
  }

  /** Whether a hold that has gone from here has lapsed: not paid, not given back, as the shop sees it. */
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
