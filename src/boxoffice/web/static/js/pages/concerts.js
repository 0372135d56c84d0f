// The list of concerts: a featured one, the ranking, and a grid with search, filters and order.

import { all, get, ignoreProblem } from "../lib/api.js";
import { cityName } from "../lib/cities.js";
import { synchronize } from "../lib/clock.js";
import { citiesOf, filtered, filtersOf, isFiltered, monthName, monthsOf, pathOf, SORTS } from "../lib/concert-filters.js";
import { h, icon, setChildren } from "../lib/dom.js";
import { list as inWords, t } from "../lib/i18n.js";
import { sessionStore } from "../lib/storage.js";
import { concertCard, datesText, featuredConcert, rankCard } from "../components/concert-card.js";
import { ICONS } from "../components/icons.js";
import { stateOf } from "../components/sale-state.js";

// Cards of the first screen of a desktop; their posters are loaded at once.
const FIRST_MAX = 4;
const RANKED_MIN = 3;
const RANKED_MAX = 10;

/** The list of concerts. */
export async function concerts({ signal, query }) {
  const [items, ranking] = await Promise.all([
    all("/v1/concerts", { signal, anonymous: true }),
    get("/v1/concerts/ranking", { signal, anonymous: true, tries: 1 }).catch(ignoreProblem),
    synchronize(),
  ]);
  const view = new ConcertList(items.map((item) => ({ ...item, dates: datesText(item) })), ranking?.items ?? [], startOf(query));
  return { title: t("concerts.title"), view: view.view, wide: true };
}

function startOf(query) {
  const filters = filtersOf(query);
  return { ...filters, q: filters.q || (sessionStore.get("search") ?? "") };
}

class ConcertList {
  #items;
  #ranked;
  #ranks;
  #filters;
  #results = h("ul", { class: "concerts" });
  #count = h("p", { class: "muted", role: "status" });
  #top = h("div", { class: "list-top" });
  #empty = h("div", {});
  #search;
  #bar = h("div", { class: "filter-bar" });

  constructor(items, ranking, filters) {
    const byId = new Map(items.map((item) => [item.concert_id, item]));
    this.#items = items;
    this.#ranked = ranking.map(({ concert_id: id }) => byId.get(id)).filter(Boolean);
    this.#ranks = new Map(ranking.map(({ concert_id: id, rank }) => [id, rank]));
    this.#filters = filters;
    this.#search = h("input", {
      type: "search", class: "input", "aria-label": t("concerts.search"), placeholder: t("concerts.search"),
      value: filters.q, oninput: (event) => this.#choose("q", event.target.value),
    });
    this.view = [
      h("div", { class: "list-head" },
        h("div", { class: "hero" }, h("h1", {}, t("concerts.title")), h("p", {}, t("concerts.lead"))),
        h("div", { class: "search", role: "search" }, icon(ICONS.search), this.#search)),
      this.#top, this.#bar, this.#results, this.#empty,
    ];
    this.#drawBar();
    this.#show();
  }

  #choose(name, value) {
    this.#filters = { ...this.#filters, [name]: value };
    sessionStore.set("search", this.#filters.q || null);
    history.replaceState(history.state, "", pathOf(this.#filters));
    this.#show();
  }

  #show() {
    const found = filtered(this.#items, this.#filters, this.#ranks);
    const isAll = !isFiltered(this.#filters);
    setChildren(this.#results, found.map((item, at) => concertCard(item, { isFirst: !isAll && at < FIRST_MAX })));
    setChildren(this.#count, this.#items.length === 0 ? t("concerts.none") : t("concerts.found", { n: found.length }));
    setChildren(this.#top, isAll && this.#items.length > 0 && this.#topParts());
    this.#top.hidden = this.#top.childElementCount === 0;
    setChildren(this.#empty, this.#items.length > 0 && found.length === 0 && this.#nothingFound());
  }

  #topParts() {
    const featured = this.#featured();
    const chart = this.#ranked.slice(0, RANKED_MAX);
    return [
      featured && featuredConcert(featured.item, featured.label),
      chart.length >= RANKED_MIN && h("section", { class: "ranking", "aria-labelledby": "ranking" },
        h("h2", { id: "ranking" }, t("concerts.ranking")),
        h("ol", { class: "ranked-list", tabindex: 0, "aria-labelledby": "ranking" }, chart.map((item, at) => rankCard(item, at + 1)))),
    ];
  }

  // What an operator chose and is not over; else what sells fastest and still has seats, what opens next, the newest.
  #featured() {
    const chosen = this.#items.find((item) => item.is_featured && !["cancelled", "ended"].includes(stateOf(item)));
    if (chosen) return { item: chosen, label: t("concerts.featured.chosen") };
    const isOpen = (item) => ["on_sale", "few_left"].includes(stateOf(item));
    const fast = this.#ranked.find(isOpen);
    if (fast) return { item: fast, label: t("concerts.featured.fast") };
    const soon = this.#items.filter((item) => stateOf(item) === "soon")
      .sort((a, b) => Date.parse(a.sale.opens_at) - Date.parse(b.sale.opens_at))[0];
    if (soon) return { item: soon, label: t("concerts.featured.soon") };
    const fresh = this.#items.find(isOpen);
    return fresh && this.#items.length > 1 ? { item: fresh, label: t("concerts.featured.new") } : null;
  }

  #drawBar() {
    const genres = [...new Set(this.#items.map((item) => item.genre).filter(Boolean))].sort();
    const cities = [...new Set(this.#items.flatMap(citiesOf))].sort();
    const months = [...new Set(this.#items.flatMap(monthsOf))].sort();
    setChildren(this.#bar,
      genres.length > 1 && this.#genres(genres),
      h("div", { class: "filter-row" }, this.#count,
        h("div", { class: "filter-selects" },
          cities.length > 1 && this.#select("city", t("concerts.city"), cities.map((city) => [city, cityName(city)])),
          months.length > 1 && this.#select("month", t("concerts.month"), months.map((month) => [month, monthName(month)])),
          this.#items.length > 1 && this.#select("sort", null, SORTS.map((sort) => [sort, t(`concerts.sort.${sort}`)])))));
  }

  #genres(genres) {
    const chip = (value, text) => h("button", {
      type: "button", class: "genre", "aria-pressed": String(this.#filters.genre === value),
      onclick: () => { this.#choose("genre", value); this.#pressGenre(value); }, dataset: { genre: value },
    }, text);
    return h("div", { class: "genres", role: "group", "aria-label": t("concerts.genre") },
      chip("", t("concerts.allGenres")), genres.map((genre) => chip(genre, t(`genre.${genre}`))));
  }

  #pressGenre(value) {
    for (const one of this.#bar.querySelectorAll("[data-genre]")) one.setAttribute("aria-pressed", String(one.dataset.genre === value));
  }

  #select(name, all, choices) {
    const label = t(`concerts.${name}Label`);
    return h("select", { class: "input", "aria-label": label, onchange: (event) => this.#choose(name, event.target.value) },
      all && h("option", { value: "" }, all),
      choices.map(([value, text]) => h("option", { value, selected: this.#filters[name] === value }, text)));
  }

  #nothingFound() {
    const { q, genre, city, month } = this.#filters;
    const words = [q.trim() && `“${q.trim()}”`, genre && t(`genre.${genre}`), city && cityName(city), month && monthName(month)].filter(Boolean);
    return h("div", { class: "nothing card" },
      h("h2", {}, t("concerts.nothing", { what: inWords(words) })),
      h("p", { class: "muted" }, t("concerts.nothingHint")),
      h("div", { class: "actions" }, h("button", { type: "button", class: "button primary", onclick: () => this.#clear() }, t("concerts.clear"))));
  }

  #clear() {
    this.#filters = { ...filtersOf(new URLSearchParams()), sort: this.#filters.sort };
    this.#search.value = "";
    this.#choose("q", "");
    this.#drawBar();
    this.#search.focus();
  }
}
