// Live statistics of a sale, polled every two seconds while the page is visible.

import { get, Problem } from "../lib/api.js";
import { h, setChildren } from "../lib/dom.js";
import { hasText, money, number, t, timeOfDay } from "../lib/i18n.js";
import { redraw } from "../lib/redraw.js";
import { errorText } from "../components/problem.js";
import { Chart, share } from "./charts.js";
import { fetchSchedule, scheduleHead, table } from "./components.js";
import { allows } from "./team/organizations.js";

const EVERY_MS = 2_000;
const TIMEOUT_MS = 8_000;
const WINDOW_S = 600;
const TABLE_ROWS = 24;

/** The page of one schedule. */
export async function live({ id, signal, refresh, go }) {
  const schedule = await fetchSchedule(id, signal);
  if (!allows(schedule.concert, "reports_read")) return instead(schedule, { refresh, go });
  const board = new Board(schedule);
  const view = [scheduleHead(schedule, "live", refresh), board.view];
  keepReading(id, signal, board);
  return { title: schedule.concert.title, view, wide: true };
}

// Links lead to the address of the schedule: a role without its statistics sees what it may.
function instead(schedule, { refresh, go }) {
  const { schedule_id: id, concert } = schedule;
  if (allows(concert, "orders_read")) {
    go(`/organizer/schedules/${id}/reservations`, { replace: true });
    return { title: "", view: null };
  }
  return { title: concert.title, view: scheduleHead(schedule, "live", refresh), wide: true };
}

async function keepReading(id, signal, board) {
  const path = `/v1/admin/schedules/${encodeURIComponent(id)}`;
  const options = { signal, tries: 1, timeoutMs: TIMEOUT_MS };
  let hasQueue = true;
  while (!signal.aborted) {
    if (document.visibilityState === "visible") {
      try {
        const room = hasQueue ? get(`${path}/queue`, options).catch((error) => { hasQueue = isPassing(error); return null; }) : null;
        board.show(await get(`${path}/stats?window_s=${WINDOW_S}`, options), await room);
      } catch (error) {
        if (signal.aborted) return;
        board.fail(error);
      }
    }
    await new Promise((resolve) => { setTimeout(resolve, EVERY_MS); });
  }
}

function isPassing(error) {
  return error instanceof Problem ? error.isTemporary : true;
}

class Board {
  #stats = null;
  #shownAt = "";
  #currency;
  #state = h("p", { class: "notice warn", role: "status", hidden: true });
  #tiles = h("dl", { class: "tiles" });
  #seats = h("section", { class: "card seats-share", "aria-label": t("live.seats") });
  #refusals = h("section", { class: "card refusals" });
  #foot = h("p", { class: "muted small" });
  #table = h("div", {});
  #details = h("details", { class: "card" }, h("summary", {}, t("live.table")), this.#table);
  #charts;

  constructor(schedule) {
    this.#currency = schedule.currency;
    const per = t("live.perStep", { n: 5 });
    const whole = (value) => number(Math.round(value));
    const fine = (value) => number(Math.round(value * 10) / 10);
    const amount = (value) => money(value, this.#currency);
    this.#charts = [
      [new Chart({ title: t("live.requests"), format: fine }), "requests"],
      [new Chart({ title: t("live.p95"), format: fine }), "p95_ms"],
      [new Chart({ title: t("live.holds"), format: whole, bars: true, note: per }), "holds"],
      [new Chart({ title: t("live.salesPerStep"), format: whole, bars: true, note: per }), "sales"],
      [new Chart({ title: t("live.revenuePerStep"), format: amount, bars: true, note: per }), "revenue"],
    ];
    this.#details.addEventListener("toggle", () => this.#showTable());
    this.view = h("div", { class: "board" }, this.#state, this.#tiles, this.#seats,
      h("div", { class: "charts" }, this.#charts.map(([chart]) => chart.view), this.#refusals),
      this.#details, this.#foot);
  }

  /** Shows a reading, and the waiting room where there is one. */
  show(stats, room) {
    this.#stats = stats;
    const { seats, series, shop } = stats;
    setChildren(this.#tiles, [
      [t("live.sold"), number(seats.sold)], [t("live.held"), number(seats.held)], [t("live.available"), number(seats.available)],
      [t("live.sales"), number(stats.sales)], [t("live.revenue"), money(stats.revenue.amount, stats.revenue.currency), "money"],
      ...(room && room.mode !== "off" ? [[t("live.waiting"), number(room.waiting)], [t("live.inside"), number(room.inside)]] : []),
    ].map(([name, value, kind = ""]) => h("div", { class: `tile card ${kind}` }, h("dt", {}, name), h("dd", { class: "number" }, value))));
    this.#showSeats(seats);
    const times = series.map(({ at }) => at);
    for (const [chart, name] of this.#charts) chart.show(series.map((point) => point[name]), times);
    this.#showRefusals(series);
    this.#showMessage(series.some(({ requests }) => requests !== null) ? "" : t("live.unknown"));
    const speed = shop && t("live.shop", { requests: shop.requests, p95: shop.p95_ms === null ? "–" : Math.round(shop.p95_ms * 10) / 10 });
    setChildren(this.#foot, t("live.at", { when: timeOfDay(stats.at) }), " ", speed);
    this.#showTable();
    this.#shownAt = stats.at;
  }

  /** Shows that the last poll failed, and why; the old numbers stay. */
  fail(error) {
    const isOurs = !(error instanceof Problem);
    this.#showMessage(isOurs ? errorText(error) : t("live.stale", { when: this.#shownAt ? timeOfDay(this.#shownAt) : "–" }));
  }

  #showMessage(text) {
    if (this.#state.textContent !== text) this.#state.textContent = text;
    this.#state.hidden = !text;
  }

  #showSeats(seats) {
    const parts = ["sold", "held", "available", "blocked"].map((name) => [name, seats[name]]);
    const names = parts.map(([name, count]) => `${t(`live.${name}`)} ${number(count)}`);
    setChildren(this.#seats, share(parts, names.join(", ")),
      h("ul", { class: "share-names" }, parts.map(([name], at) => h("li", { class: `is-${name}` }, names[at]))));
  }

  #showRefusals(series) {
    const sums = new Map();
    for (const { refusals } of series) {
      for (const [code, count] of Object.entries(refusals ?? {})) sums.set(code, (sums.get(code) ?? 0) + count);
    }
    const sorted = [...sums].sort(([, one], [, other]) => other - one);
    const most = sorted[0]?.[1] ?? 1;
    setChildren(this.#refusals, h("h2", { class: "chart-title" }, t("live.refusals")), sorted.length
      ? h("ul", {}, sorted.map(([code, count]) => h("li", {},
        h("span", {}, reason(code)), h("meter", { class: "meter", min: 0, max: most, value: count, "aria-hidden": "true" }),
        h("span", { class: "number" }, number(count)))))
      : h("p", { class: "muted" }, t("live.noRefusals")));
  }

  #showTable() {
    if (!this.#details.open || !this.#stats) return;
    const names = [t("live.time"), t("live.requests"), t("live.p95"), t("live.holds"), t("live.sales"), t("live.revenue")];
    const known = (value) => (value === null ? "–" : number(value));
    const rows = this.#stats.series.slice(-TABLE_ROWS).reverse().map((point) => [
      timeOfDay(point.at), known(point.requests), known(point.p95_ms), number(point.holds), number(point.sales), money(point.revenue, this.#currency)]);
    redraw(this.#table, table(names, rows, t("live.table"), "dense"));
  }
}

function reason(code) {
  return hasText(`reason.${code}`) ? t(`reason.${code}`) : code;
}
