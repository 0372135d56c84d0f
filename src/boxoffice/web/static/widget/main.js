// The widget: the dates of a concert with their states and prices, in a frame on another site. It sends no token,
// stores nothing, and links to the shop.

import { get, ignoreProblem } from "../js/lib/api.js";
import { countDown, synchronize } from "../js/lib/clock.js";
import { h, setChildren } from "../js/lib/dom.js";
import { addTexts, countdown, inLanguage, money, showIn, t } from "../js/lib/i18n.js";
import { performanceTime } from "../js/lib/performance-time.js";
import { hasStarted, saleState } from "../js/lib/sale.js";
import { sellerMark, tintedBy } from "../js/components/seller.js";
import { listingEn } from "../js/texts/listing-en.js";
import { listingKo } from "../js/texts/listing-ko.js";
import { widgetTexts } from "../js/texts/widget.js";

const AGAIN_MS = 30_000;
const DATES_MAX = 8;
const FEW_LEFT = 0.1;

/** Starts the widget; `boot.js` calls it once. */
export async function start() {
  const query = new URLSearchParams(location.search);
  addTexts({ en: { ...listingEn, ...widgetTexts.en }, ko: { ...listingKo, ...widgetTexts.ko } });
  showIn(query.get("lang"));
  if (["light", "dark"].includes(query.get("theme"))) document.documentElement.dataset.theme = query.get("theme");
  const app = document.querySelector("#app");
  new ResizeObserver(() => parent.postMessage({ type: "boxoffice:height", height: Math.ceil(app.getBoundingClientRect().height) }, "*")).observe(app);
  const [, id] = /^\/widget\/concerts\/([^/]+)/.exec(location.pathname);
  await show(app, `/v1/concerts/${id}`);
}

async function show(app, path) {
  let drawing = new AbortController();
  const draw = async () => {
    const found = await load(path);
    drawing.abort();
    drawing = new AbortController();
    if (found) setChildren(app, view(found, drawing.signal, draw));
    else if (!app.hasChildNodes()) setChildren(app, h("p", { class: "none" }, t("widget.none")));
  };
  await draw();
  setInterval(() => { if (document.visibilityState === "visible") draw(); }, AGAIN_MS);
}

// What was shown stays where there is no answer.
async function load(path) {
  const options = { anonymous: true, tries: 2 };
  const [concert, schedules] = await Promise.all([get(path, options), get(`${path}/schedules`, options), synchronize()]).catch((error) => [ignoreProblem(error)]);
  return concert && { concert, dates: schedules.items };
}

function view({ concert, dates }, signal, again) {
  document.title = inLanguage(concert, "title");
  const page = `/concerts/${concert.concert_id}`;
  const several = new Set(dates.map(({ venue }) => venue?.venue_id)).size > 1;
  return tintedBy(h("main", { class: "widget" },
    h("header", {}, h("h1", {}, toShop(page, inLanguage(concert, "title"))), h("p", { class: "muted" }, inLanguage(concert, "artist")),
      !several && h("p", { class: "muted" }, venueOf(dates[0], concert))),
    dates.length ? h("ul", {}, dates.slice(0, DATES_MAX).map((one) => row(one, concert, several, signal, again))) : h("p", { class: "none" }, t("widget.none")),
    h("footer", {}, sellerMark(concert.brand), toShop(page, dates.length > DATES_MAX ? t("widget.all", { n: dates.length }) : t("concerts.details")))), concert.brand);
}

function row(one, concert, several, signal, again) {
  const state = stateOf(one);
  const { venue, own } = performanceTime(one.starts_at, one.time_zone);
  const badge = h("p", { class: `state ${state}` }, stateText(state));
  if (state === "soon") countDown(one.sale_opens_at, signal, (left) => setChildren(badge, t("widget.opensIn", { time: countdown(left) })), again);
  const canBuy = state === "open" || state === "few";
  return h("li", { class: state },
    h("div", { class: "when" }, h("time", { datetime: one.starts_at }, venue), own && h("p", { class: "muted" }, t("widget.yours", { when: own })),
      several && h("p", { class: "muted" }, venueOf(one, concert)), badge),
    h("div", { class: "buy" }, one.price_min && state !== "cancelled" && h("p", { class: "price" }, t("sale.from", { price: money(one.price_min.amount, one.price_min.currency) })),
      canBuy && toShop(`/schedules/${one.schedule_id}?concert=${concert.concert_id}`, t("widget.buy"), { class: "button", "aria-label": t("widget.buyFor", { when: venue }) })));
}

function venueOf(one, concert) {
  return one?.venue ? inLanguage(one.venue, "name") : concert.venue;
}

function stateOf(one) {
  if (one.status === "CANCELLED") return "cancelled";
  const state = hasStarted(one) ? "closed" : saleState(one);
  if (state !== "open") return state;
  if (!one.seats_available) return "sold_out";
  return one.seats_available <= FEW_LEFT * one.seats_total ? "few" : "open";
}

function stateText(state) {
  return t({ cancelled: "sale.cancelled", sold_out: "sale.sold_out", few: "sale.few_left", closed: "sale.ended", soon: "widget.soon", open: "widget.open" }[state]);
}

function toShop(path, text, attributes = {}) {
  return h("a", { href: path, target: "_blank", rel: "noopener", ...attributes }, text);
}
