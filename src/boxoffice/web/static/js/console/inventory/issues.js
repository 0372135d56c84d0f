// Guests with complimentary tickets, and the box office: choose seats, issue, show or print, make void.

import { get, newKey, post } from "../../lib/api.js";
import { h, icon, setChildren } from "../../lib/dom.js";
import { dateTime, money, t } from "../../lib/i18n.js";
import { announcer } from "../../components/announcer.js";
import { ask } from "../../components/dialog.js";
import { Field, form } from "../../components/forms.js";
import { ICONS } from "../../components/icons.js";
import { errorText } from "../../components/problem.js";
import { ticketCard } from "../../components/tickets.js";
import { seatName } from "../../map/labels.js";
import { AVAILABLE, BLOCKED } from "../../map/seats.js";
import { confirmAction, postAction } from "../actions.js";
import { breadcrumbs, fetchSchedule, pagedList, scheduleHead, timestamp } from "../components.js";
import { mayChange } from "../team/organizations.js";
import { choice, seatSelector } from "./selector.js";

const LIMIT = 50;
const REASONS = ["press", "artist", "sponsor", "staff", "prize", "other"];
const METHODS = ["cash", "card_terminal"];

/** The page of a schedule's guests. */
export async function guests(context) {
  return issuePage(context, "guests", "COMPLIMENTARY", guestForm);
}

/** The page of the box office, for a tablet at the counter. */
export async function boxOffice(context) {
  return issuePage(context, "boxOffice", "BOX_OFFICE", saleForm);
}

async function issuePage({ id, signal, refresh, go }, part, kind, makeForm) {
  const schedule = await fetchSchedule(id, signal);
  const mayIssue = mayChange(schedule.concert, "orders_write") && schedule.status !== "DRAFT" && schedule.status !== "CANCELLED";
  const panel = h("div", { class: "stack" });
  let show = () => {};
  const selector = mayIssue && await seatSelector(schedule, {
    signal, refresh, may: (seats, at) => seats.status[at] === AVAILABLE || seats.status[at] === BLOCKED, changed: () => show(),
  });
  const list = await issueList(schedule, kind, signal);
  if (selector) {
    const made = (issue) => go(`/organizer/issues/${issue.issue_id}`);
    const card = makeForm(schedule, selector, made);
    show = card.show;
    setChildren(panel, card.view);
  }
  const view = [
    scheduleHead(schedule, part, refresh),
    h("p", { class: "muted" }, t(`${part}.lead`)),
    selector ? h("div", { class: "inventory" }, selector.view, panel) : h("p", { class: "notice" }, t("issues.notYet")),
    h("section", { class: "card" }, h("h2", {}, t(`${part}.list`)), list),
  ];
  return { title: `${t(`tabs.${part}`)} · ${schedule.concert.title}`, view, wide: true, close: () => selector && selector.close() };
}

function guestForm(schedule, selector, made) {
  const key = { current: newKey() };
  const reason = choice(t("inventory.reason"), REASONS.map((name) => [name, t(`guests.reason.${name}`)]));
  const language = choice(t("guests.language"), [["ko", "한국어"], ["en", "English"]]);
  const fields = {
    name: new Field({ label: t("guests.name"), required: true, maxlength: 200, autocomplete: "off" }),
    list_name: new Field({ label: t("guests.listName"), hint: t("guests.listHint"), maxlength: 40 }),
    email: new Field({ label: t("guests.email"), hint: t("guests.emailHint"), type: "email", maxlength: 254, autocomplete: "off" }),
  };
  const submit = async ({ name, list_name: listName, email }) => {
    if (!selector.count) { announcer.notify(t("inventory.none"), "bad"); return false; }
    const body = { seat_ids: selector.ids, name, reason: reason.value, ...(listName.trim() && { list_name: listName.trim() }), ...(email && { email, language: language.value }) };
    made(await issue(`/v1/admin/schedules/${schedule.schedule_id}/complimentary-tickets`, body, key));
    return true;
  };
  const chosen = h("p", { role: "status" });
  const view = h("section", { class: "card stack" }, h("h2", {}, t("guests.head")), chosen,
    form({ fields, label: t("guests.issue"), submit, children: [reason.view, language.view] }));
  const show = () => setChildren(chosen, t("inventory.selected", { n: selector.count }));
  show();
  return { view, show };
}

function saleForm(schedule, selector, made) {
  const key = { current: newKey() };
  const total = h("p", { class: "box-office-total number", role: "status" });
  const reference = new Field({ label: t("boxOffice.reference"), hint: t("boxOffice.referenceHint"), maxlength: 40, autocomplete: "off" });
  const sell = async (method) => {
    if (!selector.count) { announcer.notify(t("inventory.none"), "bad"); return; }
    const amount = money(selector.amount, schedule.currency);
    const yes = await ask(t(`boxOffice.${method}`), (close) => [
      h("p", {}, t("boxOffice.confirm", { amount, n: selector.count })),
      h("div", { class: "actions" },
        h("button", { type: "button", class: "button primary", onclick: () => close(true) }, t("boxOffice.paid", { amount })),
        h("button", { type: "button", class: "button", onclick: () => close(null) }, t("cancel")))]);
    if (!yes) return;
    const text = reference.value.trim();
    const body = { seat_ids: selector.ids, method, expected_amount: selector.amount, ...(text && { reference: text }) };
    try {
      made(await issue(`/v1/admin/schedules/${schedule.schedule_id}/box-office-sales`, body, key));
    } catch (error) {
      announcer.notify(errorText(error), "bad");
    }
  };
  const view = h("section", { class: "card stack box-office", "data-form": "sale" }, h("h2", {}, t("boxOffice.head")), total, reference.view,
    h("div", { class: "box-office-methods" }, METHODS.map((method) => h("button", { type: "button", class: "button primary", onclick: () => sell(method) }, t(`boxOffice.${method}`)))));
  const show = () => setChildren(total, t("inventory.selected", { n: selector.count }), h("br"), h("strong", {}, money(selector.amount, schedule.currency)));
  show();
  return { view, show };
}

// The key stays while the answer is unknown, so that a second press sells nothing twice.
async function issue(path, body, key) {
  try {
    const made = await post(path, body, { key: key.current });
    key.current = newKey();
    return made;
  } catch (error) {
    if (!error.isTemporary) key.current = newKey();
    throw error;
  }
}

async function issueList(schedule, kind, signal) {
  const path = `/v1/admin/schedules/${schedule.schedule_id}/issues`;
  const load = (cursor) => get(`${path}?${new URLSearchParams({ kind, limit: LIMIT, ...(cursor && { cursor }) })}`, { signal });
  const first = await load("");
  if (!first.items.length) return h("p", { class: "muted" }, t("issues.none"));
  const list = h("ul", { class: "rows" });
  const more = pagedList(first, load, (items) => items.map(row), list);
  return [list, more];
}

function row(one) {
  const seats = one.tickets.map(seatName).join(", ");
  const what = one.kind === "COMPLIMENTARY"
    ? [one.list_name, t(`guests.reason.${one.reason}`)].filter(Boolean).join(" · ")
    : t(`boxOffice.${one.method}`);
  return h("li", {}, h("a", { class: "row-link", href: `/organizer/issues/${one.issue_id}` },
    h("span", { class: "grow" }, h("strong", {}, one.name || seats), h("span", { class: "small" }, one.name ? seats : ""),
      h("span", { class: "muted small" }, timestamp(one.issued_at, dateTime), ` · ${what}`, one.order_number && [" · ", h("span", { class: "whole" }, t("order.numbered", { number: one.order_number }))]),
      one.status === "VOID" && h("span", { class: "small broken" }, t("issues.void"))),
    h("span", { class: "number" }, one.kind === "BOX_OFFICE" ? money(one.amount, one.currency) : t("issues.free"))));
}

/** The tickets of one issue, to show, to print, or to make void. */
export async function issued({ id, signal, refresh }) {
  const one = await get(`/v1/admin/issues/${encodeURIComponent(id)}`, { signal });
  const schedule = await fetchSchedule(one.schedule_id, signal);
  const isGuest = one.kind === "COMPLIMENTARY";
  const back = `/organizer/schedules/${one.schedule_id}/${isGuest ? "guests" : "box-office"}`;
  const codes = new Map(one.codes.map((code) => [code.ticket_id, code]));
  const isLive = one.status === "VALID";
  const makeVoid = () => confirmAction({
    title: t("issues.voidTitle"), danger: true, label: t("issues.makeVoid"),
    detail: isGuest ? t("issues.voidGuest") : t("issues.voidSale", { amount: money(one.amount, one.currency), method: t(`boxOffice.${one.method}`) }),
    act: () => postAction(`/v1/admin/issues/${one.issue_id}/void`), said: t("issues.voided"), done: refresh,
  });
  const view = [
    h("div", { class: "no-print" }, breadcrumbs([`/organizer/concerts/${schedule.concert.concert_id}`, schedule.concert.title], [back, t(isGuest ? "tabs.guests" : "tabs.boxOffice")])),
    h("h1", {}, one.name || t("issues.sold", { amount: money(one.amount, one.currency) })),
    h("p", { class: "muted no-print" }, timestamp(one.issued_at, dateTime), ` · ${isGuest ? t(`guests.reason.${one.reason}`) : t(`boxOffice.${one.method}`)}`,
      one.email && ` · ${t("issues.mailed", { email: one.email })}`),
    !isLive && h("p", { class: "notice warn" }, t("issues.isVoid", { when: dateTime(one.voided_at) })),
    isLive && h("ul", { class: "tickets" }, one.tickets.map((ticket) => h("li", {}, ticketCard(ticket, { code: codes.get(ticket.ticket_id), schedule, number: one.order_number })))),
    h("div", { class: "actions no-print" },
      isLive && h("button", { type: "button", class: "button primary", onclick: () => print() }, icon(ICONS.print), t("tickets.print")),
      h("a", { class: "button", href: back }, t(isGuest ? "issues.nextGuest" : "issues.nextSale")),
      isLive && mayChange(schedule.concert, "orders_write") && h("button", { type: "button", class: "button danger", onclick: makeVoid }, t("issues.makeVoid"))),
  ];
  return { title: one.name || t("issues.tickets"), view };
}
