// A refund policy in words.

import { get, ignoreProblem } from "../lib/api.js";
import { h } from "../lib/dom.js";
import { money, number, t } from "../lib/i18n.js";

/** Returns the refund policy of a schedule, null without an answer. */
export function refundPolicy(scheduleId, signal) {
  return get(`/v1/schedules/${scheduleId}/refund-policy`, { signal, anonymous: true }).catch(ignoreProblem);
}

/** Returns a card with the policy, for a buyer who has not paid yet. */
export function policyCard(policy) {
  return h("section", { class: "card stack" }, h("h2", {}, t("refund.policy")), policyTable(policy));
}

/** Returns the steps of a policy as a table, and when a return is free. */
export function policyTable({ steps, grace, booking_fee_days: feeDays, time_zone: zone, currency }) {
  if (!steps.length) return h("p", {}, t("refund.never"));
  const last = steps.at(-1).days_before;
  const rows = steps.map((step, at) => [when(step.days_before, at ? steps[at - 1].days_before : null), fee(step, currency)]);
  rows.push([last === 0 ? t("refund.afterStart") : t("refund.after"), t("refund.no")]);
  return [
    h("table", { class: "policy" },
      h("thead", {}, h("tr", {}, h("th", { scope: "col" }, t("refund.when")), h("th", { scope: "col" }, t("refund.fee")))),
      h("tbody", {}, rows.map(([days, text]) => h("tr", {}, h("td", {}, days), h("td", {}, text))))),
    h("ul", { class: "policy-notes small" }, [...grace.map(graceText), bookingFeeText(feeDays)].map((text) => h("li", {}, text))),
    h("p", { class: "small muted" }, t("refund.zone", { zone })),
  ];
}

function when(days, before) {
  if (before === null) return days === 0 ? t("refund.beforeStart") : t("refund.until", { n: days });
  if (days === 0) return before === 1 ? t("refund.sameDay") : t("refund.fromToStart", { from: before - 1 });
  return before - 1 === days ? t("refund.onDay", { n: days }) : t("refund.fromTo", { from: before - 1, n: days });
}

function fee({ percent, flat, cap_percent: capPercent, cap }, currency) {
  if (!percent && !flat) return t("refund.free");
  const parts = [percent > 0 && t("refund.percent", { percent: number(percent) }), flat > 0 && t("refund.flat", { amount: money(flat, currency) })];
  const caps = [capPercent < 100 && t("refund.atMostPercent", { percent: number(capPercent) }), cap !== null && t("refund.atMost", { amount: money(cap, currency) })];
  return [...parts, ...caps].filter(Boolean).join(", ");
}

function bookingFeeText(days) {
  if (days === null) return t("refund.bookingFeeKept");
  return days === 0 ? t("refund.bookingFeeToday") : t("refund.bookingFee", { days });
}

function graceText({ days_before: before, hours, days }) {
  return days === null ? t("refund.graceHours", { hours, days: before }) : t("refund.graceDays", { after: days, days: before });
}
