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

// The figures of a row by name; those that are always shown, and those that count seats.
const VALUES = {
  seats_sold: (row) => row.seats_sold,
  gross: (row) => row.gross,
  discounts: (row) => row.discounts,
  booking_fees: (row) => row.booking_fees,
  seats_returned: (row) => row.seats_returned,
  refunds: (row) => row.refunds,
  cancellation_fees: (row) => row.cancellation_fees,
  losses: (row) => row.compensation + row.disputes_lost,
  net: (row) => row.net,
  complimentary: (row) => row.complimentary - row.complimentary_returned,
};
const ALWAYS = new Set(["seats_sold", "gross", "net"]);
const COUNTS = new Set(["seats_sold", "seats_returned", "complimentary"]);

/** The names of the figures that some row has. */
export function figuresOf(rows) {
  return Object.keys(VALUES).filter((name) => ALWAYS.has(name) || rows.some((row) => VALUES[name](row)));
}

/** The cells of a row for these figures. */
export function figureCells(row, names) {
  return names.map((name) => {
    const value = VALUES[name](row);
    const text = !value && name !== "net" ? "–" : COUNTS.has(name) ? number(value) : money(value, row.currency);
    return h(name === "net" ? "strong" : "span", { class: "number" }, text);
  });
}
