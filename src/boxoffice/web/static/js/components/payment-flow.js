// Pays a hold. The Idempotency-Key is stored until the server answers, so a reload or a lost answer repeats
// the same payment and never makes a second one.

import { newKey, post, Problem } from "../lib/api.js";
import { h, setChildren } from "../lib/dom.js";
import { t } from "../lib/i18n.js";
import { localStore } from "../lib/storage.js";
import { announcer } from "./announcer.js";
import { requestReference, errorText } from "./problem.js";

/** Deletes the stored key: the outcome of the payment is known. */
export function forgetPayment(reservationId) {
  localStore.set(`pay.${reservationId}`, null);
}

export class PaymentFlow {
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

  /** Repeats a payment whose answer was lost. */
  async resume() {
    const key = localStore.get(this.#name);
    if (key) await this.#send(key);
  }

  async #send(key) {
    this.isBusy = true;
    this.#showMessage(t("pay.busy"));
    try {
      const { reservation_id, schedule_id: scheduleId } = this.one;
      const order = { reservation_id, method: "wallet" };
      const onRetry = () => this.#showMessage(t("pay.again"));
      await post("/v1/payments", order, { key, scheduleId, signal: this.signal, onRetry });
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
        h("div", { class: "actions" }, h("button", { type: "button", class: "button primary", onclick: () => this.resume() }, t("holdFlow.askAgain")))));
      return;
    }
    if (error.status === 401) {
      setChildren(this.view, h("p", { class: "notice bad" }, errorText(error)));
      return;
    }
    // A refusal is final: the next attempt is a new payment.
    localStore.set(this.#name, null);
    const isOver = ["already_paid", "hold_expired", "not_held", "payment_in_progress"].includes(error.code);
    if (isOver) {
      announcer.notify(errorText(error), error.code === "already_paid" ? "info" : "bad");
      this.refresh();
    } else setChildren(this.view, h("p", { class: "notice bad" }, errorText(error), " ", requestReference(error)));
  }

  #showMessage(text) {
    setChildren(this.view, h("p", { class: "notice" }, h("span", { class: "spinner" }), text));
  }
}
