// Reports of sales and settlement: of everything, of a concert, or of a schedule.

import { get } from "../../lib/api.js";
import { h, uniqueId } from "../../lib/dom.js";
import { date, money, number, t } from "../../lib/i18n.js";
import { performanceMoment } from "../../components/performance-time.js";
import { breadcrumbs, definitionList, fetchSchedule, scheduleHead, table } from "../components.js";
import { Chart } from "../charts.js";
import { fileButtons } from "../downloads.js";
import { filterTabs } from "../paged-table.js";
import { chosenOrganization, may, ofOrganization } from "../team/organizations.js";
import { figureCells, figuresOf, rowName } from "./figures.js";
import { mailCard } from "./mails.js";

const GROUPINGS = ["day", "concert", "schedule", "grade", "channel", "price_type"];
const ITEMS = ["sales", "booking_fees", "refunds", "cancellation_fees", "compensation", "disputes_withdrawn", "disputes_returned", "collected_at_box_office"];

/** The page of the reports of an organization or a concert. */
export async function reports({ query, signal, go }) {
  const scope = query.get("organization_id") ? { organization_id: query.get("organization_id") } : ofOrganization();
  if (query.get("concert_id")) scope.concert_id = query.get("concert_id");
  const report = await body({ path: "/organizer/reports", scope, query, signal, go });
  const view = [
    breadcrumbs(),
    h("div", { class: "console-head" }, h("div", {}, h("h1", {}, t("reports.title")), h("p", { class: "muted" }, t("reports.lead")))),
    scope.concert_id && h("p", { class: "notice" }, t("reports.concert"), " ", h("a", { href: "/organizer/reports" }, t("reports.everything"))),
    report,
    chosenOrganization() && may("reports_read") && await mailCard({ report: name(query), signal }),
  ];
  return { title: t("reports.title"), view, wide: true };
}

/** The page of the reports of a schedule. */
export async function reportOfSchedule({ id, query, signal, go, refresh }) {
  const path = `/organizer/schedules/${id}/report`;
  const [schedule, report] = await Promise.all([
    fetchSchedule(id, signal), body({ path, scope: { schedule_id: id }, query, signal, go }),
  ]);
  const view = [scheduleHead(schedule, "report", refresh), report];
  return { title: `${t("reports.title")} · ${schedule.concert.title}`, view, wide: true };
}

function name(query) {
  return query.get("report") === "settlement" ? "settlement" : "sales";
}

async function body({ path, scope, query, signal, go }) {
  const report = name(query);
  const by = GROUPINGS.includes(query.get("by")) ? query.get("by") : "day";
  const asked = { ...scope };
  for (const day of ["since", "until"]) if (query.get(day)) asked[day] = query.get(day);
  const url = `/v1/admin/reports/${report}`;
  const found = await get(`${url}?${new URLSearchParams(report === "sales" ? { ...asked, by } : asked)}`, { signal });
  const period = { since: found.since, until: found.until };
  const buttons = fileButtons({
    path: `${url}/export`, query: { ...asked, ...period }, name: `${report}-${found.since}-${found.until}`, signal,
    failed: t("reports.failed"), labels: { csv: t("reports.csv"), xlsx: t("reports.xlsx") },
  });
  return [
    filterTabs({
      path, query, name: "report", label: t("reports.which"),
      choices: [["", t("reports.sales")], ["settlement", t("reports.settlement")]],
    }),
    h("section", { class: "card stack" }, choice({ path, query, report, by, period, go }), h("div", { class: "actions" }, buttons)),
    report === "sales" ? sales(found, by) : settlement(found),
  ];
}

function choice({ path, query, report, by, period, go }) {
  const day = (which) => input(t(`reports.${which}`), h("input", { class: "input", type: "date", value: period[which], required: true }));
  const since = day("since");
  const until = day("until");
  const grouping = input(t("reports.by"), h("select", { class: "input" },
    GROUPINGS.map((one) => h("option", { value: one, selected: one === by }, t(`reports.by.${one}`)))));
  const onsubmit = (event) => {
    event.preventDefault();
    const next = new URLSearchParams(query);
    next.set("since", since.field.value);
    next.set("until", until.field.value);
    if (report === "sales") next.set("by", grouping.field.value);
    go(`${path}?${next}`);
  };
  return h("form", { class: "find", onsubmit }, since.view, until.view, report === "sales" && grouping.view,
    h("button", { type: "submit", class: "button primary" }, t("reports.show")));
}

function input(label, field) {
  field.id = uniqueId("report");
  return { field, view: h("div", { class: "field" }, h("label", { for: field.id }, label), field) };
}

function sales(found, by) {
  if (!found.rows.length) return h("p", { class: "card muted", role: "status" }, t("reports.none"));
  const figures = figuresOf(found.rows);
  const names = [t(`reports.by.${by}`), ...figures.map((one) => t(`reports.${one}`))];
  const rows = [
    ...found.rows.map((row) => [rowName(row, by), ...figureCells(row, figures)]),
    ...found.totals.map((row) => [h("strong", {}, t("reports.total")), ...figureCells(row, figures)]),
  ];
  return [
    by === "day" && charts(found),
    h("section", { class: "card" }, table(names, rows, t("reports.sales"))),
  ];
}

// A chart has one currency and every day of the period, also those without a sale.
function charts(found) {
  const days = daysOf(found.since, found.until);
  const when = (day) => date(`${day}T12:00:00`);
  return h("div", { class: "charts" }, found.totals.flatMap(({ currency }) => {
    const rows = new Map(found.rows.filter((row) => row.currency === currency).map((row) => [row.key, row]));
    const net = new Chart({ title: t("reports.netByDay"), format: (value) => money(value, currency), bars: true, when, sum: true });
    const sold = new Chart({ title: t("reports.soldByDay"), format: number, bars: true, when, sum: true });
    net.show(days.map((day) => Math.max(0, rows.get(day)?.net ?? 0)), days);
    sold.show(days.map((day) => rows.get(day)?.seats_sold ?? 0), days);
    return [net.view, sold.view];
  }));
}

function daysOf(since, until) {
  const days = [];
  for (const day = new Date(`${since}T00:00:00Z`); day <= new Date(`${until}T00:00:00Z`); day.setUTCDate(day.getUTCDate() + 1)) {
    days.push(day.toISOString().slice(0, 10));
  }
  return days;
}

function settlement(found) {
  const lead = h("p", { class: "muted" }, t("reports.settlementLead"));
  if (!found.totals.length) return [lead, h("p", { class: "card muted", role: "status" }, t("reports.none"))];
  const names = ["performance", "opening", "closing"].map((one) => t(`reports.${one}`));
  const rows = found.performances.map((one) => [
    h("div", {}, h("a", { href: `/organizer/schedules/${one.schedule_id}/report?report=settlement` }, one.title),
      h("div", { class: "muted small" }, performanceMoment(one.starts_at, one.time_zone))),
    h("span", { class: "number" }, money(one.opening, one.currency)),
    h("strong", { class: "number" }, money(one.closing, one.currency)),
  ]);
  return [
    lead,
    ...found.totals.map(statement),
    found.performances.length > 1 && h("section", { class: "card stack" }, h("h2", {}, t("reports.byPerformance")), table(names, rows, t("reports.byPerformance"))),
  ];
}

function statement(total) {
  const amount = (value) => h("span", { class: "number" }, money(value, total.currency));
  return h("section", { class: "card stack" },
    definitionList([
      [t("reports.opening"), amount(total.opening)],
      ...ITEMS.filter((one) => total[one]).map((one) => [t(`reports.${one}.item`), amount(total[one])]),
      [h("strong", {}, t("reports.closing")), h("strong", { class: "number" }, money(total.closing, total.currency))],
    ]),
    total.disputes_lost > 0 && h("p", { class: "muted small" }, t("reports.lost", { amount: money(total.disputes_lost, total.currency) })));
}
