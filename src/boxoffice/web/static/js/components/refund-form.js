// Cancels tickets: which ones, what that brings and costs, and where the money goes.

import { get, newKey, post, Problem } from "../lib/api.js";
import { h, setChildren, uniqueId } from "../lib/dom.js";
import { money, t } from "../lib/i18n.js";
import { markSent, valuesOf } from "../lib/redraw.js";
import { localStore } from "../lib/storage.js";
import { seatName } from "../map/labels.js";
import { announcer } from "./announcer.js";
import { ask } from "./dialog.js";
import { methodName } from "./payment-methods.js";
import { errorText, requestReference } from "./problem.js";
import { policyTable } from "./refund-policy.js";

export class RefundForm {
  #chosen = new Set();
  #to = "original";
  #quote = null;
  // Answers to an earlier choice are left out.
  #asked = 0;
  #result = h("div", { class: "stack", role: "status" });
  #policy = h("div", { class: "stack" });
  #form = h("div", { class: "stack", "data-form": "refund" });

  #isFeeWaived = true;

  /** `paid` is a payment of the API; `refresh()` is called after a refund. A seller may waive the fee. */
  constructor({ paid, signal, refresh, isSeller = false }) {
    Object.assign(this, { paid, signal, refresh, isSeller });
    this.path = `/v1/${isSeller ? "admin/" : ""}payments/${paid.payment_id}`;
    const live = paid.tickets.filter((ticket) => ticket.status === "VALID");
    this.view = h("details", { class: "card refund no-print" },
      h("summary", {}, h("h2", {}, this.#text("title"))),
      setChildren(this.#form,
        this.#policy,
        h("fieldset", { class: "choices tickets-to-return" }, h("legend", {}, t("refund.choose")), live.map((ticket) => this.#ticketBox(ticket)), live.length > 1 && this.#allButton()),
        isSeller && this.#waiver(),
        paid.method !== "wallet" && this.#destinations(),
        this.#result));
    this.view.addEventListener("toggle", () => { if (this.view.open) this.#draw(); });
  }

  #ticketBox(ticket) {
    const change = (event) => {
      if (event.target.checked) this.#chosen.add(ticket.ticket_id);
      else this.#chosen.delete(ticket.ticket_id);
      this.#draw();
    };
    return h("label", { "data-key": ticket.ticket_id }, h("input", { type: "checkbox", onchange: change }), h("span", { class: "grow" }, seatName(ticket)), h("span", { class: "muted" }, ticket.grade));
  }

  // What differs for a seller has texts of its own.
  #text(key, values) {
    return t(this.isSeller ? `sellerRefund.${key}` : `refund.${key}`, values);
  }

  #allButton() {
    const choose = () => {
      for (const box of this.view.querySelectorAll(".tickets-to-return input:not(:checked)")) box.click();
    };
    return h("div", { class: "actions" }, h("button", { type: "button", class: "button", onclick: choose }, t("refund.chooseAll")));
  }

  #waiver() {
    const change = (event) => {
      this.#isFeeWaived = event.target.checked;
      this.#draw();
    };
    return h("div", { class: "choices" }, h("label", {}, h("input", { type: "checkbox", "data-field": "waive_fee", checked: true, onchange: change }), t("sellerRefund.waive")));
  }

  #destinations() {
    const name = uniqueId("to");
    const choice = (to, text) => h("label", {}, h("input", { type: "radio", name, value: to, checked: to === this.#to, onchange: () => { this.#to = to; } }), text);
    return h("fieldset", { class: "choices" }, h("legend", {}, t("refund.to")),
      choice("original", t("refund.to.original", { method: methodName(this.paid.method) })), choice("wallet", this.#text("to.wallet")));
  }

  // Without a choice the quote is that of all tickets, and shows the policy of the sale.
  async #draw() {
    const asked = this.#asked += 1;
    const ids = [...this.#chosen].sort();
    const query = new URLSearchParams({ ticket_ids: ids.join(","), ...(this.isSeller && { waive_fee: this.#isFeeWaived }) });
    try {
      const quote = await get(`${this.path}/refund-quote?${query}`, { signal: this.signal });
      if (asked !== this.#asked) return;
      this.#quote = quote;
      setChildren(this.#policy, policyTable(quote.policy));
      setChildren(this.#result, this.#offer(quote, ids));
    } catch (error) {
      if (this.signal.aborted || asked !== this.#asked) return;
      setChildren(this.#result, h("p", { class: "form-error" }, errorText(error), " ", requestReference(error)));
    }
  }

  #offer(quote, ids) {
    if (!quote.is_refundable) return h("p", { class: "notice warn" }, this.#text("over"));
    if (!ids.length) return h("p", { class: "muted" }, this.#text("chooseFirst"));
    const button = h("button", { type: "button", class: "button danger" }, this.#text("request", { n: ids.length }));
    button.addEventListener("click", () => this.#confirm(button, quote, ids));
    return [this.#amounts(quote), h("div", { class: "actions" }, button)];
  }

  async #confirm(button, quote, ids) {
    if (button.getAttribute("aria-disabled")) return;
    const where = this.#to === "wallet" || this.paid.method === "wallet" ? this.#text("to.wallet") : t("refund.to.original", { method: methodName(this.paid.method) });
    const isSure = await ask(this.#text("sure", { n: ids.length }), (close) => [
      this.#amounts(quote), h("p", {}, where), h("p", { class: "muted" }, t("refund.final")),
      h("div", { class: "actions" },
        h("button", { type: "button", class: "button danger", onclick: () => close(true) }, this.#text("request", { n: ids.length })),
        h("button", { type: "button", class: "button", onclick: () => close(null) }, this.#text("keep"))),
    ]);
    if (!isSure) return;
    button.setAttribute("aria-disabled", "true");
    try {
      await this.#send(quote, ids);
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      announcer.notify(`${errorText(error)} ${requestReference(error)}`, "bad");
      if (error.code === "already_refunded") this.refresh();
      else await this.#draw();
    } finally {
      button.removeAttribute("aria-disabled");
    }
  }

  #amounts({ refund, fee, currency }) {
    return h("ul", { class: "lines" },
      h("li", {}, h("span", { class: "grow" }, t("refund.feeTotal")), h("span", { class: "number" }, money(fee, currency))),
      h("li", {}, h("strong", { class: "grow" }, this.#text("back")), h("strong", { class: "number" }, money(refund, currency))));
  }

  // A refund whose answer was lost is the same refund.
  async #send(quote, ids) {
    const order = { ticket_ids: ids, expected_refund: quote.refund, to: this.#to, ...(this.isSeller && { waive_fee: this.#isFeeWaived }) };
    const name = `refund.${this.paid.payment_id}`;
    const open = localStore.get(name);
    const isSame = open && JSON.stringify(open.order) === JSON.stringify(order);
    const key = isSame ? open.key : newKey();
    localStore.set(name, { key, order });
    const values = valuesOf(this.#form);
    try {
      await post(`${this.path}/refunds`, order, { key, signal: this.signal });
    } catch (error) {
      if (error instanceof Problem && !error.isTemporary) localStore.set(name, null);
      throw error;
    }
    localStore.set(name, null);
    markSent(this.#form, values);
    announcer.notify(this.#text("requested"), "good");
    this.refresh();
  }
}
