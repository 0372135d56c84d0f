// A table that grows by pages.

import { get } from "../lib/api.js";
import { h } from "../lib/dom.js";
import { pagedList } from "./components.js";

const LIMIT = 20;

/**
 * Returns the table of a paged list, or the text `none` without any items. `cells(item)` returns an element for each
 * of `names`; `filter` is sent with each request.
 */
export async function pagedTable({ path, filter = {}, signal, names, cells, label, none }) {
  const load = (cursor) => get(`${path}?${new URLSearchParams({ ...filter, limit: LIMIT, ...(cursor && { cursor }) })}`, { signal });
  const first = await load("");
  if (!first.items.length) return h("p", { class: "muted", role: "status" }, none);
  const body = h("tbody");
  const row = (one) => h("tr", {}, cells(one).map((cell, at) => h("td", { "data-name": names[at] }, cell)));
  const more = pagedList(first, load, (items) => items.map(row), body);
  return [
    h("div", { class: "table-area", tabindex: "0", role: "region", "aria-label": label },
      h("table", { class: "table" }, h("thead", {}, h("tr", {}, names.map((name) => h("th", { scope: "col" }, name)))), body)),
    more,
  ];
}

/** Returns links that choose one value of a filter in the address; `choices` are pairs of a value and a name. */
export function filterTabs({ path, query, name, choices, label }) {
  const current = query.get(name) ?? "";
  const to = (value) => {
    const next = new URLSearchParams(query);
    if (value) next.set(name, value);
    else next.delete(name);
    return next.size ? `${path}?${next}` : path;
  };
  return h("nav", { class: "tabs", "aria-label": label }, choices.map(([value, text]) => h("a", {
    href: to(value), "aria-current": value === current ? "page" : null,
  }, text)));
}
