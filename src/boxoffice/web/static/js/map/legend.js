// The legend of colours and shapes; a click on a grade filters the map.

import { h, setChildren, svg } from "../lib/dom.js";
import { moneyRange, t } from "../lib/i18n.js";

/** Returns `{view, count()}`; `filter(grade)` is called with a grade's position, -1 for all. */
export function legend(seats, filter) {
  let only = -1;
  const chips = seats.gradesByPrice.map((grade) => {
    const left = h("span", { class: "muted number" });
    const button = h("button", { type: "button", class: "grade-chip", "aria-pressed": "false", onclick: () => choose(grade.at) },
      h("span", { class: `swatch grade-${grade.color % 6}` }), h("strong", {}, grade.name), " ", h("span", { class: "grade-price" }, price(seats, grade)), " ", left);
    return { at: grade.at, button, left };
  });
  const shapes = h("ul", { class: "shapes" }, ["free", "chosen", "own", "bought", "held", "sold", "blocked"].map((name) => h("li", {}, shape(name), t(`legend.${name}`))));

  function choose(grade) {
    only = only === grade ? -1 : grade;
    for (const { at, button } of chips) button.setAttribute("aria-pressed", String(at === only));
    filter(only);
  }

  function count() {
    for (const { at, left } of chips) setChildren(left, t("legend.left", { n: seats.free(at) }));
  }

  count();
  const view = h("div", { class: "legend" },
    h("div", { class: "grades", role: "group", "aria-label": t("legend.grades") }, chips.map(({ button }) => button)), shapes);
  return { view, count };
}

function price(seats, { low, high }) {
  const { currency } = seats;
  return moneyRange({ amount: low, currency }, { amount: high, currency });
}

// As the painter draws them.
function shape(name) {
  const drawn = {
    free: () => svg("rect", { class: "full", x: 2, y: 2, width: 12, height: 12, rx: 3 }),
    chosen: () => [svg("rect", { class: "mine", x: 1.5, y: 1.5, width: 13, height: 13, rx: 3.5 }), svg("path", { class: "tick", d: "M4.6 8.4 7 11l4.6-5.2" })],
    own: () => [svg("rect", { class: "own", x: 1.5, y: 1.5, width: 13, height: 13, rx: 3.5 }), svg("path", { class: "own-mark", d: "M8 4v4.6l3 1.9" })],
    bought: () => [svg("path", { class: "own", d: "M8 .8 15.2 8 8 15.2.8 8z" }), svg("path", { class: "own-mark", d: "M8 5.4 10.6 8 8 10.6 5.4 8z" })],
    held: () => svg("rect", { class: "edge", x: 3, y: 3, width: 10, height: 10 }),
    sold: () => svg("path", { class: "edge", d: "m5 5 6 6m0-6-6 6" }),
    blocked: () => svg("path", { class: "edge faint", d: "M4 8h8" }),
  };
  return svg("svg", { viewBox: "0 0 16 16", class: "shape", "aria-hidden": "true" }, drawn[name]());
}
