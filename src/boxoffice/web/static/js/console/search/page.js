// One search over all orders: by name, e-mail, seat or order number. Each search is logged, so it is made on Enter
// and not while typing.

import { get } from "../../lib/api.js";
import { h, icon, setChildren } from "../../lib/dom.js";
import { money, t } from "../../lib/i18n.js";
import { performanceText } from "../../lib/performance-time.js";
import { session } from "../../lib/session.js";
import { ICONS } from "../../components/icons.js";
import { announcer } from "../../components/announcer.js";
import { emailText } from "../../components/email-text.js";
import { errorText } from "../../components/problem.js";
import { breadcrumbs, chip } from "../components.js";
import { may, ofOrganization } from "../team/organizations.js";

const PATH = "/organizer/search";
const LIMIT = 20;

/** The page of the search; the text is in the address, so that a result's Back leads to the results. */
export async function search({ query, signal }) {
  const outcome = h("div", { class: "stack" });
  const field = new SearchField(async (text) => {
    history.replaceState(null, "", `${PATH}?${new URLSearchParams({ q: text })}`);
    await show(outcome, text, signal);
  });
  outcome.addEventListener("keydown", (event) => move(event, outcome, field.input));
  field.input.addEventListener("keydown", (event) => move(event, outcome, field.input));
  const text = query.get("q") ?? "";
  if (text.trim()) {
    field.input.value = text;
    await show(outcome, text.trim(), signal);
  }
  const view = [
    breadcrumbs(),
    h("h1", {}, t("search.title")),
    h("section", { class: "card" }, field.view),
    outcome,
  ];
  // After the page is there, which moves the focus to its heading.
  setTimeout(() => { if (!signal.aborted) { field.input.focus(); field.input.select(); } });
  return { title: t("search.title"), view };
}

/** The same field on another page of the console; null for who may not read orders. */
export function searchBox(go) {
  if (!may("orders_read") && !session.isOperator) return null;
  return new SearchField((text) => go(`${PATH}?${new URLSearchParams({ q: text })}`)).view;
}

/** Lets the key / lead to the search, or to its field. */
export function listenForSlash(go) {
  document.addEventListener("keydown", (event) => {
    const isTyping = event.target.closest?.("input, textarea, select, dialog, [contenteditable]");
    const isPlain = event.key === "/" && !event.ctrlKey && !event.metaKey && !event.altKey;
    if (!isPlain || isTyping || !location.pathname.startsWith("/organizer")) return;
    event.preventDefault();
    const input = document.querySelector("main .order-search input");
    if (input) input.focus();
    else go(PATH);
  });
}

class SearchField {
  constructor(submit) {
    this.input = h("input", {
      id: "order-search", class: "input", type: "search", maxlength: 100, required: true, autocomplete: "off", spellcheck: "false",
      autocapitalize: "off", enterkeyhint: "search", "aria-describedby": "order-search-hint", "aria-keyshortcuts": "/",
    });
    const onsubmit = (event) => {
      event.preventDefault();
      const text = this.input.value.trim();
      if (text) submit(text);
    };
    this.view = h("form", { class: "order-search", role: "search", onsubmit },
      h("label", { for: "order-search" }, t("search.label")),
      h("div", { class: "order-search-line" }, this.input, h("button", { type: "submit", class: "button primary" }, icon(ICONS.search), t("search.search"))),
      h("p", { class: "hint", id: "order-search-hint" }, t("search.hint")));
  }
}

async function show(outcome, text, signal) {
  outcome.setAttribute("aria-busy", "true");
  try {
    const found = await get(`/v1/admin/orders?${new URLSearchParams({ q: text, limit: LIMIT, ...ofOrganization() })}`, { signal });
    const status = h("p", { class: "muted found" }, said(found, text));
    setChildren(outcome, status, found.items.length > 0 && h("section", { class: "card" }, h("ul", { class: "rows" }, found.items.map(row))));
    announcer.announce(status.textContent);
  } catch (error) {
    if (!signal.aborted) announcer.notify(errorText(error), "bad");
  } finally {
    outcome.removeAttribute("aria-busy");
  }
}

function said({ items, has_more: hasMore, is_similar: isSimilar }, text) {
  const n = items.length;
  if (!n) return t("search.none", { text });
  if (isSimilar) return t("search.similar", { n, text });
  return hasMore ? t("search.more", { n }) : t("search.found", { n });
}

function row(one) {
  return h("li", {}, h("a", { class: "row-link", href: `/organizer/reservations/${one.reservation_id}` },
    h("span", { class: "grow" },
      h("span", {}, h("strong", {}, one.name), " ", h("span", { class: "muted small whole number" }, one.order_number ?? "")),
      h("span", { class: "muted small" }, emailText(one.email)),
      h("span", { class: "small" }, one.concert_title, " · ", performanceText(one.starts_at, one.time_zone)),
      h("span", { class: "small" }, one.seat_ids.map((seat, at) => [at > 0 && " · ", h("span", { class: "whole" }, seat)]))),
    h("span", { class: "row-end" }, chip(one.status), h("span", { class: "number" }, money(one.amount, one.currency)))));
}

// Arrows move between the field and the results, Escape returns to the field.
function move(event, outcome, input) {
  if (event.key === "Escape" && event.target !== input) return input.focus();
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  if (!step) return undefined;
  const stops = [input, ...outcome.querySelectorAll("a.row-link")];
  const to = stops[stops.indexOf(event.target) + step];
  if (!to) return undefined;
  event.preventDefault();
  return to.focus();
}
