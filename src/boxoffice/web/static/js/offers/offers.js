// The offers of a schedule: prices by type, seats that are sold together, and notes about seats. Every price is
// one that the server has computed; the server decides what a hold costs.

import { get, ignoreProblem, post } from "../lib/api.js";
import { inLanguage } from "../lib/i18n.js";

const NONE = { booking_fee: 0, presales: [], price_types: [], public_from: null, takes_codes: false, pairs: [], notes: [] };

/** Loads the offers of a schedule; without an answer there are none to show. */
export async function loadOffers(id, seats, signal) {
  const shown = await get(`/v1/schedules/${id}/offers`, { signal, anonymous: true, tries: 2 }).catch(ignoreProblem);
  return new Offers(id, seats, shown ?? NONE);
}

const known = new Map();

/** Returns the name of a price type of a schedule in the user's language, its code where that is not known. */
export async function typeName(scheduleId, code, signal) {
  if (!known.has(scheduleId)) known.set(scheduleId, get(`/v1/schedules/${scheduleId}/offers`, { signal, anonymous: true, tries: 1 }).catch(ignoreProblem));
  const found = (await known.get(scheduleId))?.price_types.find((one) => one.code === code);
  return found ? inLanguage(found, "name") : code;
}

export class Offers {
  #types = new Map();
  #partners = new Map();
  #accessible = new Set();
  #notes = new Map();
  #grant = null;
  /** The code that was accepted, or "". */
  code = "";

  constructor(id, seats, shown) {
    Object.assign(this, { id, seats, shown });
    for (const { accessible, companion } of shown.pairs) this.#pair(seats.find(accessible), seats.find(companion));
    for (const note of shown.notes) for (const seat of note.seat_ids) this.#notes.set(seats.find(seat), inLanguage(note, "note"));
  }

  #pair(accessible, companion) {
    if (accessible === undefined || companion === undefined) return;
    this.#partners.set(accessible, companion).set(companion, accessible);
    this.#accessible.add(accessible);
  }

  /** What the accepted code gives, or null. */
  get grant() {
    return this.#grant;
  }

  /** The price types for a seat: `{code, name, note, price}`, the full price first. */
  typesOf(at) {
    const grade = this.seats.grades[this.seats.grade[at]].name;
    const full = this.seats.prices[at];
    const types = (this.#grant ?? this.shown).price_types;
    return types.map((one) => ({
      code: one.code, name: inLanguage(one, "name"), note: inLanguage(one, "note"),
      price: one.prices.find((price) => price.grade === grade && price.full === full)?.price,
    })).filter(({ price }) => price !== undefined);
  }

  /** Whether there is more than the full price to choose from. */
  hasTypes(at) {
    return this.typesOf(at).length > 1;
  }

  /** The chosen price type of a seat. */
  typeOf(at) {
    const types = this.typesOf(at);
    return types.find(({ code }) => code === this.#types.get(at)) ?? types[0] ?? { code: "", price: this.seats.prices[at] };
  }

  /** Chooses the price type of a seat. */
  choose(at, code) {
    this.#types.set(at, code);
  }

  /** What seats cost: `{prices, fee, total}`. */
  costOf(positions) {
    const each = positions.map((at) => this.typeOf(at).price);
    const prices = each.reduce((sum, price) => sum + price, 0);
    const fee = each.filter((price) => price > 0).length * this.shown.booking_fee;
    return { prices, fee, total: prices + fee };
  }

  /** The seat that is sold together with this one, undefined without one. */
  partnerOf(at) {
    return this.#partners.get(at);
  }

  /** "accessible", "companion" or "". */
  kindOf(at) {
    if (!this.#partners.has(at)) return "";
    return this.#accessible.has(at) ? "accessible" : "companion";
  }

  /** The note about a seat, or "". */
  noteOf(at) {
    return this.#notes.get(at) ?? "";
  }

  /** What a hold of these seats says about offers. */
  asked(seatIds) {
    const types = Object.fromEntries(seatIds.map((id) => [id, this.#types.get(this.seats.find(id)) ?? ""]).filter(([, code]) => code));
    return { ...(Object.keys(types).length && { price_types: types }), ...(this.code && { code: this.code }) };
  }

  /** Asks what a code gives and keeps it; throws the server's refusal. */
  async apply(code, signal) {
    this.#grant = await post(`/v1/schedules/${this.id}/offers/code`, { code }, { signal });
    this.code = code;
  }

  /** Forgets the code. */
  forget() {
    this.#grant = null;
    this.code = "";
  }
}
