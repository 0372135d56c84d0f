// Elements shared by the pages of the console.

import { get } from "../lib/api.js";
import { synchronize } from "../lib/clock.js";
import { h, setChildren } from "../lib/dom.js";
import { dateTime, t } from "../lib/i18n.js";
import { performanceText } from "../lib/performance-time.js";
import { hasStarted, secondsToNextChange, saleState } from "../lib/sale.js";
import { session } from "../lib/session.js";
import { announcer } from "../components/announcer.js";
import { performanceMoment } from "../components/performance-time.js";
import { errorText } from "../components/problem.js";
import { confirmAction, postAction } from "./actions.js";
import { allows } from "./team/organizations.js";

// Longer than a page stays open, and within the range of a timer.
const LOOK_AHEAD_S = 86_400;

/** Breadcrumbs: pairs of an address and a name, from the outside in. */
export function breadcrumbs(...steps) {
  const items = [["/organizer", t("console.title")], ...steps];
  return h("nav", { class: "breadcrumbs", "aria-label": t("console.where") },
    h("ol", {}, items.map(([href, name]) => h("li", {}, h("a", { href }, name)))));
}

/** The state of a concert, a schedule or a reservation. */
export function chip(status) {
  return h("span", { class: `chip state-${status.toLowerCase()}` }, t(`status.${status}`));
}

/** Whether a schedule is on sale, now and as time passes. */
export function saleChip(schedule) {
  const view = h("span", { class: "chip" });
  const show = () => {
    const state = stateOf(schedule);
    view.className = `chip state-${state.toLowerCase()}`;
    setChildren(view, t(`status.${state}`));
    const turnS = secondsToNextChange(schedule);
    // The chip is gone with its page.
    if (turnS < LOOK_AHEAD_S) setTimeout(() => { if (view.isConnected) show(); }, 1000 * turnS + 50);
  };
  show();
  return view;
}

function stateOf(schedule) {
  if (schedule.status === "CANCELLED") return "CALLED_OFF";
  if (hasStarted(schedule)) return "PAST";
  if (schedule.status !== "OPEN") return schedule.status;
  return { soon: "SOON", open: "OPEN", closed: "ENDED" }[saleState(schedule)];
}

/** The state of a concert, also that it was taken down. */
export function concertChip(concert) {
  return chip(concert.taken_down_at ? "TAKEN_DOWN" : concert.status);
}

/** A table; `rows` are lists of cells. It becomes a list of cards on a narrow screen, unless it is `dense`. */
export function table(names, rows, label, kind = "") {
  return h("div", { class: "table-area", tabindex: "0", role: "region", "aria-label": label },
    h("table", { class: `table ${kind}` },
      h("thead", {}, h("tr", {}, names.map((name) => h("th", { scope: "col" }, name)))),
      h("tbody", {}, rows.map((cells) => h("tr", {},
        cells.map((cell, at) => h("td", { "data-name": names[at] }, cell)))))));
}

/** Names and values beside each other. */
export function definitionList(pairs) {
  return h("dl", { class: "definitions" }, pairs.map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value))));
}

/** A `<time>` element, to the second. */
export function timestamp(at, show = dateTime) {
  return h("time", { datetime: at }, show(at));
}

/** Fetches a schedule of the organizer. */
export function fetchSchedule(id, signal) {
  const path = `/v1/admin/schedules/${encodeURIComponent(id)}`;
  return Promise.all([get(path, { signal }), synchronize()]).then(([schedule]) => schedule);
}

/** The head of every page about one schedule: title, actions and tabs. */
export function scheduleHead(schedule, part, refresh) {
  const { concert } = schedule;
  return [
    breadcrumbs([`/organizer/concerts/${concert.concert_id}`, concert.title]),
    h("div", { class: "console-head" },
      h("div", {},
        h("h1", {}, concert.title),
        h("p", {}, performanceMoment(schedule.starts_at, schedule.time_zone), " ", saleChip(schedule)),
        h("p", { class: "muted small" }, t("sale.opensAt", { when: performanceText(schedule.sale_opens_at, schedule.time_zone) }),
          schedule.sale_closes_at && ` · ${t("sale.closesAt", { when: performanceText(schedule.sale_closes_at, schedule.time_zone) })}`)),
      h("div", { class: "actions" }, saleButton(schedule, refresh))),
    hint(schedule),
    tabs(schedule, part),
  ];
}

// The tabs of a schedule: name, path, and the permission without which the page would only refuse.
const TABS = [
  ["live", "", "reports_read"], ["edit", "/edit", "events_write"], ["seats", "/seats", "seats_write"],
  ["offers", "/offers", "events_read"], ["guests", "/guests", "orders_read"], ["boxOffice", "/box-office", "orders_write"],
  ["queue", "/queue", "events_read"], ["reservations", "/reservations", "orders_read"], ["attendees", "/attendees", "orders_read"],
  ["report", "/report", "reports_read"], ["payments", "/payments", "orders_read"], ["refunds", "/refunds", "orders_read"],
  ["activity", "/activity", "activity_read"],
];
const NOT_FOR_OPERATORS = ["edit", "seats"];

function tabs({ schedule_id: id, concert }, part) {
  const shown = TABS.filter(([name, , needed]) => allows(concert, needed) && !(session.isOperator && NOT_FOR_OPERATORS.includes(name)));
  return h("nav", { class: "tabs", "aria-label": t("tabs") }, shown.map(([name, path]) => h("a", {
    href: `/organizer/schedules/${id}${path}`, "aria-current": name === part ? "page" : null,
  }, t(`tabs.${name}`))));
}

function hint(schedule) {
  if (schedule.concert.taken_down_at) {
    return h("p", { class: "notice warn" }, t("down.reason", { reason: schedule.concert.taken_down_reason }));
  }
  if (schedule.status === "OPEN" || session.isOperator) return null;
  if (schedule.seats_total === 0) return h("p", { class: "notice" }, t("sale.seatsFirst"));
  if (schedule.concert.status === "DRAFT") {
    return h("p", { class: "notice" }, t("sale.publishFirst"), " ",
      h("a", { href: `/organizer/concerts/${schedule.concert_id}` }, schedule.concert.title));
  }
  return null;
}

function saleButton(schedule, refresh) {
  if (session.isOperator || !allows(schedule.concert, "sales_write")) return null;
  const path = `/v1/admin/schedules/${schedule.schedule_id}`;
  if (schedule.status === "OPEN") {
    return h("button", { type: "button", class: "button danger", onclick: () => confirmAction({
      title: t("sale.closeTitle"), detail: t("sale.closeDetail"), label: t("sale.close"), danger: true,
      act: () => postAction(`${path}/close`), said: t("sale.closed"), done: refresh,
    }) }, t("sale.close"));
  }
  if (schedule.seats_total === 0 || schedule.concert.status === "DRAFT" || schedule.concert.taken_down_at || hasStarted(schedule)) return null;
  return h("button", { type: "button", class: "button primary", onclick: () => confirmAction({
    title: t("sale.openTitle"), detail: t("sale.openDetail", { when: performanceText(schedule.sale_opens_at, schedule.time_zone) }),
    label: t("sale.open"), act: () => postAction(`${path}/open`), said: t("sale.opened"), done: refresh,
  }) }, t("sale.open"));
}

/** A list that grows by pages; `show(items)` makes elements, `load(cursor)` returns a page. */
export function pagedList(first, load, show, parent) {
  parent.append(...show(first.items));
  const more = h("button", { type: "button", class: "button" }, t("console.more"));
  let cursor = first.next_cursor;
  more.hidden = !cursor;
  more.addEventListener("click", async () => {
    const next = await load(cursor).catch((error) => { announcer.notify(errorText(error), "bad"); });
    if (!next) return;
    const added = show(next.items);
    parent.append(...added);
    cursor = next.next_cursor;
    more.hidden = !cursor;
    added[0]?.querySelector("a")?.focus();
  });
  return more;
}
