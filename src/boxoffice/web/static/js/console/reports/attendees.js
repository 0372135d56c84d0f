// The attendee list of a schedule, and its files.

import { h } from "../../lib/dom.js";
import { t } from "../../lib/i18n.js";
import { emailText } from "../../components/email-text.js";
import { fetchSchedule, scheduleHead } from "../components.js";
import { fileButtons } from "../downloads.js";
import { stateChip } from "../money/components.js";
import { filterTabs, pagedTable } from "../paged-table.js";
import { wayName } from "./figures.js";

/** The page of the attendees. */
export async function attendees({ id, query, signal, refresh }) {
  const path = `/v1/admin/schedules/${encodeURIComponent(id)}/attendees`;
  const filter = query.get("with_void") ? { with_void: "true" } : {};
  const [schedule, table] = await Promise.all([
    fetchSchedule(id, signal),
    pagedTable({
      path, filter, signal, label: t("attendees.title"), none: t("attendees.none"), cells,
      names: ["seat", "name", "grade", "way", "state", "reservation"].map((name) => t(`attendees.${name}`)),
    }),
  ]);
  const view = [
    scheduleHead(schedule, "attendees", refresh),
    h("section", { class: "card stack" },
      h("div", { class: "console-head" },
        h("div", {}, h("h2", {}, t("attendees.title")), h("p", { class: "muted small" }, t("attendees.lead"))),
        h("div", { class: "actions" }, fileButtons({
          path: `${path}/export`, query: filter, name: `attendees-${id}`, signal, failed: t("reports.failed"),
          labels: { csv: t("reports.csv"), xlsx: t("reports.xlsx") },
        }))),
      filterTabs({
        path: `/organizer/schedules/${id}/attendees`, query, name: "with_void", label: t("attendees.which"),
        choices: [["", t("attendees.valid")], ["true", t("attendees.all")]],
      }),
      table),
  ];
  return { title: `${t("attendees.title")} · ${schedule.concert.title}`, view, wide: true };
}

function cells(one) {
  return [
    h("strong", {}, one.seat_id),
    h("div", {}, h("div", {}, one.name || "–"), one.email && h("div", { class: "muted small" }, emailText(one.email))),
    one.price_type ? `${one.grade} · ${one.price_type}` : one.grade,
    wayName(one.source),
    stateChip("attendees.state", one.status),
    h("a", { href: `/organizer/reservations/${one.reservation_id}` }, h("span", { class: "whole number" }, one.order_number ?? "–")),
  ];
}
