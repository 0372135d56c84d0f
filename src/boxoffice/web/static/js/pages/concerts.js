// The list of concerts, with a search.

import { all } from "../lib/api.js";
import { h, icon, setChildren } from "../lib/dom.js";
import { t } from "../lib/i18n.js";
import { performanceTime } from "../lib/performance-time.js";
import { sessionStore } from "../lib/storage.js";
import { ICONS } from "../components/icons.js";
import { poster } from "../components/poster.js";

/** The list of concerts. */
export async function concerts({ signal }) {
  const items = await all("/v1/concerts", { signal, anonymous: true });
  const results = h("ul", { class: "concerts" });
  const count = h("p", { class: "muted", role: "status" });
  const search = searchField((text) => show(text));

  function show(text) {
    const found = items.filter((item) => matches(item, text));
    setChildren(results, found.map(card));
    setChildren(count, items.length === 0 ? t("concerts.none") : t("concerts.found", { n: found.length }));
  }

  show(search.value);
  const view = [
    h("div", { class: "hero" }, h("h1", {}, t("concerts.title")), h("p", {}, t("concerts.lead"))),
    h("div", { class: "search", role: "search" }, icon(ICONS.search), search),
    count, results,
  ];
  return { title: t("concerts.title"), view };
}

function searchField(show) {
  return h("input", {
    type: "search", class: "input", "aria-label": t("concerts.search"), placeholder: t("concerts.search"),
    value: sessionStore.get("search") ?? "",
    oninput: (event) => { sessionStore.set("search", event.target.value); show(event.target.value); },
  });
}

// Keyboards differ in how they compose Hangul and accents, and in the width of letters.
function folded(text) {
  return text.normalize("NFKC").toLowerCase().normalize("NFKC");
}

function matches(item, text) {
  const words = folded(text).split(/\s+/).filter(Boolean);
  const where = folded(`${item.title} ${item.artist} ${item.venue} ${dates(item)}`);
  return words.every((word) => where.includes(word));
}

function card(item) {
  return h("li", {},
    h("a", { class: "concert card", href: `/concerts/${item.concert_id}` },
      poster(item.concert_id, item.title),
      h("div", { class: "concert-text" },
        h("h2", {}, item.title),
        h("p", { class: "artist" }, item.artist),
        h("p", { class: "icon-line" }, icon(ICONS.calendar), dates(item)),
        h("p", { class: "icon-line" }, icon(ICONS.place), item.venue))));
}

function dates({ first_starts_at: first, last_starts_at: last, time_zone: zone }) {
  if (!first) return t("concerts.noDate");
  if (first === last) return performanceTime(first, zone).venue;
  const [from, to] = [first, last].map((at) => performanceTime(at, zone, "date").venue);
  return from === to ? from : `${from} – ${to}`;
}
