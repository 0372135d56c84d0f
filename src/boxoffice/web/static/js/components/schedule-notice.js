// That a performance is cancelled, was moved, or takes place elsewhere.

import { h } from "../lib/dom.js";
import { t } from "../lib/i18n.js";
import { performanceText } from "../lib/performance-time.js";

/**
 * The banner of a schedule, null where nothing has changed. `boughtAt`: when the reader bought tickets; before
 * the change they may be returned without a fee.
 */
export function scheduleNotice(schedule, boughtAt = null) {
  if (schedule.status === "CANCELLED") {
    return notice("bad", t("change.cancelled"), boughtAt && t("change.refunded"));
  }
  const free = freeReturn(schedule, boughtAt);
  if (schedule.postponed_from) {
    return notice("warn", t("change.postponed", { before: performanceText(schedule.postponed_from, schedule.time_zone) }), free);
  }
  if (schedule.changed_at && boughtAt && boughtAt < schedule.changed_at) return notice("warn", t("change.changed"), free);
  return null;
}

function freeReturn({ changed_at: changedAt, refundable_until: until, time_zone: zone }, boughtAt) {
  if (!until || !boughtAt || boughtAt >= changedAt || new Date(until) <= Date.now()) return null;
  return t("change.free", { until: performanceText(until, zone) });
}

function notice(kind, text, more) {
  return h("div", { class: `notice ${kind} schedule-notice`, role: "status" }, h("p", {}, h("strong", {}, text)), more && h("p", {}, more));
}
