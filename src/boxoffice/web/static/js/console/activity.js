// Who did what and when, and who was shown data of buyers.

import { get } from "../lib/api.js";
import { h } from "../lib/dom.js";
import { date, hasText, list, t, timeOfDay } from "../lib/i18n.js";
import { performanceText } from "../lib/performance-time.js";
import { breadcrumbs, pagedList, fetchSchedule, timestamp, scheduleHead } from "./components.js";
import { ofOrganization } from "./team/organizations.js";

const LIMIT = 30;

/** The activity log of an organizer. */
export async function activity({ signal }) {
  const view = [
    breadcrumbs(),
    h("div", { class: "console-head" }, h("div", {}, h("h1", {}, t("log.title")), h("p", { class: "muted" }, t("log.lead")))),
    await entries(ofOrganization(), signal),
  ];
  return { title: t("log.title"), view, wide: true };
}

/** The activity log of one schedule. */
export async function activityOfSchedule({ id, signal, refresh }) {
  const [schedule, shown] = await Promise.all([fetchSchedule(id, signal), entries({ schedule_id: id }, signal)]);
  return { title: `${t("log.title")} · ${schedule.concert.title}`, view: [scheduleHead(schedule, "activity", refresh), shown], wide: true };
}

async function entries(about, signal) {
  const load = (cursor) => get(`/v1/admin/activity?${new URLSearchParams({ ...about, limit: LIMIT, ...(cursor && { cursor }) })}`, { signal });
  const first = await load("");
  if (!first.items.length) return h("p", { class: "card" }, t("log.none"));
  const body = h("tbody");
  const more = pagedList(first, load, (items) => items.map(row), body);
  const names = ["log.when", "log.what", "log.about", "log.who", "log.request"];
  return [h("div", { class: "table-area", tabindex: "0", role: "region", "aria-label": t("log.title") },
    h("table", { class: "table" }, h("thead", {}, h("tr", {}, names.map((name) => h("th", { scope: "col" }, t(name))))), body)), more];
}

function row(entry) {
  return h("tr", {},
    h("td", { "data-name": t("log.when") }, timestamp(entry.at, (at) => `${date(at)} ${timeOfDay(at)}`)),
    h("td", { "data-name": t("log.what") }, h("div", {}, said(entry), filteredBy(entry))),
    h("td", { "data-name": t("log.about") }, about(entry)),
    h("td", { "data-name": t("log.who") }, entry.actor_name ?? entry.actor_id),
    h("td", { "data-name": t("log.request") }, entry.request_id ? h("code", {}, entry.request_id) : t("log.command")));
}

function said({ action, details }) {
  if (!hasText(`log.${action}`)) return action;
  const changes = list(Object.entries(details.changed ?? details).map(([name, value]) => `${name} ${shown(value)}`));
  return t(`log.${action}`, { n: details.rows ?? details.seats_added, reason: details.reason, changes });
}

// A read names the criteria of its search, not what was searched for.
function filteredBy({ details }) {
  if (!details.filters?.length) return null;
  const names = details.filters.map((name) => (hasText(`log.filter.${name}`) ? t(`log.filter.${name}`) : name));
  return h("div", { class: "small muted" }, t("log.filters", { filters: list(names) }));
}

// What was changed has its old and its new value.
function shown(value) {
  return Array.isArray(value) ? value.map((one) => one ?? "–").join(" → ") : value;
}

function about(entry) {
  if (entry.schedule_id) {
    return h("a", { href: `/organizer/schedules/${entry.schedule_id}` }, entry.concert_title ?? "",
      entry.starts_at && h("span", { class: "small" }, performanceText(entry.starts_at, entry.time_zone)));
  }
  return entry.concert_id && h("a", { href: `/organizer/concerts/${entry.concert_id}` }, entry.concert_title ?? entry.concert_id);
}
