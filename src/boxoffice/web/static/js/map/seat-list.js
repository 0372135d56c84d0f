// The seats as a list, for users who cannot use the canvas: sections, rows, seats. A closed section is not
// built, so a large hall costs nothing.

import { h, setChildren } from "../lib/dom.js";
import { moneyRange, t } from "../lib/i18n.js";
import { STATES } from "./seats.js";

export class SeatList {
  #buttons = new Map();
  #sections = [];

  /** `isChosen(at)`, `own(at)` (`HELD`, `SOLD` or ""), `toggle(at)`, and `name(at)`, the label of a seat. */
  constructor(seats, { isChosen, own = () => "", toggle, name }) {
    this.seats = seats;
    this.isChosen = isChosen;
    this.own = own;
    this.toggle = toggle;
    this.name = name;
    this.#sections = seats.sections.map((section) => this.#section(section));
    this.view = h("div", { class: "seat-list" }, this.#sections.map((one) => one.view));
  }

  /** Redraws these seats. */
  touch(positions) {
    const sections = new Set();
    for (const at of positions) {
      const button = this.#buttons.get(at);
      if (button) this.#mark(button, at);
      sections.add(this.seats.section[at]);
    }
    for (const at of sections) this.#sections[at].count();
  }

  #section(section) {
    const left = h("span", { class: "muted" });
    const body = h("div", { class: "seat-rows" });
    const positions = section.rows.flatMap((row) => row.seats);
    const count = () => setChildren(left, t("seats.freeCount", { n: positions.filter((at) => this.seats.isFree(at)).length }));
    count();
    const view = h("details", {
      ontoggle: () => { if (view.open && !body.hasChildNodes()) setChildren(body, section.rows.map((row) => this.#row(row))); },
    }, h("summary", {}, h("strong", {}, t("seats.section", { name: section.name })), " ", left, " ", h("span", { class: "muted" }, this.#prices(positions))), body);
    return { view, count };
  }

  #prices(positions) {
    const { currency, prices } = this.seats;
    const all = positions.map((at) => prices[at]);
    const [low, high] = [all.reduce((a, b) => Math.min(a, b)), all.reduce((a, b) => Math.max(a, b))];
    return moneyRange({ amount: low, currency }, { amount: high, currency });
  }

  #row(row) {
    const label = t("seats.row", { name: row.name });
    return h("div", { class: "seat-row", role: "group", "aria-label": label },
      h("span", { class: "seat-row-name" }, label),
      row.seats.map((at) => this.#button(at)));
  }

  #button(at) {
    const button = h("button", { type: "button", class: "seat", onclick: () => this.toggle(at) }, String(this.seats.numbers[at]));
    this.#buttons.set(at, button);
    this.#mark(button, at);
    return button;
  }

  #mark(button, at) {
    const isChosen = this.isChosen(at);
    const isFree = this.seats.isFree(at);
    button.className = `seat seat-${STATES[this.seats.status[at]].toLowerCase()} grade-${this.seats.grades[this.seats.grade[at]].color % 6}`;
    const own = this.own(at);
    if (own) button.classList.add("seat-own", `seat-own-${own.toLowerCase()}`);
    button.setAttribute("aria-pressed", String(isChosen));
    button.setAttribute("aria-label", this.name(at));
    if (isFree || isChosen || own) button.removeAttribute("aria-disabled");
    else button.setAttribute("aria-disabled", "true");
  }
}
