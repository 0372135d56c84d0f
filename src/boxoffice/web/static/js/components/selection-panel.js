// Beside the map: the selected seats with their total, and the form for the best seats.

import { h, icon, setChildren, uniqueId } from "../lib/dom.js";
import { list, money, number, t } from "../lib/i18n.js";
import { redraw as redrawPart } from "../lib/redraw.js";
import { ICONS } from "./icons.js";

/**
 * The panel of selected seats: `{view, redraw()}`, with the prices of `offers`. Without `hold` nothing can be held
 * now; `why()` returns the reason or "".
 */
export function selectionPanel({ seats, selection, words, offers, toggle, hold, why }) {
  const items = h("ul", { class: "selected-seats" });
  const total = h("p", { class: "total number" });
  const advice = h("p", { class: "notice warn small", role: "status", hidden: true });
  const button = h("button", { type: "button", class: "button primary", onclick: () => hold() });
  const view = h("section", { class: "card selection", "aria-label": t("selection.title") },
    h("h2", {}, t("selection.title")), items, advice, h("div", { class: "selection-foot" }, total, button));

  let shown = "";

  function redraw() {
    const chosen = [...selection.seats];
    view.classList.toggle("empty", chosen.length === 0);
    view.hidden = chosen.length === 0 && seats.free() === 0;
    showItems(chosen);
    const cost = offers.costOf(chosen);
    setChildren(total, chosen.length ? money(cost.total, seats.currency) : "",
      cost.fee > 0 && h("span", { class: "muted small" }, " ", t("offers.fee"), " ", money(cost.fee, seats.currency)));
    setChildren(button, t("selection.hold", { n: chosen.length }));
    button.hidden = chosen.length === 0 || !hold;
    const orphans = [...selection.orphans];
    advice.hidden = orphans.length === 0;
    setChildren(advice, orphans.length ? t("selection.orphan", { seats: list(orphans.map((at) => words.short(at))), n: orphans.length }) : "");
  }

  // The changes of other seats leave the list as it is, with an open choice of a price.
  function showItems(chosen) {
    const now = JSON.stringify(chosen.map((at) => [at, offers.typeOf(at), offers.typesOf(at)]));
    if (chosen.length && now === shown) return;
    shown = now;
    redrawPart(items, chosen.length ? chosen.map(item) : h("li", { class: "muted" }, why() || t("selection.none", { n: selection.max })));
  }

  function item(at) {
    return h("li", { class: offers.hasTypes(at) ? "with-types" : null },
      h("span", { class: `swatch grade-${seats.grades[seats.grade[at]].color % 6}` }),
      h("span", { class: "grow" }, words.short(at), " ", h("span", { class: "muted" }, words.grade(at)), about(at)),
      offers.hasTypes(at) ? typeChoice(at) : h("span", { class: "number" }, money(offers.typeOf(at).price, seats.currency)),
      h("button", { type: "button", class: "button plain icon-only", "aria-label": t("selection.remove", { seat: words.short(at) }), onclick: () => toggle(at) }, icon(ICONS.close)));
  }

  // What a buyer has to know before the purchase.
  function about(at) {
    const kind = offers.kindOf(at);
    const texts = [kind && t(`offers.${kind}`), offers.noteOf(at)].filter(Boolean);
    return texts.map((text) => h("span", { class: "seat-note" }, text));
  }

  function typeChoice(at) {
    const chosen = offers.typeOf(at);
    const label = t("offers.type", { seat: words.short(at) });
    const choose = (event) => { offers.choose(at, event.target.value); redraw(); items.querySelector(`[data-at="${at}"]`)?.focus(); };
    return h("span", { class: "type-choice" },
      h("select", { class: "input", "aria-label": label, "data-at": at, onchange: choose },
        offers.typesOf(at).map(({ code, name, price }) => h("option", { value: code, selected: code === chosen.code },
          t("offers.typeChoice", { name, price: money(price, seats.currency) })))),
      chosen.note && h("span", { class: "seat-note" }, chosen.note));
  }

  redraw();
  return { view, redraw };
}

/** The form for the best seats, `hold({quantity, grade?})`: `{view, redraw()}`. It offers only available quantities. */
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
    setChildren(quantity, Array.from({ length: most }, (_, at) => h("option", { value: at + 1, selected: at + 1 === Math.min(chosen, most) }, number(at + 1))));
  }

  redraw();
  return { view, redraw };
}
