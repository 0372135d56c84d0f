// What somebody has chosen and not asked for yet; it survives a reload of the tab.

import { sessionStore } from "../lib/storage.js";
import { orphans } from "./suggestions.js";

export class Selection {
  #name;
  #orphans = null;
  /** Positions, in the order in which they were chosen. */
  seats = new Set();

  constructor(scheduleId, all, max) {
    this.all = all;
    this.max = max;
    this.#name = `choice.${scheduleId}`;
    for (const id of sessionStore.get(this.#name) ?? []) {
      const at = all.find(id);
      if (at !== undefined && all.isFree(at) && this.seats.size < max) this.seats.add(at);
    }
  }

  get ids() {
    return [...this.seats].map((at) => this.all.ids[at]);
  }

  /** What it comes to, in minor units; the shop says what is to be paid. */
  get amount() {
    return [...this.seats].reduce((sum, at) => sum + this.all.prices[at], 0);
  }

  /** Free seats that this choice would leave alone. */
  get orphans() {
    this.#orphans ??= orphans(this.all, this.seats);
    return this.#orphans;
  }

  /** No more than `max` from now on; returns the positions that are given up for it, the last ones. */
  limit(max) {
    this.max = max;
    return this.drop([...this.seats].slice(max));
  }

  has(at) {
    return this.seats.has(at);
  }

  /** Chooses a seat or gives it up; returns the key of a text that says why not, or an empty one. */
  toggle(at) {
    if (!this.seats.delete(at)) {
      if (!this.all.isFree(at)) return "seats.notFree";
      if (this.seats.size >= this.max) return this.max ? "seats.enough" : "limit.reached";
      this.seats.add(at);
    }
    this.#changed();
    return "";
  }

  /** Chooses exactly these. */
  choose(positions) {
    this.seats = new Set(positions);
    this.#changed();
  }

  /** Gives up those of `positions` that were chosen, and returns them. */
  drop(positions) {
    const lost = positions.filter((at) => this.seats.delete(at));
    this.#changed();
    return lost;
  }

  #changed() {
    this.#orphans = null;
    sessionStore.set(this.#name, this.seats.size ? this.ids : null);
  }
}
