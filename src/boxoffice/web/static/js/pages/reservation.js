// One reservation: paying it before its time is up, giving it back, and once it is paid its tickets.

import { get, ignoreProblem, pause, Problem, remove } from "../lib/api.js";
import { countDown, secondsUntil, synchronize } from "../lib/clock.js";
import { h, icon, setChildren } from "../lib/dom.js";
import { countdown, dateTime, money, t } from "../lib/i18n.js";
import { seatName } from "../map/labels.js";
import { announcer } from "../components/announcer.js";
import { ICONS } from "../components/icons.js";
import { ownHolds } from "../components/own-holds.js";
import { forgetPayment, PaymentFlow } from "../components/payment-flow.js";
import { requestReference, errorText } from "../components/problem.js";
import { statusChip } from "../components/status-chip.js";
import { tickets } from "../components/tickets.js";
import { topUpForm, wallet } from "../components/wallet.js";

const SOON_S = 60;

/** The page of a reservation. */
export async function reservation({ params, signal, refresh }) {
  const one = await get(`/v1/reservations/${params.reservation_id}`, { signal });
  const schedule = await get(`/v1/schedules/${one.schedule_id}`, { signal, anonymous: true }).catch(ifTakenDown);
  ownHolds.see(one);
  await synchronize();
  if (one.status !== "HELD") forgetPayment(one.reservation_id);
  const body = one.status === "HELD" ? await toPay(one, signal, refresh)
    : one.payment_id ? await tickets(one, schedule, signal) : over(one);
  const title = one.payment_id ? t("tickets.title") : t("reservation.title");
  const view = h("div", { class: "reservation" },
    h("div", { class: "reservation-head" },
      h("p", { class: "muted" }, title, " ", statusChip(one.status)),
      h("h1", {}, schedule?.concert.title ?? title),
      schedule ? [
        h("p", { class: "icon-line" }, icon(ICONS.calendar), dateTime(schedule.starts_at)),
        h("p", { class: "icon-line" }, icon(ICONS.place), schedule.concert.venue),
      ] : h("p", { class: "notice warn" }, t("reservation.takenDown"))),
    body);
  return { title: schedule ? `${title} · ${schedule.concert.title}` : title, view };
}

// The operator may take a concert down; its reservations stay visible to their buyers.
function ifTakenDown(error) {
  if (error instanceof Problem && error.status === 404) return null;
  throw error;
}

/** The seats of a reservation with their prices. */
function seatTable(one) {
  return h("section", { class: "card" },
    h("h2", {}, t("reservation.seats")),
    h("ul", { class: "lines" }, one.seats.map((seat) => h("li", {},
      h("span", { class: "grow" }, seatName(seat), " ", h("span", { class: "muted" }, seat.grade)),
      h("span", { class: "number" }, money(seat.price.amount, seat.price.currency))))),
    h("p", { class: "lines-total" }, h("span", { class: "grow" }, t("reservation.total")), h("strong", { class: "number" }, money(one.amount, one.currency))));
}

async function toPay(one, signal, refresh) {
  const clock = h("p", { class: "big-clock clock", role: "timer" });
  const box = h("div", { class: "notice hold-time" }, h("p", {}, icon(ICONS.clock), " ", t("reservation.yours")), clock, h("p", { class: "small muted" }, t("reservation.until", { when: dateTime(one.expires_at) })));
  const panel = h("section", { class: "card pay" });
  const payment = new PaymentFlow({ one, signal, refresh });
  const draw = async () => setChildren(panel, await paymentPanel(one, payment, signal, draw, refresh));
  // On a clock ahead of the server's, the server still holds the seats: for the seconds left, rounded down.
  const isAhead = secondsUntil(one.expires_at) <= 0;
  const end = () => { if (!payment.isBusy) refresh(); };
  countDown(one.expires_at, signal, (left) => {
    setChildren(clock, countdown(left));
    // The hold bar announces it.
    box.classList.toggle("warn", left <= SOON_S);
  }, () => { if (isAhead) pause(1000 * (one.expires_in_seconds + 1), signal).then(end, ignoreProblem); else end(); });
  await draw();
  payment.resume();
  return h("div", { class: "two-columns" }, seatTable(one), h("div", { class: "stack" }, box, panel));
}

async function paymentPanel(one, payment, signal, draw, refresh) {
  const own = await wallet(signal);
  const missing = one.amount - own.balance;
  const releaseButton = h("button", { type: "button", class: "button plain", onclick: () => release(one, refresh) }, t("reservation.release"));
  return [
    h("h2", {}, t("pay.title")),
    h("p", { class: "lines-total" }, h("span", { class: "grow" }, icon(ICONS.wallet), " ", t("wallet.balance")), h("strong", { class: "number" }, money(own.balance, own.currency))),
    missing > 0 && [h("p", { class: "notice warn" }, t("pay.missing", { amount: money(missing, one.currency) })), own.can_top_up && topUpForm({ currency: own.currency, amount: missing, done: draw })],
    payment.view,
    h("div", { class: "actions" },
      missing <= 0 && h("button", { type: "button", class: "button primary", onclick: () => payment.pay() }, t("pay.pay", { amount: money(one.amount, one.currency) })),
      releaseButton),
  ];
}

async function release(one, refresh) {
  try {
    await remove(`/v1/reservations/${one.reservation_id}`, { tries: 3 });
    announcer.notify(t("reservation.released"), "good");
  } catch (error) {
    // Released by a request whose answer was lost, or expired: the refreshed page shows it.
    if (!(error instanceof Problem)) throw error;
    if (error.code !== "not_held") {
      announcer.notify(`${errorText(error)} ${requestReference(error)}`, "bad");
      return;
    }
  }
  refresh();
}

function over(one) {
  return h("div", { class: "two-columns" }, seatTable(one), h("section", { class: "card stack" },
    h("p", {}, t(`reservation.over.${one.status}`)),
    h("div", { class: "actions" },
      h("a", { class: "button primary", href: `/schedules/${one.schedule_id}` }, t("reservation.chooseAgain")),
      h("a", { class: "button", href: "/me" }, t("nav.me")))));
}
