// One reservation: paying it before its time is up, giving it back, and once it is paid its tickets.

import { get, ignoreProblem, pause, Problem } from "../lib/api.js";
import { countDown, secondsUntil, synchronize } from "../lib/clock.js";
import { h, icon, setChildren } from "../lib/dom.js";
import { countdown, dateTime, inLanguage, t } from "../lib/i18n.js";
import { ICONS } from "../components/icons.js";
import { ownHolds } from "../components/own-holds.js";
import { forgetPayment, PaymentFlow } from "../components/payment-flow.js";
import { drawPayment } from "../components/payment-panel.js";
import { performanceMoment, venueName } from "../components/performance-time.js";
import { policyCard, refundPolicy } from "../components/refund-policy.js";
import { scheduleNotice } from "../components/schedule-notice.js";
import { seatTable } from "../components/seat-table.js";
import { termsCard } from "../components/seller.js";
import { statusChip } from "../components/status-chip.js";
import { orderNumber, tickets } from "../components/tickets.js";

const SOON_S = 60;

/** The page of a reservation. */
export async function reservation({ params, signal, refresh, go }) {
  const one = await get(`/v1/reservations/${params.reservation_id}`, { signal });
  const schedule = await get(`/v1/schedules/${one.schedule_id}`, { signal, anonymous: true }).catch(ifTakenDown);
  ownHolds.see(one);
  await synchronize();
  if (one.status !== "HELD") forgetPayment(one.reservation_id);
  const body = one.status === "HELD" ? await toPay(one, schedule, { signal, refresh, go })
    : one.payment_id ? await tickets(one, schedule, { signal, refresh }) : over(one);
  const title = one.payment_id ? t("tickets.title") : t("reservation.title");
  const view = h("div", { class: "reservation" },
    h("div", { class: "reservation-head" },
      h("p", { class: "muted" }, title, " ", statusChip(one.status)),
      h("h1", {}, schedule ? inLanguage(schedule.concert, "title") : title),
      one.order_number && orderNumber(one.order_number),
      schedule ? [
        h("p", { class: "icon-line" }, icon(ICONS.calendar), performanceMoment(schedule.starts_at, schedule.time_zone)),
        h("p", { class: "icon-line" }, icon(ICONS.place), venueName(schedule)),
        scheduleNotice(schedule, one.payment_id ? one.created_at : null),
      ] : h("p", { class: "notice warn" }, t("reservation.takenDown"))),
    body);
  return { title: schedule ? `${title} · ${inLanguage(schedule.concert, "title")}` : title, view, brand: schedule?.brand };
}

// The operator may take a concert down; its reservations stay visible to their buyers.
function ifTakenDown(error) {
  if (error instanceof Problem && error.status === 404) return null;
  throw error;
}

async function toPay(one, schedule, context) {
  const { signal, refresh } = context;
  const clock = h("p", { class: "big-clock clock", role: "timer" });
  const box = h("div", { class: "notice hold-time" }, h("p", {}, icon(ICONS.clock), " ", t("reservation.yours")), clock, h("p", { class: "small muted" }, t("reservation.until", { when: dateTime(one.expires_at) })));
  const panel = h("section", { class: "card pay" });
  const payment = new PaymentFlow({ one, signal, refresh });
  const [policy] = await Promise.all([refundPolicy(one.schedule_id, signal), drawPayment(panel, { ...context, one, payment })]);
  // On a clock ahead of the server's, the server still holds the seats: for the seconds left, rounded down.
  const isAhead = secondsUntil(one.expires_at) <= 0;
  const end = () => { if (!payment.isBusy) refresh(); };
  countDown(one.expires_at, signal, (left) => {
    setChildren(clock, countdown(left));
    // The hold bar announces it.
    box.classList.toggle("warn", left <= SOON_S);
  }, () => { if (isAhead) pause(1000 * (one.expires_in_seconds + 1), signal).then(end, ignoreProblem); else end(); });
  if (!one.payment_intent_id) payment.resume();
  return h("div", { class: "two-columns" },
    h("div", { class: "stack" }, seatTable(one), policy && policyCard(policy)),
    h("div", { class: "stack pay-column" }, box, panel, termsCard(schedule?.brand, signal)));
}

function over(one) {
  return h("div", { class: "two-columns" }, seatTable(one), h("section", { class: "card stack" },
    h("p", {}, t(`reservation.over.${one.status}`)),
    h("div", { class: "actions" },
      h("a", { class: "button primary", href: `/schedules/${one.schedule_id}` }, t("reservation.chooseAgain")),
      h("a", { class: "button", href: "/me" }, t("nav.me")))));
}
