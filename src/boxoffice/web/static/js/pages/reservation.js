// One reservation: paying it before its time is up, giving it back, and once it is paid its tickets.

import { get, Problem, remove } from "../lib/api.js";
import { countDown, synchronize } from "../lib/clock.js";
import { h, icon, put } from "../lib/dom.js";
import { countdown, dateTime, money, t } from "../lib/i18n.js";
import { seatName } from "../map/words.js";
import { announcer } from "../parts/announce.js";
import { ICONS } from "../parts/icons.js";
import { mine } from "../parts/mine.js";
import { forgetPayment, Paying } from "../parts/paying.js";
import { reference, sentence } from "../parts/problem.js";
import { status } from "../parts/status.js";
import { tickets } from "../parts/tickets.js";
import { chargeForm, wallet } from "../parts/wallet.js";

const SOON_S = 60;

/** The page of a reservation. */
export async function reservation({ params, signal, refresh }) {
  const one = await get(`/v1/reservations/${params.reservation_id}`, { signal });
  const schedule = await get(`/v1/schedules/${one.schedule_id}`, { signal, anonymous: true }).catch(ifTakenDown);
  mine.see(one);
  await synchronize();
  if (one.status !== "HELD") forgetPayment(one.reservation_id);
  const body = one.status === "HELD" ? await toPay(one, signal, refresh)
    : one.payment_id ? await tickets(one, schedule, signal) : over(one);
  const title = one.payment_id ? t("tickets.title") : t("reservation.title");
  const view = h("div", { class: "reservation" },
    h("div", { class: "reservation-head" },
      h("p", { class: "quiet" }, title, " ", status(one.status)),
      h("h1", {}, schedule?.concert.title ?? title),
      schedule ? [
        h("p", { class: "fact" }, icon(ICONS.calendar), dateTime(schedule.starts_at)),
        h("p", { class: "fact" }, icon(ICONS.place), schedule.concert.venue),
      ] : h("p", { class: "notice warn" }, t("reservation.takenDown"))),
    body);
  return { title: schedule ? `${title} · ${schedule.concert.title}` : title, view };
}

// Whoever runs the shop may take a concert down; who has a reservation keeps it, and sees it.
function ifTakenDown(error) {
  if (error instanceof Problem && error.status === 404) return null;
  throw error;
}

/** The seats of a reservation with their prices. */
function seatTable(one) {
  return h("section", { class: "card" },
    h("h2", {}, t("reservation.seats")),
    h("ul", { class: "lines" }, one.seats.map((seat) => h("li", {},
      h("span", { class: "grow" }, seatName(seat), " ", h("span", { class: "quiet" }, seat.grade)),
      h("span", { class: "number" }, money(seat.price.amount, seat.price.currency))))),
    h("p", { class: "lines-total" }, h("span", { class: "grow" }, t("reservation.total")), h("strong", { class: "number" }, money(one.amount, one.currency))));
}

async function toPay(one, signal, refresh) {
  const clock = h("p", { class: "big-clock clock", role: "timer" });
  const box = h("div", { class: "notice hold-time" }, h("p", {}, icon(ICONS.clock), " ", t("reservation.yours")), clock, h("p", { class: "small quiet" }, t("reservation.until", { when: dateTime(one.expires_at) })));
  const desk = h("section", { class: "card pay" });
  const paying = new Paying({ one, signal, refresh });
  const draw = async () => put(desk, await payDesk(one, paying, signal, draw, refresh));
  countDown(one.expires_at, signal, (left) => {
    put(clock, countdown(left));
    // The bar, which is on every page, says it aloud.
    box.classList.toggle("warn", left <= SOON_S);
  }, () => { if (!paying.isBusy) refresh(); });
  await draw();
  paying.resume();
  return h("div", { class: "two" }, seatTable(one), h("div", { class: "stack" }, box, desk));
}

async function payDesk(one, paying, signal, draw, refresh) {
  const mine = await wallet(signal);
  const missing = one.amount - mine.balance;
  const release = h("button", { type: "button", class: "button plain", onclick: () => giveBack(one, refresh) }, t("reservation.release"));
  return [
    h("h2", {}, t("pay.title")),
    h("p", { class: "lines-total" }, h("span", { class: "grow" }, icon(ICONS.wallet), " ", t("wallet.balance")), h("strong", { class: "number" }, money(mine.balance, mine.currency))),
    missing > 0 && [h("p", { class: "notice warn" }, t("pay.missing", { amount: money(missing, one.currency) })), mine.can_top_up && chargeForm({ currency: mine.currency, amount: missing, done: draw })],
    paying.view,
    h("div", { class: "actions" },
      missing <= 0 && h("button", { type: "button", class: "button primary", onclick: () => paying.pay() }, t("pay.pay", { amount: money(one.amount, one.currency) })),
      release),
  ];
}

async function giveBack(one, refresh) {
  try {
    await remove(`/v1/reservations/${one.reservation_id}`, { tries: 3 });
    announcer.say(t("reservation.released"), "good");
  } catch (error) {
    // Given back by a request whose answer was lost, or over by itself: the page tells.
    if (!(error instanceof Problem)) throw error;
    if (error.code !== "not_held") {
      announcer.say(`${sentence(error)} ${reference(error)}`, "bad");
      return;
    }
  }
  refresh();
}

function over(one) {
  return h("div", { class: "two" }, seatTable(one), h("section", { class: "card stack" },
    h("p", {}, t(`reservation.over.${one.status}`)),
    h("div", { class: "actions" },
      h("a", { class: "button primary", href: `/schedules/${one.schedule_id}` }, t("reservation.chooseAgain")),
      h("a", { class: "button", href: "/me" }, t("nav.me")))));
}
