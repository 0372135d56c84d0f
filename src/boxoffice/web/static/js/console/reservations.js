// Search for reservations of a schedule: by order number, buyer, seat, or all.

import { get } from "../lib/api.js";
import { h } from "../lib/dom.js";
import { dateTime, money, t } from "../lib/i18n.js";
import { emailText } from "../components/email-text.js";
import { chip, pagedList, fetchSchedule, timestamp, scheduleHead } from "./components.js";

const LIMIT = 20;
const BY = ["order_number", "email", "seat_id"];
const LABELS = { order_number: "order.number", email: "find.email", seat_id: "find.seat" };

/** The search page; the query is in the address, so it can be bookmarked. */
export async function reservations({ id, query, signal, go, refresh }) {
  const path = `/v1/admin/schedules/${encodeURIComponent(id)}/reservations`;
  const filter = Object.fromEntries(BY.map((name) => [name, query.get(name) ?? ""]).filter(([, value]) => value));
  const load = (cursor) => get(`${path}?${new URLSearchParams({ ...filter, limit: LIMIT, ...(cursor && { cursor }) })}`, { signal });
  const [schedule, first] = await Promise.all([fetchSchedule(id, signal), load("")]);
  const list = h("tbody");
  const more = pagedList(first, load, (items) => items.map(row), list);
  const count = first.items.length;
  const view = [
    scheduleHead(schedule, "reservations", refresh),
    h("section", { class: "card" }, h("h2", {}, t("find.title")), search(id, filter, go)),
    h("p", { class: "muted", role: "status" }, first.next_cursor ? t("find.foundMore", { n: count }) : count ? t("find.found", { n: count }) : t("find.none")),
    count > 0 && results(list),
    more,
  ];
  return { title: `${t("tabs.reservations")} · ${schedule.concert.title}`, view, wide: true };
}

function search(id, filter, go) {
  const inputs = BY.map((name) => h("input", {
    id: `find-${name}`, class: "input", name, value: filter[name] ?? "", maxlength: 254, autocomplete: "off", spellcheck: "false",
    type: "search", inputmode: name === "email" ? "email" : null,
  }));
  const onsubmit = (event) => {
    event.preventDefault();
    const found = inputs.map((input) => [input.name, input.value.trim()]).filter(([, value]) => value);
    go(`/organizer/schedules/${id}/reservations${found.length ? `?${new URLSearchParams(found)}` : ""}`);
  };
  return h("form", { class: "find", role: "search", onsubmit },
    inputs.map((input) => h("div", { class: "field" }, h("label", { for: input.id }, t(LABELS[input.name])), input)),
    h("button", { type: "submit", class: "button primary" }, t("find.search")));
}

function results(list) {
  const names = ["find.when", "order.number", "find.person", "find.seats", "find.amount", "find.status", "find.history"];
  return h("div", { class: "table-area", tabindex: "0", role: "region", "aria-label": t("find.title") },
    h("table", { class: "table" }, h("thead", {}, h("tr", {}, names.map((name) => h("th", { scope: "col" }, t(name))))), list));
}

function row(one) {
  return h("tr", {},
    h("td", { "data-name": t("find.when") }, timestamp(one.created_at, dateTime)),
    h("td", { "data-name": t("order.number") }, h("span", { class: "whole number" }, one.order_number ?? "–")),
    h("td", { "data-name": t("find.person") }, h("div", {}, h("div", {}, one.name), h("div", { class: "muted small" }, emailText(one.email)))),
    h("td", { "data-name": t("find.seats") }, one.seat_ids.join(", ")),
    h("td", { "data-name": t("find.amount"), class: "number" }, money(one.amount, one.currency)),
    h("td", { "data-name": t("find.status") }, chip(one.status)),
    h("td", { "data-name": t("find.history") }, h("a", {
      href: `/organizer/reservations/${one.reservation_id}`, "aria-label": `${t("find.history")}: ${one.name}, ${one.seat_ids.join(", ")}`,
    }, t("find.history"))));
}
