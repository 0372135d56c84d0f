// Payments of the organizer's concerts: the list with its filters, and one payment with its refund.

import { get } from "../../lib/api.js";
import { h } from "../../lib/dom.js";
import { dateTime, money, t } from "../../lib/i18n.js";
import { performanceText } from "../../lib/performance-time.js";
import { seatName } from "../../map/labels.js";
import { emailText } from "../../components/email-text.js";
import { methodName, paymentMethods } from "../../components/payment-methods.js";
import { RefundForm } from "../../components/refund-form.js";
import { breadcrumbs, definitionList, fetchSchedule, scheduleHead, timestamp } from "../components.js";
import { mayChange } from "../team/organizations.js";
import { pagedTable } from "../paged-table.js";
import { refundRow, stateChip } from "./components.js";

const PATH = "/v1/admin/payments";
const STATES = ["SUCCEEDED", "PARTLY_REFUNDED", "REFUNDED"];
const BY = ["order_number", "order_id"];

/** The page of all payments. */
export async function payments(context) {
  const view = [
    breadcrumbs(),
    h("div", { class: "console-head" }, h("div", {}, h("h1", {}, t("payments.title")), h("p", { class: "muted" }, t("payments.lead")))),
    await found("/organizer/payments", {}, context),
  ];
  return { title: t("payments.title"), view, wide: true };
}

/** The page of a schedule's payments. */
export async function paymentsOfSchedule(context) {
  const { id, signal, refresh } = context;
  const [schedule, shown] = await Promise.all([
    fetchSchedule(id, signal), found(`/organizer/schedules/${id}/payments`, { schedule_id: id }, context),
  ]);
  return { title: `${t("payments.title")} · ${schedule.concert.title}`, view: [scheduleHead(schedule, "payments", refresh), shown], wide: true };
}

async function found(address, about, { query, signal, go }) {
  const wanted = Object.fromEntries(["method", "status", ...BY].map((name) => [name, query.get(name) ?? ""]).filter(([, value]) => value));
  const names = ["when", "by.order_number", ...(about.schedule_id ? [] : ["what"]), "buyer", "seats", "method", "amount", "state", "look"].map((name) => t(`payments.${name}`));
  const [methods, table] = await Promise.all([
    paymentMethods(signal),
    pagedTable({
      path: PATH, filter: { ...about, ...wanted }, signal, names, cells: (one) => cells(one, about), label: t("payments.title"), none: t("payments.none"),
    }),
  ]);
  return [h("section", { class: "card" }, h("h2", {}, t("payments.find")), search(address, wanted, methods, go)), h("section", { class: "card" }, table)];
}

function cells(one, about) {
  return [
    timestamp(one.created_at, dateTime),
    h("span", { class: "whole number" }, one.order_number ?? "–"),
    ...(about.schedule_id ? [] : [h("a", { href: `/organizer/schedules/${one.schedule_id}/payments` }, one.concert_title, h("span", { class: "small" }, performanceText(one.starts_at, one.time_zone)))]),
    h("div", {}, h("div", {}, one.buyer.name), h("div", { class: "muted small" }, emailText(one.buyer.email))),
    h("div", {}, one.tickets.map((ticket, at) => [at > 0 && ", ", h("span", { class: "whole" }, ticket.seat_id)])),
    methodName(one.method),
    h("span", { class: "number" }, money(one.amount, one.currency)),
    stateChip("payments.state", one.status),
    h("a", { href: `/organizer/payments/${one.payment_id}`, "aria-label": `${t("payments.look")}: ${one.buyer.name}, ${money(one.amount, one.currency)}` }, t("payments.look")),
  ];
}

function search(address, wanted, methods, go) {
  const choice = (name, values, text) => h("select", { id: `find-${name}`, class: "input", name },
    h("option", { value: "" }, t("payments.any")),
    values.map((value) => h("option", { value, selected: wanted[name] === value }, text(value))));
  const input = (name) => h("input", {
    id: `find-${name}`, class: "input", name, value: wanted[name] ?? "", type: "search", maxlength: 64, autocomplete: "off", spellcheck: "false",
  });
  const fields = [
    choice("method", methods.map(({ method }) => method), methodName),
    choice("status", STATES, (state) => t(`payments.state.${state}`)),
    ...BY.map(input),
  ];
  const onsubmit = (event) => {
    event.preventDefault();
    const values = fields.map((field) => [field.name, field.value.trim()]).filter(([, value]) => value);
    go(values.length ? `${address}?${new URLSearchParams(values)}` : address);
  };
  return h("form", { class: "find", role: "search", onsubmit },
    fields.map((field) => h("div", { class: "field" }, h("label", { for: field.id }, t(`payments.by.${field.name}`)), field)),
    h("button", { type: "submit", class: "button primary" }, t("find.search")));
}

/** The page of one payment: tickets, refunds, and for roles that refund the refund of tickets. */
export async function payment({ id, signal, refresh }) {
  const one = await get(`${PATH}/${encodeURIComponent(id)}`, { signal });
  const back = `/organizer/schedules/${one.schedule_id}`;
  const schedule = await get(`/v1/admin/schedules/${one.schedule_id}`, { signal });
  const mayRefund = mayChange(schedule.concert, "orders_write") && one.tickets.some((ticket) => ticket.status === "VALID");
  const view = [
    breadcrumbs([back, one.concert_title], [`${back}/payments`, t("payments.title")]),
    h("div", { class: "console-head" }, h("h1", {}, t("payments.one"), " ", stateChip("payments.state", one.status))),
    h("section", { class: "card" }, definitionList([
      [t("payments.buyer"), [one.buyer.name, h("div", { class: "muted small" }, emailText(one.buyer.email))]],
      [t("payments.amount"), h("strong", { class: "number" }, money(one.amount, one.currency))],
      [t("payments.method"), methodName(one.method)],
      [t("payments.when"), timestamp(one.created_at, dateTime)],
      [t("payments.by.order_id"), one.order_id ? h("code", {}, one.order_id) : t("payments.noOrder")],
      [t("payments.by.order_number"), h("a", { href: `/organizer/reservations/${one.reservation_id}`, class: "number" }, one.order_number ?? one.reservation_id)],
    ])),
    h("section", { class: "card" }, h("h2", {}, t("payments.tickets")),
      h("ul", { class: "rows" }, one.tickets.map((ticket) => h("li", { class: "row-link" },
        h("span", { class: "grow" }, seatName(ticket)), h("span", { class: "muted" }, ticket.grade), stateChip("payments.ticket", ticket.status))))),
    mayRefund && new RefundForm({ paid: one, signal, refresh, isSeller: true }).view,
    one.refunds.length > 0 && h("section", { class: "card" }, h("h2", {}, t("refund.refunds")), h("ul", { class: "rows" }, one.refunds.map(refundRow))),
  ];
  return { title: `${t("payments.one")} · ${one.buyer.name}`, view };
}
