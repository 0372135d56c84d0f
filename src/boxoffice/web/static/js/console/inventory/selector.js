// A live seat map on which an organizer selects seats: by click, row, section, grade, or a list of ids.

import { get } from "../../lib/api.js";
import { h, icon, setChildren, uniqueId } from "../../lib/dom.js";
import { money, number, t } from "../../lib/i18n.js";
import { keepState, markSent, valuesOf } from "../../lib/redraw.js";
import { announcer } from "../../components/announcer.js";
import { ICONS } from "../../components/icons.js";
import { names } from "../../map/labels.js";
import { legend } from "../../map/legend.js";
import { follow } from "../../map/seat-events.js";
import { SeatMap } from "../../map/seat-map.js";
import { AVAILABLE, BLOCKED, HELD, SOLD, Seats } from "../../map/seats.js";

const STATE_NAMES = [[AVAILABLE, "live.available"], [HELD, "live.held"], [SOLD, "live.sold"], [BLOCKED, "live.blocked"]];

/**
 * Loads the map of a schedule that buyers see. `may(seats, at)` says whether a seat can be selected; `changed()` is
 * called after each change of the selection or of a selected seat's state.
 */
export async function seatSelector(schedule, { signal, refresh, may = () => true, changed = () => {} }) {
  const id = schedule.schedule_id;
  const map = await get(`/v1/schedules/${id}/seats`, { signal, anonymous: true });
  return new SeatSelector(id, new Seats(map), { signal, refresh, may, changed });
}

class SeatSelector {
  #selected = new Set();
  #summary = h("p", { role: "status" });
  #may;
  #changed;

  constructor(id, seats, { signal, refresh, may, changed }) {
    this.seats = seats;
    this.words = names(seats);
    this.#may = may;
    this.#changed = changed;
    const label = (at) => this.words.whole(at, this.#selected.has(at));
    this.map = new SeatMap(seats, {
      words: { label: t("inventory.mapLabel"), stage: t("seats.stage"), section: (name) => t("seats.section", { name }) },
      chosen: () => this.#selected, orphans: () => [],
      toggle: (at) => { this.#toggle(at); announcer.announce(label(at)); },
      look: (at, place) => { if (at >= 0 && !place) announcer.announce(label(at)); },
      aspect: matchMedia("(max-width: 720px)").matches ? 0.75 : 1.5,
    });
    const keys = legend(seats, (grade) => this.map.filter(grade));
    follow(id, seats, {
      signal, state: () => {}, replaced: refresh,
      changed: (positions) => {
        this.map.touch(positions);
        keys.count();
        if (positions.some((at) => this.#selected.has(at))) this.#show();
      },
    });
    const box = h("div", { class: "map-box" }, this.map.view, zoom(this.map));
    keepState(box, { get: () => JSON.stringify(this.ids), set: (text) => this.#add(JSON.parse(text).map((one) => seats.find(one)).filter((at) => at !== undefined)) });
    this.view = h("div", { class: "card map-panel", "data-form": "seats" },
      box, keys.view,
      h("div", { class: "inventory-tools" }, this.#parts(), this.#list(), this.#summary,
        h("div", { class: "actions" }, h("button", { type: "button", class: "button", onclick: () => this.clear() }, t("inventory.clear")))));
    this.#show();
  }

  /** The ids of the selected seats. */
  get ids() {
    return [...this.#selected].map((at) => this.seats.ids[at]);
  }

  /** The price of the selected seats in minor units. */
  get amount() {
    return [...this.#selected].reduce((sum, at) => sum + this.seats.prices[at], 0);
  }

  get count() {
    return this.#selected.size;
  }

  /** Empties the selection; what was typed to select seats has served its purpose. */
  clear() {
    this.#selected.clear();
    this.#redraw();
    markSent(this.view, valuesOf(this.view));
  }

  close() {
    this.map.close();
  }

  #toggle(at) {
    if (!this.#selected.delete(at)) {
      if (!this.#may(this.seats, at)) { announcer.notify(t("seats.notFree"), "bad"); return; }
      this.#selected.add(at);
    }
    this.#redraw();
  }

  #add(positions) {
    const free = positions.filter((at) => this.#may(this.seats, at));
    for (const at of free) this.#selected.add(at);
    this.#redraw();
    announcer.announce(t("inventory.selected", { n: this.count }));
  }

  #redraw() {
    this.map.draw();
    this.#show();
  }

  #show() {
    const counts = STATE_NAMES.map(([state, name]) => [name, [...this.#selected].filter((at) => this.seats.status[at] === state).length]);
    const parts = counts.filter(([, n]) => n).map(([name, n]) => `${t(name)} ${number(n)}`);
    setChildren(this.#summary, h("strong", {}, t("inventory.selected", { n: this.count })),
      this.count > 0 && ` · ${parts.join(", ")} · ${money(this.amount, this.seats.currency)}`);
    this.#changed();
  }

  // Everything that a pointer selects on the map can be selected here with the keyboard.
  #parts() {
    const { seats } = this;
    const option = (value, text) => h("option", { value }, text);
    const section = h("select", { class: "input", id: uniqueId("section") }, option("", t("inventory.anySection")), seats.sections.map(({ name }, at) => option(at, name)));
    const row = h("select", { class: "input", id: uniqueId("row") });
    const grade = h("select", { class: "input", id: uniqueId("grade") }, option("", t("inventory.anyGrade")), seats.gradesByPrice.map(({ name, at }) => option(at, name)));
    const rowsOf = () => (section.value === "" ? [] : seats.sections[section.value].rows);
    const fillRows = () => setChildren(row, option("", t("inventory.anyRow")), rowsOf().map(({ name, at }) => option(at, name)));
    section.addEventListener("change", fillRows);
    fillRows();
    const add = () => {
      const positions = Array.from({ length: seats.count }, (_, at) => at).filter((at) => (section.value === "" || seats.section[at] === Number(section.value))
        && (row.value === "" || seats.row[at] === Number(row.value)) && (grade.value === "" || seats.grade[at] === Number(grade.value)));
      this.#add(positions);
    };
    const field = (label, input) => h("div", { class: "field" }, h("label", { for: input.id }, label), input);
    return h("div", { class: "find" }, field(t("import.section"), section), field(t("inventory.row"), row), field(t("import.grade"), grade),
      h("button", { type: "button", class: "button", onclick: add }, t("inventory.add")));
  }

  #list() {
    const input = h("textarea", { class: "input", id: uniqueId("ids"), rows: 2, placeholder: "A-1-1, A-1-2" });
    const wrong = h("p", { class: "field-error", role: "alert" });
    const add = () => {
      const ids = input.value.split(/[\s,;]+/).filter(Boolean);
      const unknown = ids.filter((id) => this.seats.find(id) === undefined);
      wrong.textContent = unknown.length ? t("inventory.unknown", { ids: unknown.slice(0, 5).join(", ") }) : "";
      if (!unknown.length) this.#add(ids.map((id) => this.seats.find(id)));
    };
    return h("details", {}, h("summary", {}, t("inventory.byId")),
      h("div", { class: "field" }, h("label", { for: input.id }, t("inventory.ids")), input, wrong),
      h("div", { class: "actions" }, h("button", { type: "button", class: "button", onclick: add }, t("inventory.addIds"))));
  }
}

function zoom(map) {
  const button = (name, path, act) => h("button", { type: "button", class: "button icon-only", "aria-label": t(name), onclick: act }, icon(path));
  return h("div", { class: "zoom" },
    button("seats.zoomIn", ICONS.plus, () => { map.zoom(1.5); map.rest(); }),
    button("seats.zoomOut", ICONS.minus, () => { map.zoom(1 / 1.5); map.rest(); }),
    button("seats.zoomFit", ICONS.fit, () => map.fit()));
}

/** A labelled list to choose from: `view` and `value`. */
export function choice(label, options) {
  const id = uniqueId("choice");
  const input = h("select", { class: "input", id }, options.map(([value, text]) => h("option", { value }, text)));
  return { view: h("div", { class: "field" }, h("label", { for: id }, label), input), get value() { return input.value; }, input };
}
