// The facts of a concert: the head of its page, and the sections below its dates.

import { cityName } from "../lib/cities.js";
import { h, icon, setChildren } from "../lib/dom.js";
import { currentLanguage, inLanguage, list, moneyRange, number, t } from "../lib/i18n.js";
import { performanceText } from "../lib/performance-time.js";
import { announcer } from "./announcer.js";
import { ICONS } from "./icons.js";
import { poster, tinted } from "./poster.js";
import { policyTable, refundPolicy } from "./refund-policy.js";
import { richText } from "./rich-text.js";
import { sellerMark, termsPath } from "./seller.js";

/** The head: poster, title, facts, and the way to the dates. */
export function concertHead(concert, schedules) {
  const { poster: picture } = concert;
  return tinted(h("div", { class: "concert-head" },
    poster(concert, { sizes: "(min-width: 720px) 320px, 60vw", isFirst: true }),
    h("div", { class: "concert-title" },
      concert.genre && h("p", { class: "eyebrow" }, t(`genre.${concert.genre}`)),
      h("h1", {}, inLanguage(concert, "title")),
      h("p", { class: "artist" }, inLanguage(concert, "artist")),
      concert.brand && h("p", {}, sellerMark(concert.brand)),
      facts(concert, schedules),
      h("div", { class: "actions" },
        schedules.length > 0 && h("a", { class: "button primary", href: "#dates" }, t("concert.toDates")),
        shareButton(concert)))), picture);
}

function facts(concert, schedules) {
  const first = schedules[0];
  const rows = [
    ["calendar", "concert.when", period(schedules)],
    ["place", "concert.where", venues(concert, schedules)],
    ["clock", "concert.length", runningTime(concert)],
    ["door", "concert.doorsLabel", first?.doors_at && performanceText(first.doors_at, first.time_zone, "time")],
    ["person", "concert.ages", age(concert)],
    ["ticket", "concert.price", moneyRange(...priceRange(schedules))],
  ];
  return h("dl", { class: "facts", "aria-label": t("concert.facts") },
    rows.filter(([, , text]) => text).map(([name, label, text]) => h("div", {}, icon(ICONS[name]), h("dt", {}, t(label)), h("dd", {}, text))));
}

function period(schedules) {
  if (!schedules.length) return "";
  const [first, last] = [schedules[0], schedules.at(-1)];
  const [from, to] = [first, last].map((one) => performanceText(one.starts_at, one.time_zone, "date"));
  return schedules.length === 1 ? performanceText(first.starts_at, first.time_zone) : from === to ? from : `${from} – ${to}`;
}

function venues(concert, schedules) {
  const names = schedules.map(({ venue }) => (venue ? [inLanguage(venue, "name"), cityName(venue.city)].filter(Boolean).join(", ") : "")).filter(Boolean);
  return names.length ? list([...new Set(names)]) : concert.venue;
}

function runningTime({ running_time_min: running, intermission_min: pause }) {
  if (!running) return "";
  const whole = t("concert.running", { n: running });
  return pause ? t("concert.intermission", { running: whole, break: t("concert.running", { n: pause }) }) : whole;
}

function age({ age_rating: rating }) {
  if (!rating) return "";
  return rating === "all" ? t("concert.age.all") : t("concert.age", { age: number(Number(rating)) });
}

function priceRange(schedules) {
  const prices = schedules.flatMap(({ price_min: low, price_max: high }) => [low, high]).filter(Boolean);
  if (!prices.length) return [null, null];
  const by = (a, b) => a.amount - b.amount;
  return [[...prices].sort(by)[0], [...prices].sort(by).at(-1)];
}

function shareButton(concert) {
  return h("button", { type: "button", class: "button", onclick: () => share(concert) }, icon(ICONS.share), t("concert.share"));
}

async function share(concert) {
  const url = `${location.origin}/concerts/${concert.concert_id}`;
  try {
    if (navigator.share) await navigator.share({ title: inLanguage(concert, "title"), url });
    else {
      await navigator.clipboard.writeText(url);
      announcer.notify(t("concert.shared"));
    }
  } catch (error) {
    // A reader who closes the sheet of the device has not failed.
    if (error.name !== "AbortError") announcer.notify(url);
  }
}

/** The sections of texts, prices, place and refunds; empty ones are left out. */
export function concertSections(concert, schedules, signal) {
  return [
    section("about", t("concert.about"), richText(concert, "description")),
    section("prices", t("concert.prices"), priceTable(concert)),
    section("notices", t("concert.notices"), richText(concert, "notices")),
    section("faq", t("concert.faq"), richText(concert, "faq")),
    place(schedules),
    refunds(concert, schedules, signal),
    organizer(concert),
  ].filter(Boolean);
}

function section(id, title, ...content) {
  const shown = content.flat().filter(Boolean);
  return shown.length ? h("section", { class: "concert-section", "aria-labelledby": id }, h("h2", { id }, title), shown) : null;
}

function priceTable({ prices = [] }) {
  if (!prices.length) return null;
  return h("table", { class: "policy prices" },
    h("thead", {}, h("tr", {}, h("th", { scope: "col" }, t("concert.grade")), h("th", { scope: "col" }, t("concert.price")))),
    h("tbody", {}, prices.map(({ grade, price_min: low, price_max: high }) => h("tr", {}, h("td", {}, grade), h("td", { class: "number" }, moneyRange(low, high))))));
}

function place(schedules) {
  const venue = schedules.map((one) => one.venue).find(Boolean);
  if (!venue) return null;
  const directions = inLanguage(venue, "directions");
  return section("place", t("concert.place"),
    h("p", {}, h("strong", {}, inLanguage(venue, "name"))),
    h("p", {}, addressOf(venue)),
    directions && h("p", { class: "description" }, directions),
    h("p", {}, h("a", { href: mapLink(venue), target: "_blank", rel: "noopener noreferrer" }, t("concert.map"))));
}

// An address in Korean begins with the city.
function addressOf(venue) {
  const address = inLanguage(venue, "address");
  const city = cityName(venue.city);
  return address.includes(city) ? address : [address, city].filter(Boolean).join(", ");
}

// Koreans use maps that know Korea better.
function mapLink(venue) {
  const { latitude, longitude } = venue;
  const words = encodeURIComponent(`${inLanguage(venue, "name")} ${inLanguage(venue, "address") ?? ""}`.trim());
  const isKnown = latitude !== null && longitude !== null;
  if (currentLanguage() === "ko" && venue.country === "KR") {
    const name = encodeURIComponent(inLanguage(venue, "name").replaceAll(",", " "));
    return isKnown ? `https://map.kakao.com/link/map/${name},${latitude},${longitude}` : `https://map.kakao.com/link/search/${words}`;
  }
  const where = isKnown ? `${latitude},${longitude}` : words;
  return `https://www.google.com/maps/search/?api=1&query=${where}`;
}

function refunds(concert, schedules, signal) {
  const first = schedules.find((one) => one.status !== "CANCELLED");
  const notes = richText(concert, "refund_notes");
  if (!first) return section("refunds", t("concert.refunds"), notes);
  const table = h("div", { class: "stack policy-room" });
  refundPolicy(first.schedule_id, signal).then((policy) => policy && setChildren(table, policyTable(policy)));
  return section("refunds", t("concert.refunds"), table, notes);
}

function organizer({ brand, organizer_contact: contact }) {
  const path = termsPath(brand);
  return section("organizer", t("concert.organizer"), brand && h("p", {}, sellerMark(brand)),
    contact && h("p", { class: "muted" }, `${t("concert.contact")}: ${contact}`),
    path && h("p", {}, h("a", { href: path }, t("terms.title"))));
}
