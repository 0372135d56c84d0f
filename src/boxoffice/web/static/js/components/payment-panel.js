// How a hold is paid: from the wallet on this page, or through a provider on the checkout page.

import { get, Problem, remove } from "../lib/api.js";
import { h, icon, setChildren } from "../lib/dom.js";
import { money, t } from "../lib/i18n.js";
import { announcer } from "./announcer.js";
import { ICONS } from "./icons.js";
import { beginPayment, cancelPayment, checkoutPath, forgetIntent, IN_FLIGHT } from "./payment-intent.js";
import { MethodChoice, methodName, paymentMethods, testBanner } from "./payment-methods.js";
import { errorText, requestReference } from "./problem.js";
import { topUpForm, wallet } from "./wallet.js";

/** Draws the payment of a hold into `panel`; `context` has `one`, `payment`, `signal`, `go` and `refresh`. */
export async function drawPayment(panel, context) {
  const { one, signal } = context;
  if (one.payment_intent_id) {
    setChildren(panel, await begun(context));
    return;
  }
  const [own, methods] = await Promise.all([wallet(signal), paymentMethods(signal)]);
  setChildren(panel, new Choice(panel, context, own, methods).view);
}

// A payment that was begun in another tab, on another device or before a reload.
async function begun({ one, signal, refresh }) {
  const intent = await get(`/v1/payment-intents/${one.payment_intent_id}`, { signal });
  const isInFlight = IN_FLIGHT.includes(intent.status);
  const failed = h("p", { class: "form-error", role: "alert" });
  const otherWay = async () => {
    try {
      await cancelPayment(intent.intent_id, one.schedule_id);
    } catch (error) {
      if (error.code !== "payment_in_progress") {
        setChildren(failed, errorText(error), " ", requestReference(error));
        return;
      }
    }
    refresh();
  };
  return [
    h("h2", {}, t("pay.title")),
    h("p", {}, isInFlight ? t("checkout.pending") : t("pay.begun", { method: methodName(intent.method) })),
    failed,
    h("div", { class: "actions" },
      h("a", { class: "button primary", href: checkoutPath(intent.intent_id) }, isInFlight ? t("pay.look") : t("pay.continue")),
      !isInFlight && h("button", { type: "button", class: "button", onclick: otherWay }, t("pay.otherWay"))),
  ];
}

class Choice {
  #choice;
  #panel;
  #context;
  #own;
  #methods;
  #below = h("div", { class: "stack" });
  #failed = h("p", { class: "form-error", role: "alert" });

  constructor(panel, context, own, methods) {
    this.#panel = panel;
    this.#context = context;
    this.#own = own;
    this.#methods = methods;
    const { one } = context;
    const isEnough = own.balance >= one.amount;
    const provider = methods.find((method) => method.method !== "wallet" && method.is_available);
    this.#choice = new MethodChoice({
      methods,
      selected: isEnough || !provider ? "wallet" : provider.method,
      onChange: () => this.#draw(),
      detail: ({ method }) => method === "wallet" && h("span", { class: "number" }, money(own.balance, own.currency)),
    });
    const balance = h("p", { class: "lines-total" }, h("span", { class: "grow" }, icon(ICONS.wallet), " ", t("wallet.balance")), h("strong", { class: "number" }, money(own.balance, own.currency)));
    this.view = [h("h2", {}, t("pay.title")), methods.some((method) => method.is_test) && testBanner(),
      methods.length > 1 ? this.#choice.view : balance, this.#failed, this.#below];
    this.#draw();
  }

  #draw() {
    setChildren(this.#failed);
    setChildren(this.#below, this.#choice.value === "wallet" ? this.#fromWallet() : this.#throughProvider());
  }

  #fromWallet() {
    const { one, payment, signal, go } = this.#context;
    const missing = one.amount - this.#own.balance;
    const topUp = topUpForm({ own: this.#own, amount: missing, methods: this.#methods, signal, go, done: () => drawPayment(this.#panel, this.#context) });
    return [
      missing > 0 && h("p", { class: "notice warn" }, t("pay.missing", { amount: money(missing, one.currency) })),
      missing > 0 && topUp,
      payment.view,
      h("div", { class: "actions" },
        missing <= 0 && h("button", { type: "button", class: "button primary", onclick: () => payment.pay() }, t("pay.pay", { amount: money(one.amount, one.currency) })),
        this.#releaseButton()),
    ];
  }

  #throughProvider() {
    const method = methodName(this.#choice.value);
    const button = h("button", { type: "button", class: "button primary" }, t("pay.with", { method }));
    button.addEventListener("click", () => this.#begin(button));
    return [h("p", { class: "small muted" }, t("pay.next")),
      h("div", { class: "actions" }, button, this.#releaseButton())];
  }

  async #begin(button) {
    if (button.getAttribute("aria-disabled")) return;
    button.setAttribute("aria-disabled", "true");
    const { one, signal, go, refresh } = this.#context;
    const method = this.#choice.value;
    try {
      go(await beginPayment({ reservation_id: one.reservation_id }, method, signal, one.schedule_id));
    } catch (error) {
      if (signal.aborted) return;
      if (!(error instanceof Problem)) throw error;
      if (["already_paid", "hold_expired", "not_held"].includes(error.code)) refresh();
      else if (error.code === "provider_unavailable") await this.#offerNext(error, method);
      else setChildren(this.#failed, errorText(error), " ", requestReference(error));
    } finally {
      button.removeAttribute("aria-disabled");
    }
  }

  // Nothing was sent to the provider: its intent is ended, and the other methods are offered.
  async #offerNext(error, method) {
    const { one, signal } = this.#context;
    const now = await get(`/v1/reservations/${one.reservation_id}`, { signal });
    if (now.payment_intent_id) await cancelPayment(now.payment_intent_id, one.schedule_id);
    forgetIntent({ reservation_id: one.reservation_id }, method);
    await drawPayment(this.#panel, this.#context);
    announcer.notify(`${methodName(method)}: ${errorText(error)}`, "bad");
  }

  #releaseButton() {
    const { one, refresh } = this.#context;
    return h("button", { type: "button", class: "button plain", onclick: () => release(one, refresh) }, t("reservation.release"));
  }
}

async function release(one, refresh) {
  try {
    await remove(`/v1/reservations/${one.reservation_id}`, { scheduleId: one.schedule_id, tries: 3 });
    announcer.notify(t("reservation.released"), "good");
  } catch (error) {
    // Released by a request whose answer was lost, or expired: the refreshed page shows it.
    if (!(error instanceof Problem)) throw error;
    if (error.code !== "not_held") {
      announcer.notify(`${errorText(error)} ${requestReference(error)}`, "bad");
      if (error.code !== "payment_in_progress") return;
    }
  }
  refresh();
}
