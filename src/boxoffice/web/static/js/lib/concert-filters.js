// What a list of concerts shows: search, genre, city, month and order. They are in the address, so that a list
// can be shared and is there again after a step back.

import { cityName } from "./cities.js";
import { moment } from "./i18n.js";

const MEMBERS = ["q", "genre", "city", "month", "sort"];
export const SORTS = ["popular", "date", "new", "price"];

/** Returns the filters in an address; the ones that are missing are empty. */
export function filtersOf(query) {
  return Object.fromEntries(MEMBERS.map((name) => [name, query.get(name) ?? ""]));
}

/** Returns the address of the list with these filters. */
export function pathOf(filters) {
  const query = new URLSearchParams(MEMBERS.filter((name) => filters[name]).map((name) => [name, filters[name]]));
  return String(query) ? `/?${query}` : "/";
}

/** Whether anything but the order is chosen. */
export function isFiltered({ q, genre, city, month }) {
  return Boolean(q.trim() || genre || city || month);
}

/** Returns the concerts that match, in their order; `ranks` are places in the ranking by id. */
export function filtered(items, filters, ranks) {
  const words = folded(filters.q).split(/\s+/).filter(Boolean);
  const found = items.filter((item) => (!filters.genre || item.genre === filters.genre)
    && (!filters.city || citiesOf(item).includes(filters.city))
    && (!filters.month || monthsOf(item).includes(filters.month))
    && words.every((word) => searched(item).includes(word)));
  return sorted(found, filters.sort, ranks);
}

function sorted(items, sort, ranks) {
  const by = {
    date: (item) => (item.first_starts_at ? Date.parse(item.first_starts_at) : Infinity),
    new: (item) => -Date.parse(item.published_at),
    price: (item) => item.sale?.price_from?.amount ?? Infinity,
    popular: (item) => ranks.get(item.concert_id) ?? Infinity,
  }[SORTS.includes(sort) ? sort : "popular"];
  // Equal ones stay as they came: newest first.
  return items.map((item) => [by(item), item]).sort(([a], [b]) => (a === b ? 0 : a - b)).map(([, item]) => item);
}

/** Returns the cities of the performances of a concert. */
export function citiesOf(item) {
  return item.cities ?? [];
}

/** Returns the months from the first to the last performance, as 2026-12, in the venue's time zone. */
export function monthsOf({ first_starts_at: first, last_starts_at: last, time_zone: zone }) {
  if (!first) return [];
  const [from, to] = [first, last].map((at) => monthOf(at, zone));
  const months = [];
  for (let at = from; at <= to && months.length < 24; at += 1) months.push(`${Math.floor(at / 12)}-${String((at % 12) + 1).padStart(2, "0")}`);
  return months;
}

function monthOf(at, zone) {
  const parts = new Intl.DateTimeFormat("en", { year: "numeric", month: "numeric", timeZone: zone }).formatToParts(new Date(at));
  const part = (name) => Number(parts.find(({ type }) => type === name).value);
  return part("year") * 12 + part("month") - 1;
}

/** Returns a month such as 2026-12 in words. */
export function monthName(month) {
  return moment(`${month}-15T12:00:00Z`, { year: "numeric", month: "long", timeZone: "UTC" });
}

// Keyboards differ in how they compose Hangul and accents, and in the width of letters.
function folded(text) {
  return text.normalize("NFKC").toLowerCase().normalize("NFKC");
}

function searched(item) {
  const names = ["title", "title_en", "title_ko", "artist", "artist_en", "artist_ko", "venue"].map((name) => item[name] ?? "");
  const venues = (item.venues ?? []).flatMap(({ name, name_en: english, name_ko: korean }) => [name, english ?? "", korean ?? ""]);
  return folded([...names, ...venues, ...citiesOf(item), ...citiesOf(item).map(cityName), item.dates ?? ""].join(" "));
}
