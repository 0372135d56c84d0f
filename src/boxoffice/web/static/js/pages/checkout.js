// The checkout of a payment intent: the provider's own fields or window, the return from it, and the wait for an
// outcome. What is shown follows from the intent, so a reload, a second tab and another device show the same.

import { get, ignoreProblem, pause, Problem } from "../lib/api.js";
import { countDown, secondsUntil, synchronize } from "../lib/clock.js";
import { h, icon, setChildren } from "../lib/dom.js";
import { countdown, hasText, inLanguage, money, t } from "../lib/i18n.js";
import { confirm, forgetAttempts } from "../checkout/attempt.js";
import { PROVIDERS } from "../checkout/provider.js";
import { PaymentRefusal } from "../checkout/refusal.js";
import { ICONS } from "../components/icons.js";
import { cancelPayment, IN_FLIGHT } from "../components/payment-intent.js";
import { methodName, paymentMethods, testBanner } from "../components/payment-methods.js";
import { errorText, requestReference } from "../components/problem.js";
import { performanceMoment, venueName } from "../components/performance-time.js";
import { policyCard, refundPolicy } from "../components/refund-policy.js";
import { scheduleNotice } from "../components/schedule-notice.js";
import { seatTable } from "../components/seat-table.js";
import { termsCard } from "../components/seller.js";

const SOON_S = 60;
const POLL_S = 2;
// A late payment may still find its seats.
const MOVING = [...IN_FLIGHT, "CAPTURED_LATE"];

/** The page of a payment through a provider. */
export async function checkout({ params, query, signal, go }) {
  const [intent, methods] = await Promise.all([get(`/v1/payment-intents/${params.intent_id}`, { signal }), paymentMethods(signal).catch(ignoreProblem), synchronize()]);
  const order = await orderOf(intent, signal);
  const isTest = methods?.find((one) => one.method === intent.method)?.is_test ?? true;
  const panel = h("section", { class: "card pay checkout" });
  const title = intent.purpose === "top_up" ? t("checkout.topUp") : t("checkout.title");
  const view = h("div", { class: "reservation" },
    isTest && testBanner(),
    h("div", { class: "reservation-head" }, h("p", { class: "muted" }, title, " · ", methodName(intent.method)), h("h1", {}, order.schedule ? inLanguage(order.schedule.concert, "title") : title), order.schedule && when(order.schedule)),
    h("div", { class: "two-columns" },
      h("div", { class: "stack" }, order.reservation ? seatTable(order.reservation) : amountCard(intent), order.policy && policyCard(order.policy)),
      h("div", { class: "stack pay-column" }, panel, intent.purpose !== "top_up" && termsCard(order.schedule?.brand, signal))));
  new Checkout({ intent, scheduleId: order.reservation?.schedule_id, panel, query, signal, go }).start().catch(ignoreAbort);
  return { title: order.schedule ? `${title} · ${inLanguage(order.schedule.concert, "title")}` : title, view, brand: order.schedule?.brand };
}

function when(schedule) {
  return [
    h("p", { class: "icon-line" }, icon(ICONS.calendar), performanceMoment(schedule.starts_at, schedule.time_zone)),
    h("p", { class: "icon-line" }, icon(ICONS.place), venueName(schedule)),
    scheduleNotice(schedule),
  ];
}

function ignoreAbort(error) {
  if (error?.name !== "AbortError") throw error;
}

async function orderOf(intent, signal) {
  if (!intent.reservation_id) return {};
  const reservation = await get(`/v1/reservations/${intent.reservation_id}`, { signal }).catch(ignoreProblem);
  if (!reservation) return {};
  const [schedule, policy] = await Promise.all([
    get(`/v1/schedules/${reservation.schedule_id}`, { signal, anonymous: true }).catch(ignoreProblem), refundPolicy(reservation.schedule_id, signal),
  ]);
  return { reservation, schedule, policy };
}

function amountCard(intent) {
  return h("section", { class: "card" }, h("p", { class: "lines-total" }, h("span", { class: "grow" }, t("wallet.top_up")), h("strong", { class: "number" }, money(intent.amount, intent.currency))));
}

class Checkout {
  #drawing = new AbortController();

  constructor(context) {
    Object.assign(this, context);
    this.ownProvider = PROVIDERS[this.intent.method];
    this.signal.addEventListener("abort", () => this.#drawing.abort(), { once: true });
  }

  /** Confirms what the provider's return brought, or shows where the payment stands. */
  async start() {
    const { intent, query } = this;
    const returned = this.ownProvider?.returned(intent, query);
    if (returned?.confirmation && intent.status === "OPEN") await this.#confirm(returned.confirmation);
    else {
      this.#forgetReturn();
      await this.#show(returned?.reason && intent.status === "OPEN" ? { reason: returned.reason } : null);
    }
  }

  async #confirm(confirmation) {
    this.#wait(t("checkout.pending"));
    const refusal = await confirm(this.intent, confirmation, { scheduleId: this.scheduleId, signal: this.signal });
    if (refusal?.error?.isTemporary) {
      this.#offerRetry(refusal.error, confirmation);
      return;
    }
    this.#forgetReturn();
    await this.#look();
    await this.#show(refusal);
  }

  // A reload of the page must not confirm again what was refused.
  #forgetReturn() {
    if (location.search) history.replaceState(null, "", location.pathname);
  }

  async #look() {
    let retryAfterS = POLL_S;
    const onRetryAfter = (seconds) => { retryAfterS = seconds; };
    this.intent = await get(`/v1/payment-intents/${this.intent.intent_id}`, { signal: this.signal, onRetryAfter });
    return retryAfterS;
  }

  async #show(refusal) {
    const { intent } = this;
    if (MOVING.includes(intent.status)) {
      await this.#follow();
      return;
    }
    if (intent.status === "OPEN" && !this.#isOver) {
      await this.#offer(refusal ?? (intent.reason ? { reason: intent.reason } : null));
      return;
    }
    forgetAttempts(intent.intent_id);
    if (intent.status === "SUCCEEDED") await this.#leave();
    else this.#end();
  }

  get #isOver() {
    const until = this.intent.hold_expires_at;
    return until !== null && secondsUntil(until) <= 0;
  }

  // Looks again until the outcome is known.
  async #follow() {
    let waitS = POLL_S;
    while (MOVING.includes(this.intent.status)) {
      this.#wait(this.#movingText());
      await pause(1000 * waitS, this.signal);
      try {
        waitS = await this.#look();
      } catch (error) {
        if (!(error instanceof Problem) || !error.isTemporary) throw error;
      }
    }
    await this.#show(null);
  }

  #movingText() {
    const { status } = this.intent;
    if (status === "AWAITING_DEPOSIT") return t("checkout.deposit");
    return IN_FLIGHT.includes(status) ? t("checkout.pending") : t("checkout.late");
  }

  #wait(text) {
    this.#redraw(h("h2", {}, t("checkout.pendingTitle")),
      h("p", { class: "notice", role: "status" }, h("span", { class: "spinner" }), text),
      this.intent.status !== "CAPTURED_LATE" && h("p", { class: "small muted" }, t("checkout.pendingHint")));
  }

  #redraw(...children) {
    this.#drawing.abort();
    this.#drawing = new AbortController();
    setChildren(this.panel, children);
  }

  #offerRetry(error, confirmation) {
    const again = h("button", { type: "button", class: "button primary", onclick: () => this.#confirm(confirmation).catch(ignoreAbort) }, t("again"));
    const text = error.code === "provider_unavailable" ? errorText(error) : t("pay.unknown");
    this.#redraw(h("h2", {}, t("checkout.pendingTitle")), h("p", { class: "notice bad" }, text),
      h("div", { class: "actions" }, again, error.code === "provider_unavailable" && this.#otherWay()));
  }

  // The provider's fields, and why the last attempt was refused.
  async #offer(refusal) {
    const { intent } = this;
    const fields = h("div", { class: "provider-fields" });
    const failed = h("div", { role: "alert" });
    const button = h("button", { type: "button", class: "button primary", "aria-disabled": "true" }, t("pay.pay", { amount: money(intent.amount, intent.currency) }));
    const clock = h("strong", { class: "clock", role: "timer" });
    this.#redraw(h("h2", {}, methodName(intent.method)),
      intent.hold_expires_at && h("p", { class: "icon-line hold-left" }, icon(ICONS.clock), t("reservation.yours"), " ", clock),
      failed, fields, h("div", { class: "actions" }, button, this.#otherWay()));
    this.#complain(failed, refusal);
    this.#countDown(clock);
    let pay;
    try {
      pay = await this.ownProvider.mount({ client: intent.client, box: fields, returnUrl: location.origin + location.pathname });
    } catch (error) {
      // Also a script that the provider has changed: another method is offered.
      console.error(error);
      this.#complain(failed, { error: new Problem(0, "provider_unavailable") });
      return;
    }
    button.removeAttribute("aria-disabled");
    button.addEventListener("click", () => this.#pay(pay, button, failed).catch(ignoreAbort));
  }

  async #pay(pay, button, failed) {
    if (button.getAttribute("aria-disabled")) return;
    button.setAttribute("aria-disabled", "true");
    setChildren(failed);
    try {
      const confirmation = await pay();
      if (confirmation) await this.#confirm(confirmation);
    } catch (error) {
      if (!(error instanceof PaymentRefusal)) throw error;
      this.#complain(failed, error);
    } finally {
      button.removeAttribute("aria-disabled");
    }
  }

  #complain(place, refusal) {
    if (!refusal) return;
    const key = `decline.${refusal.reason}`;
    const text = refusal.error ? [errorText(refusal.error), " ", requestReference(refusal.error)] : t(hasText(key) ? key : "decline.other");
    const isOwn = refusal.reason === "cancelled_by_buyer";
    setChildren(place, h("div", { class: isOwn ? "notice" : "notice bad" }, h("p", {}, text), h("p", {}, t("checkout.tryAgain"))));
  }

  #countDown(clock) {
    const until = this.intent.hold_expires_at;
    if (!until) return;
    countDown(until, this.#drawing.signal, (left) => {
      setChildren(clock, countdown(left));
      clock.parentElement?.classList.toggle("warn", left <= SOON_S);
    }, () => this.#look().then(() => this.#show(null)).catch(ignoreAbort));
  }

  #otherWay() {
    const button = h("button", { type: "button", class: "button plain" }, t("pay.otherWay"));
    button.addEventListener("click", async () => {
      try {
        await cancelPayment(this.intent.intent_id, this.scheduleId);
        this.go(this.#back(), { replace: true });
      } catch (error) {
        if (error.code !== "payment_in_progress") throw error;
        await this.#look();
        await this.#show(null);
      }
    });
    return button;
  }

  #back() {
    const { reservation_id: id } = this.intent;
    return id ? `/reservations/${id}` : "/me";
  }

  // The seats may be those of another reservation, where the first hold had lapsed.
  async #leave() {
    const { payment_id: id } = this.intent;
    const paid = id ? await get(`/v1/payments/${id}`, { signal: this.signal }).catch(ignoreProblem) : null;
    this.go(paid ? `/reservations/${paid.reservation_id}` : this.#back(), { replace: true });
  }

  // Nothing was bought.
  #end() {
    const { status, reason } = this.intent;
    const name = ["RETURNING", "RETURNED", "CANCELLED"].includes(status) ? status : "EXPIRED";
    const why = reason && hasText(`decline.${reason}`) && name === "EXPIRED";
    this.#redraw(h("h2", {}, t(`checkout.over.${name}.title`)),
      why && h("p", {}, t(`decline.${reason}`)),
      h("p", {}, t(`checkout.over.${name}`)),
      h("div", { class: "actions" }, h("a", { class: "button primary", href: this.#back() }, this.intent.reservation_id ? t("checkout.toReservation") : t("nav.me")),
        name.startsWith("RETURN") && h("a", { class: "button", href: "/me" }, t("nav.me"))));
  }
}

// The browser kept the page while the buyer was in the provider's window.
addEventListener("pageshow", (event) => {
  if (event.persisted) location.reload();
});
