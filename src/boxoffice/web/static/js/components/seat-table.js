// The price table of a reservation: its seats and the total.

import { h } from "../lib/dom.js";
import { money, t } from "../lib/i18n.js";
import { seatName } from "../map/labels.js";

/** Returns the price table of a reservation. */
export function seatTable(one) {
  return h("section", { class: "card" },
    h("h2", {}, t("reservation.seats")),
    h("ul", { class: "lines" }, one.seats.map((seat) => h("li", {},
      h("span", { class: "grow" }, seatName(seat), " ", h("span", { class: "muted" }, seat.grade)),
      h("span", { class: "number" }, money(seat.price.amount, seat.price.currency))))),
    h("p", { class: "lines-total" }, h("span", { class: "grow" }, t("reservation.total")), h("strong", { class: "number" }, money(one.amount, one.currency))));
}
