// The unpaid holds of this user: on every page, in all tabs, and after a reload.

import { get, ignoreProblem } from "../lib/api.js";
import { countDown, learn, secondsUntil } from "../lib/clock.js";
import { localStore } from "../lib/storage.js";
import { session } from "../lib/session.js";

const NAME = "mine";
const LIST = "/v1/me/reservations?status=HELD&limit=100";
// The user may have paid on another device while this tab was hidden.
const AGAIN_MS = 10_000;

class OwnHolds extends EventTarget {
  #asked = -Infinity;
  #asks = 0;
  #asking = null;
  #ticking = new AbortController();

  constructor() {
    super();
    this.#countDown();
  }

  /** The holds of this user as they were last known, also those whose time is up. */
  get known() {
    const known = localStore.get(NAME);
    return session.isLoggedIn && known?.email === session.email ? known.holds : [];
  }

  /** The holds that can be paid now, in the order of their expiry. */
  get holds() {
    return this.known.filter((one) => secondsUntil(one.expires_at) > 0)
      .sort((one, other) => new Date(one.expires_at) - new Date(other.expires_at));
  }

  /** Updates the list with a reservation: adds one that is held, removes any other. */
  see({ reservation_id: id, schedule_id: schedule, status, seats, expires_at: until, expires_in_seconds: left }) {
    const others = this.known.filter((one) => one.reservation_id !== id);
    if (status === "HELD") learn(until, left);
    const own = { reservation_id: id, schedule_id: schedule, expires_at: until, seat_ids: seats.map((seat) => seat.seat_id) };
    this.#keep(status === "HELD" ? [...others, own] : others);
  }

  /** Reloads from the server: another device may have paid. Without an answer the list stays. */
  ask() {
    this.#asks += 1;
    this.#asking ??= this.#load().finally(() => { this.#asking = null; });
    return this.#asking;
  }

  /** Reloads when the tab becomes visible again. */
  lookedAt() {
    if (performance.now() - this.#asked > AGAIN_MS) this.ask();
  }

  /** Dispatches `change`: the list, the user or what is left of the time has changed. */
  changed() {
    this.#countDown();
    this.dispatchEvent(new Event("change"));
  }

  // The end of a hold is a change, on every page.
  #countDown() {
    this.#ticking.abort();
    this.#ticking = new AbortController();
    const [first] = this.holds;
    if (first) countDown(first.expires_at, this.#ticking.signal, () => {}, () => this.changed());
  }

  // An answer to an earlier `ask` may be another user's, or older than the reason for this one.
  async #load() {
    let asks;
    do {
      asks = this.#asks;
      const list = session.isLoggedIn ? await get(LIST, { noLogin: true, tries: 1 }).catch(ignoreProblem) : { items: [] };
      if (asks !== this.#asks) continue;
      if (list) this.#told(list.items);
      else this.changed();
    } while (asks !== this.#asks);
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
    this.changed();
  }
}

export const ownHolds = new OwnHolds();

session.addEventListener("change", () => { ownHolds.changed(); ownHolds.ask(); });
addEventListener("storage", (event) => {
  if (event.key === `boxoffice.${NAME}`) ownHolds.changed();
});
document.addEventListener("visibilitychange", () => { if (document.visibilityState === "visible") ownHolds.lookedAt(); });
