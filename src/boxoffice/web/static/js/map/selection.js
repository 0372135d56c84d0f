// The selected seats before they are held; the selection survives a reload of the tab.

import { sessionStore } from "../lib/storage.js";
import { orphans } from "./suggestions.js";

export class Selection {
  #name;
  #orphans = null;
  /** Positions in the order of selection. */
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

  /** The total in minor units, for display; the server computes the price. */
  get amount() {
    return [...this.seats].reduce((sum, at) => sum + this.all.prices[at], 0);
  }

  /** Free seats that this selection would leave single. */
  get orphans() {
    this.#orphans ??= orphans(this.all, this.seats);
    return this.#orphans;
  }

  /** Sets the maximum; returns the positions that it removes, the last ones. */
  limit(max) {
    this.max = max;
    return this.drop([...this.seats].slice(max));
  }

  has(at) {
    return this.seats.has(at);
  }

  /** Selects or deselects a seat; returns the key of a text with the reason if it cannot, else "". */
  toggle(at) {
    if (!this.seats.delete(at)) {
      if (!this.all.isFree(at)) return "seats.notFree";
      if (this.seats.size >= this.max) return this.max ? "seats.enough" : "limit.reached";
      this.seats.add(at);
    }
    this.#changed();
    return "";
  }

  /** Selects exactly these. */
  choose(positions) {
    this.seats = new Set(positions);
    this.#changed();
  }

  /** Deselects those of `positions` that were selected, and returns them. */
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
