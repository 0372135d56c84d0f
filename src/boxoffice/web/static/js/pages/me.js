// My page: money, reservations, tickets.

import { all, get, ignoreProblem } from "../lib/api.js";
import { h, icon } from "../lib/dom.js";
import { dateTime, inLanguage, money, t } from "../lib/i18n.js";
import { redraw } from "../lib/redraw.js";
import { performanceText } from "../lib/performance-time.js";
import { session } from "../lib/session.js";
import { seatName } from "../map/labels.js";
import { announcer } from "../components/announcer.js";
import { ICONS } from "../components/icons.js";
import { logOut } from "../components/logout.js";
import { lateRefunds, paymentItem } from "../components/payment-list.js";
import { paymentMethods } from "../components/payment-methods.js";
import { errorText } from "../components/problem.js";
import { refundList } from "../components/refund-list.js";
import { priceTypeName } from "../components/seat-table.js";
import { statusChip } from "../components/status-chip.js";
import { topUpForm, wallet } from "../components/wallet.js";
import { entryOfList } from "../waiting-list/my-entries.js";

const PAGE = 20;

/** My page. */
export async function me({ signal, go, query }) {
  if (!session.isLoggedIn && !(await session.renew("unauthenticated"))) {
    return { title: t("nav.me"), view: h("section", { class: "card narrow" }, h("h1", {}, t("nav.me")), h("p", {}, t("account.needed")), h("a", { class: "button primary", href: "/login?to=/me" }, t("account.logIn"))) };
  }
  const money_ = await walletCard(signal, go);
  const [late, payments, reservations, entries, waiting] = await Promise.all([
    lateRefunds(signal), paged("/v1/me/payments", signal, paymentItem),
    query.has("schedule") ? ofSchedule(query.get("schedule"), signal) : paged("/v1/me/reservations", signal, reservationItem), paged("/v1/me/wallet/entries", signal, entryItem),
    waitingLists(signal),
  ]);
  const view = [
    h("div", { class: "me-head" }, h("h1", {}, t("nav.me")), h("p", { class: "muted" }, session.email),
      !session.canUseConsole && h("a", { class: "button", href: "/organizer" }, t("nav.sell")),
      h("a", { class: "button", href: "/account" }, t("account.settings")),
      h("button", { type: "button", class: "button", onclick: () => { logOut(); go("/"); } }, t("account.logOut"))),
    h("div", { class: "two-columns" },
      h("div", { class: "stack" },
        h("section", { class: "card" }, h("h2", {}, t("me.reservations")), reservations),
        waiting,
        h("section", { class: "card" }, h("h2", {}, t("me.payments")), payments, late.length > 0 && [h("h3", {}, t("me.late")), refundList(late)])),
      h("div", { class: "stack" }, money_, h("section", { class: "card" }, h("h2", {}, t("wallet.entries")), entries))),
  ];
  return { title: t("nav.me"), view };
}

async function walletCard(signal, go) {
  const card = h("section", { class: "card stack" });
  const draw = async () => {
    const [own, methods] = await Promise.all([wallet(signal), paymentMethods(signal)]);
    redraw(card, h("h2", {}, icon(ICONS.wallet), " ", t("wallet.balance")), h("p", { class: "balance number" }, money(own.balance, own.currency)),
      topUpForm({ own, amount: 0, methods, signal, go, done: draw }));
  };
  await draw();
  return card;
}

// A list that grows page by page. `item` returns an element, or a promise of one.
async function paged(path, signal, item) {
  const list = h("ul", { class: "rows" });
  const more = h("button", { type: "button", class: "button", hidden: true }, t("me.more"));
  let cursor = "";
  const load = async () => {
    const page = await get(`${path}?${new URLSearchParams({ limit: PAGE, ...(cursor && { cursor }) })}`, { signal });
    list.append(...await Promise.all(page.items.map((one) => item(one, signal))));
    cursor = page.next_cursor;
    more.hidden = !cursor;
  };
  more.addEventListener("click", () => load().catch((error) => {
    if (!signal.aborted) announcer.notify(errorText(error), "bad");
  }));
  await load();
  if (!list.hasChildNodes()) list.append(h("li", { class: "muted" }, t("me.none")));
  return [list, more];
}

// The entries of waiting lists, for a person who has any.
async function waitingLists(signal) {
  const path = "/v1/me/waiting-list-entries";
  const { items } = await get(`${path}?limit=1`, { signal });
  if (!items.length) return null;
  const list = await paged(path, signal, async (one) => entryOfList(one, await scheduleOf(one.schedule_id, signal)));
  return h("section", { class: "card" }, h("h2", {}, t("waitingList.mine")), list);
}

// The reservations that count towards the ticket limit of one schedule.
async function ofSchedule(id, signal) {
  const lists = await Promise.all(["HELD", "CONFIRMED"].map((status) => all(`/v1/me/reservations?${new URLSearchParams({ status, schedule_id: id })}`, { signal })));
  const items = await Promise.all(lists.flat().map((one) => reservationItem(one, signal)));
  return [
    h("p", { class: "muted" }, t("limit.list"), " ", h("a", { href: "/me" }, t("limit.all"))),
    h("ul", { class: "rows" }, items.length ? items : h("li", { class: "muted" }, t("me.none"))),
  ];
}

// A line may break between two seats, not within one.
function seatNames(one) {
  return one.seats.map((seat, at) => [at > 0 && " · ", h("span", { class: "whole" }, seatName(seat)),
    seat.price_type && [" ", priceTypeName(one.schedule_id, seat.price_type)]]);
}

const schedules = new Map();

// Several reservations often share a schedule.
function scheduleOf(id, signal) {
  if (!schedules.has(id)) {
    schedules.set(id, get(`/v1/schedules/${id}`, { signal, anonymous: true }).catch((error) => { schedules.delete(id); return ignoreProblem(error); }));
  }
  return schedules.get(id);
}

async function reservationItem(one, signal) {
  const schedule = await scheduleOf(one.schedule_id, signal);
  return h("li", {},
    h("a", { class: "row-link", href: `/reservations/${one.reservation_id}` },
      h("span", { class: "grow" },
        h("strong", {}, schedule ? inLanguage(schedule.concert, "title") : t("reservation.title")),
        h("span", { class: "muted small" }, schedule ? performanceText(schedule.starts_at, schedule.time_zone) : ""),
        h("span", { class: "small" }, seatNames(one)),
        one.order_number && h("span", { class: "muted small" }, t("order.numbered", { number: one.order_number }))),
      h("span", { class: "row-end" }, statusChip(one.status), h("span", { class: "number" }, money(one.amount, one.currency)))));
}

function entryItem(one) {
  const sign = one.amount > 0 ? "+" : "";
  return h("li", { class: "row-link" },
    h("span", { class: "grow" }, t(`wallet.kind.${one.kind}`), h("span", { class: "muted small" }, dateTime(one.created_at))),
    h("span", { class: "number" }, `${sign}${money(one.amount, one.currency)}`));
}
