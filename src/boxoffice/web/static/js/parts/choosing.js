// Beside the map: what is chosen and what it comes to, and the form for "choose for me".

import { h, icon, put, uniqueId } from "../lib/dom.js";
import { list, money, number, t } from "../lib/i18n.js";
import { ICONS } from "./icons.js";

/** The panel of what is chosen: `{view, redraw()}`. Without `hold`, nothing can be held now; `why()` says so, or is empty. */
export function choicePanel({ seats, choice, words, toggle, hold, why }) {
  const items = h("ul", { class: "chosen" });
  const total = h("p", { class: "total number" });
  const advice = h("p", { class: "notice warn small", role: "status", hidden: true });
  const button = h("button", { type: "button", class: "button primary", onclick: () => hold() });
  const view = h("section", { class: "card choice", "aria-label": t("choice.title") },
    h("h2", {}, t("choice.title")), items, advice, h("div", { class: "choice-foot" }, total, button));

  function redraw() {
    const chosen = [...choice.seats];
    view.classList.toggle("empty", chosen.length === 0);
    view.hidden = chosen.length === 0 && seats.free() === 0;
    put(items, chosen.length ? chosen.map(item) : h("li", { class: "quiet" }, why() || t("choice.none", { n: choice.max })));
    put(total, chosen.length ? money(choice.amount, seats.currency) : "");
    put(button, t("choice.hold", { n: chosen.length }));
    button.hidden = chosen.length === 0 || !hold;
    const lonely = [...choice.orphans];
    advice.hidden = lonely.length === 0;
    put(advice, lonely.length ? t("choice.orphan", { seats: list(lonely.map((at) => words.short(at))), n: lonely.length }) : "");
  }

  function item(at) {
    return h("li", {},
      h("span", { class: `swatch grade-${seats.grades[seats.grade[at]].color % 6}` }),
      h("span", { class: "grow" }, words.short(at), " ", h("span", { class: "quiet" }, words.grade(at))),
      h("span", { class: "number" }, words.price(at)),
      h("button", { type: "button", class: "button plain icon-only", "aria-label": t("choice.remove", { seat: words.short(at) }), onclick: () => toggle(at) }, icon(ICONS.close)));
  }

  redraw();
  return { view, redraw };
}

/** The form that lets the shop choose, `hold({quantity, grade?})`: `{view, redraw()}`. It offers what there is. */
export function bestSeats({ seats, max, hold }) {
  const quantityId = uniqueId("quantity");
  const gradeId = uniqueId("grade");
  const quantity = h("select", { id: quantityId, class: "input" });
  const grades = seats.gradesByPrice.map(({ name, at }) => ({ at, option: h("option", { value: name }, name) }));
  const grade = h("select", { id: gradeId, class: "input", onchange: () => redraw() }, h("option", { value: "" }, t("best.any")),
    grades.map(({ option }) => option));
  const onsubmit = (event) => {
    event.preventDefault();
    hold({ quantity: Number(quantity.value), ...(grade.value && { grade: grade.value }) });
  };
  const view = h("section", { class: "card" },
    h("h2", {}, t("best.title")),
    h("p", { class: "hint" }, t("best.lead")),
    h("form", { class: "best", onsubmit },
      h("div", { class: "field" }, h("label", { for: quantityId }, t("best.quantity")), quantity),
      h("div", { class: "field" }, h("label", { for: gradeId }, t("best.grade")), grade),
      h("button", { type: "submit", class: "button" }, t("best.hold"))));

  function redraw() {
    for (const { at, option } of grades) option.disabled = seats.free(at) === 0;
    if (grade.selectedOptions[0].disabled) grade.value = "";
    const wanted = grades.find(({ option }) => option.selected);
    const most = Math.min(max(), seats.free(wanted ? wanted.at : -1));
    view.hidden = most === 0;
    if (quantity.childElementCount === most) return;
    const chosen = Number(quantity.value) || 2;
    put(quantity, Array.from({ length: most }, (_, at) => h("option", { value: at + 1, selected: at + 1 === Math.min(chosen, most) }, number(at + 1))));
  }

  redraw();
  return { view, redraw };
}
