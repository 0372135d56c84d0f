// PaymentRequest a hold. The key of the payment is kept until the shop has answered: whoever reloads in the middle
// or loses the answer goes on with the same payment, and nobody pays twice.

import { newKey, post, Problem } from "../lib/api.js";
import { h, setChildren } from "../lib/dom.js";
import { t } from "../lib/i18n.js";
import { localStore } from "../lib/storage.js";
import { announcer } from "./announcer.js";
import { requestReference, errorText } from "./problem.js";

/** What became of a payment is known: its key is of no more use. */
export function forgetPayment(reservationId) {
  localStore.set(`pay.${reservationId}`, null);
}

export class PaymentRequest {
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
    const key = localStore.get(this.#name) ?? newKey();
    localStore.set(this.#name, key);
    await this.#send(key);
  }

  /** Goes on with a payment that somebody began and whose answer never came. */
  async resume() {
    const key = localStore.get(this.#name);
    if (key) await this.#send(key);
  }

  async #send(key) {
    this.isBusy = true;
    this.#showMessage(t("pay.busy"));
    try {
      const order = { reservation_id: this.one.reservation_id, method: "wallet" };
      await post("/v1/payments", order, { key, signal: this.signal, onRetry: () => this.#showMessage(t("pay.again")) });
      localStore.set(this.#name, null);
      announcer.notify(t("pay.done"), "good");
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
      setChildren(this.view, h("div", { class: "notice bad" },
        h("p", {}, errorText(error)), h("p", {}, t("pay.unknown")),
        h("div", { class: "actions" }, h("button", { type: "button", class: "button primary", onclick: () => this.resume() }, t("holdRequest.askAgain")))));
      return;
    }
    if (error.status === 401) {
      setChildren(this.view, h("p", { class: "notice bad" }, errorText(error)));
      return;
    }
    // A refusal decides: what comes next is a new payment.
    localStore.set(this.#name, null);
    const isOver = ["already_paid", "hold_expired", "not_held"].includes(error.code);
    if (isOver) {
      announcer.notify(errorText(error), error.code === "already_paid" ? "info" : "bad");
      this.refresh();
    } else setChildren(this.view, h("p", { class: "notice bad" }, errorText(error), " ", requestReference(error)));
  }

  #showMessage(text) {
    setChildren(this.view, h("p", { class: "notice" }, h("span", { class: "spinner" }), text));
  }
}
