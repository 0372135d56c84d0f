// A concert in a list.

import { cityName } from "../lib/cities.js";
import { h, icon } from "../lib/dom.js";
import { inLanguage, t } from "../lib/i18n.js";
import { performanceTime } from "../lib/performance-time.js";
import { ICONS } from "./icons.js";
import { poster, tinted } from "./poster.js";
import { priceFrom, saleBadge, stateOf } from "./sale-state.js";

const CARD_SIZES = "(min-width: 1240px) 226px, (min-width: 720px) 24vw, 46vw";
const CHART_SIZES = "(min-width: 720px) 168px, 132px";

/** A card of the grid. */
export function concertCard(item, { isFirst }) {
  return h("li", {},
    h("a", { class: `concert ${stateOf(item)}`, href: `/concerts/${item.concert_id}` },
      h("div", { class: "poster-box" }, poster(item, { sizes: CARD_SIZES, isFirst, isDecoration: true }), saleBadge(item)),
      h("div", { class: "concert-text" },
        h("h2", {}, inLanguage(item, "title")),
        h("p", { class: "artist" }, inLanguage(item, "artist")),
        h("p", { class: "where-when" }, datesText(item)),
        h("p", { class: "where-when" }, placeText(item)),
        h("p", { class: "price" }, priceFrom(item)))));
}

/** An entry of the ranking: its place and poster. */
export function rankCard(item, rank) {
  return h("li", {},
    h("a", { class: "ranked", href: `/concerts/${item.concert_id}` },
      h("div", { class: "poster-box" }, poster(item, { sizes: CHART_SIZES, isDecoration: true }), h("span", { class: "rank" }, String(rank))),
      h("strong", { class: "ranked-title" }, inLanguage(item, "title"))));
}

/** The concert at the top of the list. */
export function featuredConcert(item, label) {
  return tinted(h("a", { class: "featured", href: `/concerts/${item.concert_id}` },
    poster(item, { sizes: "(min-width: 720px) 270px, 40vw", isFirst: true, isDecoration: true }),
    h("div", { class: "featured-text" },
      h("p", { class: "eyebrow" }, label),
      h("h2", {}, inLanguage(item, "title")),
      h("p", { class: "artist" }, inLanguage(item, "artist")),
      h("p", { class: "icon-line" }, icon(ICONS.calendar), datesText(item)),
      h("p", { class: "icon-line" }, icon(ICONS.place), placeText(item)),
      h("div", { class: "featured-foot" }, saleBadge(item), h("span", { class: "price" }, priceFrom(item)),
        h("span", { class: "button primary", "aria-hidden": "true" }, t("concerts.details"))))), item.poster);
}

/** Returns the dates of a concert in words. */
export function datesText({ first_starts_at: first, last_starts_at: last, time_zone: zone }) {
  if (!first) return t("concerts.noDate");
  if (first === last) return performanceTime(first, zone).venue;
  const [from, to] = [first, last].map((at) => performanceTime(at, zone, "date").venue);
  return from === to ? from : `${from} – ${to}`;
}

function placeText(item) {
  const venues = (item.venues ?? []).map((venue) => inLanguage(venue, "name"));
  return [...(item.cities ?? []).map(cityName), ...(venues.length ? new Set(venues) : [item.venue])].filter(Boolean).join(" · ");
}
