// Paying a hold. The key of the payment is kept until the shop has answered: whoever reloads in the middle
// or loses the answer goes on with the same payment, and nobody pays twice.

import { newKey, post, Problem } from "../lib/api.js";
import { h, put } from "../lib/dom.js";
import { t } from "../lib/i18n.js";
import { kept } from "../lib/keep.js";
import { announcer } from "./announce.js";
import { reference, sentence } from "./problem.js";

/** What became of a payment is known: its key is of no more use. */
export function forgetPayment(reservationId) {
  kept.set(`pay.${reservationId}`, null);
}

export class Paying {
  #name;
  view = h("div", { class: "paying", role: "status" });
  isBusy = false;

  constructor({ one, signal, refresh }) {
    Object.assign(this, { one, signal, refresh });
    this.#name = `pay.${one.reservation_id}`;
  }

  /** Pays from the wallet. */
  async pay() {
    if (this.isBusy) return;
    const key = kept.get(this.#name) ?? newKey();
    kept.set(this.#name, key);
    await this.#send(key);
  }

  /** Goes on with a payment that somebody began and whose answer never came. */
  async resume() {
    const key = kept.get(this.#name);
    if (key) await this.#send(key);
  }

  async #send(key) {
    this.isBusy = true;
    this.#say(t("pay.busy"));
    try {
      const order = { reservation_id: this.one.reservation_id, method: "wallet" };
      await post("/v1/payments", order, { key, signal: this.signal, onRetry: () => this.#say(t("pay.again")) });
      kept.set(this.#name, null);
      announcer.say(t("pay.done"), "good");
    } catch (error) {
      if (this.signal.aborted) return;
      if (!(error instanceof Problem)) throw error;
      this.isBusy = false;
      this.#refused(error);
      return;
    }
    this.isBusy = false;
    this.refresh();
  }

  #refused(error) {
    if (error.isTemporary) {
      put(this.view, h("div", { class: "notice bad" },
        h("p", {}, sentence(error)), h("p", {}, t("pay.unknown")),
        h("div", { class: "actions" }, h("button", { type: "button", class: "button primary", onclick: () => this.resume() }, t("holding.askAgain")))));
      return;
    }
    if (error.status === 401) {
      put(this.view, h("p", { class: "notice bad" }, sentence(error)));
      return;
    }
    // A refusal decides: what comes next is a new payment.
    kept.set(this.#name, null);
    const isOver = ["already_paid", "hold_expired", "not_held"].includes(error.code);
    if (isOver) {
      announcer.say(sentence(error), error.code === "already_paid" ? "info" : "bad");
      this.refresh();
    } else put(this.view, h("p", { class: "notice bad" }, sentence(error), " ", reference(error)));
  }

  #say(text) {
    put(this.view, h("p", { class: "notice" }, h("span", { class: "spinner" }), text));
  }
}
