// How a seat is called.

import { money, t } from "../lib/i18n.js";
import { STATES } from "./seats.js";

/** Returns functions that make the labels of seats. */
export function names(seats) {
  const place = (at) => ({
    section: seats.sections[seats.section[at]].name, row: seats.rows[seats.row[at]].name, number: String(seats.numbers[at]),
  });
  const price = (at) => money(seats.prices[at], seats.currency);
  return {
    /** Where it is. */
    short: (at) => t("seat.place", place(at)),
    price,
    grade: (at) => seats.grades[seats.grade[at]].name,
    /** Everything about it. */
    whole: (at, isChosen, own = "") => t("seat.whole", {
      place: t("seat.place", place(at)), grade: seats.grades[seats.grade[at]].name, price: price(at),
      state: t(isChosen ? "seat.CHOSEN" : own ? `seat.own.${own}` : `seat.${STATES[seats.status[at]]}`),
    }),
  };
}

/** Returns how a seat of a reservation or a ticket is called. */
export function seatName({ section, row, number }) {
  return t("seat.place", { section, row, number: String(number) });
}
