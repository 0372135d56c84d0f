// How figures of reports are named and shown.

import { h } from "../../lib/dom.js";
import { date, hasText, money, number, t } from "../../lib/i18n.js";

/** The name of a way of sale: `online`, `online/channel`, `box_office` or `complimentary`. */
export function wayName(way) {
  const [source, channel] = way.split("/");
  const name = hasText(`reports.way.${source}`) ? t(`reports.way.${source}`) : source;
  return channel ? `${name} · ${channel}` : name;
}

/** The name of a row of a sales report. */
export function rowName(row, by) {
  if (by === "day") return date(`${row.key}T12:00:00`);
  if (by === "channel") return wayName(row.key);
  if (by === "price_type") return row.label || t("reports.standard");
  if (by === "concert") return h("a", { href: `/organizer/concerts/${row.key}` }, row.label);
  if (by === "schedule") return h("a", { href: `/organizer/schedules/${row.key}/report` }, row.label);
  return row.label;
}

/** The cells of a sales report's row after its name, in the order of `FIGURES`. */
export const FIGURES = ["seats_sold", "gross", "discounts", "booking_fees", "seats_returned", "refunds", "cancellation_fees", "losses", "net", "complimentary"];

export function figureCells(row) {
  const amount = (value) => h("span", { class: "number" }, value ? money(value, row.currency) : "–");
  const count = (value) => h("span", { class: "number" }, value ? number(value) : "–");
  return [
    count(row.seats_sold), amount(row.gross), amount(row.discounts), amount(row.booking_fees), count(row.seats_returned),
    amount(row.refunds), amount(row.cancellation_fees), amount(row.compensation + row.disputes_lost),
    h("strong", { class: "number" }, money(row.net, row.currency)), count(row.complimentary - row.complimentary_returned),
  ];
}
