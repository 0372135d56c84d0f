// One concert: its poster and facts, its performances with prices and seats, and all that a buyer asks before.

import { get, ignoreProblem } from "../lib/api.js";
import { countDown, synchronize } from "../lib/clock.js";
import { h, setChildren } from "../lib/dom.js";
import { countdown, inLanguage, moneyRange, t } from "../lib/i18n.js";
import { redraw } from "../lib/redraw.js";
import { performanceText } from "../lib/performance-time.js";
import { hasStarted, saleState } from "../lib/sale.js";
import { concertHead, concertSections } from "../components/concert-facts.js";
import { performanceMoment, venueName } from "../components/performance-time.js";

const AGAIN_MS = 5_000;

/** The page of a concert. */
export async function concert({ params, signal }) {
  const path = `/v1/concerts/${params.concert_id}`;
  const [one, schedules] = await Promise.all([
    get(path, { signal, anonymous: true }),
    get(`${path}/schedules`, { signal, anonymous: true }),
    synchronize(),
  ]);
  const list = h("ul", { class: "schedules" });
  let shown = "";
  const show = (items) => {
    const now = JSON.stringify([items, items.map((item) => [stateOf(item), closedBecause(item)])]);
    if (now === shown) return;
    shown = now;
    redraw(list, items.length ? items.map((item) => schedule(item, items, signal, again)) : h("li", {}, t("concert.noSchedules")));
  };
  const again = () => get(`${path}/schedules`, { signal, anonymous: true, tries: 1 }).then(({ items }) => show(items)).catch(ignoreProblem);
  show(schedules.items);
  const timer = setInterval(() => { if (document.visibilityState === "visible") again(); }, AGAIN_MS);
  const view = [
    concertHead(one, schedules.items),
    h("div", { class: "concert-columns" },
      h("section", { class: "dates", "aria-labelledby": "dates" }, h("h2", { id: "dates", tabindex: -1 }, t("concert.schedules")), list),
      h("div", { class: "concert-texts" }, concertSections(one, schedules.items, signal))),
  ];
  return { title: inLanguage(one, "title"), view, brand: one.brand, close: () => clearInterval(timer) };
}

function schedule(item, items, signal, again) {
  const state = stateOf(item);
  const isCancelled = item.status === "CANCELLED";
  const note = h("p", { class: "sale-note" });
  const parts = [
    h("div", { class: "schedule-when" },
      h("h3", {}, performanceMoment(item.starts_at, item.time_zone)),
      hasSeveralVenues(items) && h("p", { class: "muted small" }, venueName(item)),
      !isCancelled && h("p", { class: "muted" }, moneyRange(item.price_min, item.price_max)),
      !isCancelled && item.doors_at && h("p", { class: "muted small" }, t("concert.doors", { when: performanceText(item.doors_at, item.time_zone, "time") }))),
    h("div", { class: "schedule-state" }, !isCancelled && left(item), note),
    !isCancelled && button(item, state),
  ];
  if (state === "soon") wait(item, note, signal, again);
  else if (state === "open" && item.sale_closes_at) setChildren(note, t("concert.until", { when: performanceText(item.sale_closes_at, item.time_zone) }));
  else if (state === "closed") setChildren(note, t(closedBecause(item)));
  return h("li", { class: `schedule card ${isCancelled ? "cancelled" : state}` }, parts);
}

function hasSeveralVenues(items) {
  return new Set(items.map(({ venue }) => venue?.venue_id)).size > 1;
}

function closedBecause(item) {
  if (item.status === "CANCELLED") return "change.cancelled";
  return hasStarted(item) ? "concert.past" : "concert.closed";
}

function stateOf(item) {
  const state = saleState(item);
  return state === "open" && item.seats_available === 0 ? "gone" : state;
}

function left(item) {
  const share = item.seats_total ? item.seats_available / item.seats_total : 0;
  return [
    h("p", { class: "left" }, item.seats_available > 0
      ? t("concert.left", { n: item.seats_available, total: item.seats_total }) : t("concert.soldOut")),
    h("meter", { class: "meter", min: 0, max: 1, low: 0.1, value: share, "aria-label": t("concert.leftLabel") }),
  ];
}

function wait(item, note, signal, again) {
  const clock = h("span", { class: "clock", role: "timer" });
  setChildren(note, t("concert.opens", { when: performanceText(item.sale_opens_at, item.time_zone) }), " ", clock);
  countDown(item.sale_opens_at, signal, (seconds) => setChildren(clock, countdown(seconds)), again);
}

function button(item, state) {
  const label = { open: "concert.choose", gone: "concert.look", soon: "concert.look", closed: "concert.look" }[state];
  const name = t("concert.chooseFor", { what: t(label), when: performanceText(item.starts_at, item.time_zone, "date") });
  return h("a", { class: state === "open" ? "button primary" : "button", href: `/schedules/${item.schedule_id}?concert=${item.concert_id}`, "aria-label": name }, t(label));
}
