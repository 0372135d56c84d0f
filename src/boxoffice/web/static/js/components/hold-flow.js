// Holds seats. The request gets its Idempotency-Key before it is sent and is stored until it is answered, so
// a lost answer, a reload or a second click makes no second hold.

import { newKey, post, Problem } from "../lib/api.js";
import { h } from "../lib/dom.js";
import { list, money, t } from "../lib/i18n.js";
import { localStore, sessionStore } from "../lib/storage.js";
import { session } from "../lib/session.js";
import { nearest } from "../map/suggestions.js";
import { HELD } from "../map/seats.js";
import { announcer } from "./announcer.js";
import { ask } from "./dialog.js";
import { ownHolds } from "./own-holds.js";
import { errorText } from "./problem.js";
import { passHeader } from "./queue-pass.js";
import { askToVerify } from "./verify-address.js";

// An older request is not repeated automatically: the user has gone on.
const FRESH_MS = 600_000;

export class HoldFlow {
  #name;
  #wanted;
  #waiting = null;
  isBusy = false;

  /** `asked(seatIds)` returns what a hold says about offers. */
  constructor({ id, seats, selection, words, hall, signal, go, onGone, onLimit, asked = () => ({}) }) {
    Object.assign(this, { id, seats, selection, words, hall, signal, go, onGone, onLimit, asked });
    this.#name = `hold.${id}`;
    this.#wanted = `best.${id}`;
  }

  /** Holds these seats. */
  hold(seatIds) {
    return this.#begin({ seat_ids: seatIds, ...this.asked(seatIds) });
  }

  /** Holds the best seats: `{quantity, grade?}`. */
  async holdBest(criteria) {
    const body = { ...criteria, ...this.asked([]) };
    if (session.isLoggedIn || (await this.#logIn(body))) await this.#begin(body);
  }

  /** Repeats a request whose answer was lost, or sends the one that waited for a sign-up. */
  async resume() {
    const wanted = sessionStore.get(this.#wanted);
    sessionStore.set(this.#wanted, null);
    const open = localStore.get(this.#name);
    if (wanted && session.isLoggedIn && Date.now() - wanted.at <= FRESH_MS) await this.#begin(wanted.body);
    else if (open) await this.#repeat(open);
  }

  // The dialog also leads to the sign-up, which ends on a new page: the selection keeps chosen seats, this the
  // criteria.
  async #logIn(body) {
    sessionStore.set(this.#wanted, { body, at: Date.now() });
    const isDone = await session.renew("unauthenticated");
    if (!this.signal.aborted) sessionStore.set(this.#wanted, null);
    return isDone;
  }

  async #repeat(open) {
    const isMine = session.isLoggedIn && open.email === session.email;
    if (!isMine || Date.now() - open.at > FRESH_MS) localStore.set(this.#name, null);
    else await this.#settle(open);
  }

  async #begin(body) {
    if (this.isBusy) return;
    if (!session.isLoggedIn && !(await session.renew("unauthenticated"))) return;
    const open = { key: newKey(), body, email: session.email, at: Date.now() };
    localStore.set(this.#name, open);
    await this.#settle(open);
  }

  async #settle(open) {
    this.isBusy = true;
    this.#showMessage(t("holdFlow.asking"));
    try {
      const held = await post(`/v1/schedules/${this.id}/reservations`, open.body, {
        key: open.key, signal: this.signal, headers: passHeader(this.id),
        onRetry: () => this.#showMessage(t("holdFlow.again")),
      });
      localStore.set(this.#name, null);
      ownHolds.see(held);
      this.selection.choose([]);
      this.go(`/reservations/${held.reservation_id}`);
    } catch (error) {
      if (this.signal.aborted) return;
      await this.#refused(error, open);
    } finally {
      this.isBusy = false;
      this.#showMessage("");
    }
  }

  async #refused(error, open) {
    if (!(error instanceof Problem)) throw error;
    if (error.isTemporary) {
      // The outcome is unknown; the key stays, so a repetition is safe.
      this.isBusy = false;
      if (await this.#askAgain(error)) await this.#settle(open);
      return;
    }
    localStore.set(this.#name, null);
    if (error.code === "seat_taken" && open.body.seat_ids) await this.#faster(error, open.body.seat_ids);
    else if (error.code === "ticket_limit") await this.#tooMany(error);
    else if (error.code === "queue_pass_required") this.go(`/schedules/${this.id}/queue`);
    else if (error.code === "email_not_verified") await askToVerify(error);
    else announcer.notify(errorText(error), "bad");
  }

  // The seats that count may come from another device, so the dialog links to them.
  async #tooMany(error) {
    this.onLimit();
    await ask(t("limit.title"), (close) => [
      h("p", {}, errorText(error)),
      h("div", { class: "actions" },
        h("a", { class: "button primary", href: `/me?schedule=${this.id}`, onclick: () => close(null) }, t("limit.mine")),
        h("button", { type: "button", class: "button", onclick: () => close(null) }, t("close"))),
    ]);
  }

  #askAgain(error) {
    return ask(t("holdFlow.unknown"), (close) => [
      h("p", {}, errorText(error)),
      h("p", {}, t("holdFlow.unknownDetail")),
      h("div", { class: "actions" },
        h("button", { type: "button", class: "button primary", onclick: () => close(true) }, t("holdFlow.askAgain")),
        h("button", { type: "button", class: "button", onclick: () => close(false) }, t("holdFlow.later"))),
    ]);
  }

  async #faster(error, wanted) {
    const taken = (error.body.seat_ids ?? wanted).map((id) => this.seats.find(id)).filter((at) => at !== undefined);
    const positions = wanted.map((id) => this.seats.find(id)).filter((at) => at !== undefined);
    this.seats.apply(taken.map((at) => [at, HELD]));
    this.onGone(taken);
    const instead = nearest(this.seats, positions, (at) => ({ x: this.hall.x(at), y: this.hall.y(at) }));
    if (await this.#offer(taken, instead)) {
      this.selection.choose(instead);
      this.onGone(instead);
      this.isBusy = false;
      await this.hold(instead.map((at) => this.seats.ids[at]));
    }
  }

  #offer(taken, instead) {
    const called = (positions) => list(positions.map((at) => this.words.short(at)));
    const amount = instead.reduce((sum, at) => sum + this.seats.prices[at], 0);
    return ask(t("faster.title"), (close) => [
      h("p", {}, t("faster.taken", { seats: called(taken), n: taken.length })),
      instead.length > 0 && h("p", {}, t("faster.instead", { seats: called(instead), price: money(amount, this.seats.currency) })),
      instead.length === 0 && h("p", {}, t("faster.none")),
      h("div", { class: "actions" },
        instead.length > 0 && h("button", { type: "button", class: "button primary", onclick: () => close(true) }, t("faster.take")),
        h("button", { type: "button", class: "button", onclick: () => close(false) }, t("faster.other"))),
    ].filter(Boolean));
  }

  #showMessage(text) {
    this.#waiting?.remove();
    this.#waiting = text ? h("div", { class: "overlay", role: "status" }, h("p", {}, h("span", { class: "spinner" }), text)) : null;
    if (this.#waiting) document.body.append(this.#waiting);
  }
}
