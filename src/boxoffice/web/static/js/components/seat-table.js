// The price table of a reservation: its seats and the total.

import { h } from "../lib/dom.js";
import { money, t } from "../lib/i18n.js";
import { typeName } from "../offers/offers.js";
import { seatName } from "../map/labels.js";

/** Returns the price table of a reservation: the seats with their price types, discount, booking fee and total. */
export function seatTable(one) {
  return h("section", { class: "card" },
    h("h2", {}, t("reservation.seats")),
    h("ul", { class: "lines" }, one.seats.map((seat) => h("li", {},
      h("span", { class: "grow" }, seatName(seat), " ", h("span", { class: "muted" }, seat.grade), priceType(one, seat)),
      h("span", { class: "number" }, money(seat.price.amount, seat.price.currency))))),
    line(t("offers.discount"), -sum(one.seats, "discount"), one.currency),
    line(t("offers.fee"), sum(one.seats, "booking_fee"), one.currency),
    h("p", { class: "lines-total" }, h("span", { class: "grow" }, t("reservation.total")), h("strong", { class: "number" }, money(one.amount, one.currency))));
}

function sum(seats, member) {
  return seats.reduce((total, seat) => total + (seat[member] ?? 0), 0);
}

function line(name, amount, currency) {
  if (!amount) return null;
  return h("p", { class: "lines-part" }, h("span", { class: "grow" }, name), h("span", { class: "number" }, money(amount, currency)));
}

function priceType(one, seat) {
  return seat.price_type ? [" ", priceTypeName(one.schedule_id, seat.price_type)] : null;
}

/** The name of a price type of a schedule, once it is known; its code before. */
export function priceTypeName(scheduleId, code) {
  const name = h("span", { class: "price-type" }, code);
  typeName(scheduleId, code).then((text) => { name.textContent = text; }, () => {});
  return name;
}
