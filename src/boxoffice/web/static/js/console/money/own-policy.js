// The editor of a refund policy of one's own: its steps as rows, and the table that buyers will see.

import { h, setChildren, uniqueId } from "../../lib/dom.js";
import { decimals, t } from "../../lib/i18n.js";
import { form } from "../../components/forms.js";
import { policyTable } from "../../components/refund-policy.js";

const STEPS_MAX = 20;
// The grace periods that are offered: that of the e-commerce law, and that of the consumer standard.
const GRACE = { law: { days: 7, hours: 0, days_before: 10 }, day: { days: null, hours: 24, days_before: 3 } };

export class OwnPolicy {
  #rows = [];
  #list = h("tbody");
  #preview = h("div", { class: "stack", "aria-live": "polite" });
  #grace = {};

  /** `policy` is where the editor begins; `save(body)` sends a policy and may throw a `Problem`. */
  constructor({ policy, currency, save }) {
    Object.assign(this, { policy, currency });
    const first = policy.steps.length ? policy.steps : [{ days_before: 0, percent: 10, flat: 0, cap_percent: 100, cap: null }];
    for (const step of first) this.#add(step);
    const names = ["days", "percent", "flat", "cap"].map((name) => t(`policy.${name}`, { currency }));
    this.view = h("details", { class: "own-policy" }, h("summary", {}, t("policy.own")),
      form({
        fields: {}, label: t("policy.save"), submit: () => save(this.body),
        children: [
          h("p", { class: "muted small" }, t("policy.lead")),
          h("div", { class: "table-area" }, h("table", { class: "table steps" },
            h("thead", {}, h("tr", {}, [...names, t("policy.remove")].map((name) => h("th", { scope: "col" }, name)))), this.#list)),
          h("div", { class: "actions" }, h("button", { type: "button", class: "button", onclick: () => this.#addLast() }, t("policy.add"))),
          this.#graceBoxes(),
          h("h3", {}, t("policy.preview")), this.#preview,
        ],
      }));
    this.#draw();
  }

  /** The policy in the form of the API. */
  get body() {
    const grace = Object.keys(GRACE).filter((name) => this.#grace[name].checked).map((name) => GRACE[name]);
    return { steps: this.#steps(), grace };
  }

  #steps() {
    const unit = 10 ** decimals(this.currency);
    return this.#rows.map(({ days, percent, flat, cap }) => ({
      days_before: whole(days), percent: whole(percent), flat: Math.round(Number(flat.value) * unit),
      cap_percent: cap.value === "" ? 100 : whole(cap), cap: null,
    }));
  }

  #add(step) {
    const unit = 10 ** decimals(this.currency);
    const row = {
      days: number(t("policy.days"), step.days_before, 3650), percent: number(t("policy.percent"), step.percent, 100),
      flat: number(t("policy.flat", { currency: this.currency }), step.flat / unit, 1e9, unit === 1 ? 1 : "any"),
      cap: number(t("policy.cap"), step.cap_percent, 100),
    };
    const remove = h("button", { type: "button", class: "button", onclick: () => this.#remove(row), "aria-label": t("policy.removeStep", { days: step.days_before }) }, t("policy.remove"));
    const cell = (name, content) => h("td", { "data-name": t(`policy.${name}`, { currency: this.currency }) }, content);
    row.view = h("tr", {}, ["days", "percent", "flat", "cap"].map((name) => cell(name, row[name])), cell("remove", remove));
    for (const name of ["days", "percent", "flat", "cap"]) row[name].addEventListener("input", () => this.#draw());
    this.#rows.push(row);
    this.#list.append(row.view);
  }

  #addLast() {
    if (this.#rows.length >= STEPS_MAX) return;
    const last = this.#steps().at(-1);
    const { days_before: days, percent, flat, cap_percent: cap } = last;
    this.#add({ days_before: Math.max(0, days - 1), percent, flat, cap_percent: cap, cap: null });
    this.#rows.at(-1).days.focus();
    this.#draw();
  }

  #remove(row) {
    if (this.#rows.length === 1) return;
    this.#rows.splice(this.#rows.indexOf(row), 1);
    row.view.remove();
    this.#rows[0].days.focus();
    this.#draw();
  }

  #graceBoxes() {
    const boxes = Object.entries(GRACE).map(([name, one]) => {
      const isOn = this.policy.grace.some((has) => has.days === one.days && has.hours === one.hours && has.days_before === one.days_before);
      this.#grace[name] = h("input", { type: "checkbox", id: uniqueId("grace"), checked: isOn, onchange: () => this.#draw() });
      const text = one.days === null ? t("refund.graceHours", { hours: one.hours, days: one.days_before }) : t("refund.graceDays", { after: one.days, days: one.days_before });
      return h("label", {}, this.#grace[name], h("span", {}, text));
    });
    return h("fieldset", { class: "choices" }, h("legend", {}, t("policy.grace")), boxes);
  }

  #draw() {
    setChildren(this.#preview, policyTable({ ...this.policy, ...this.body, currency: this.currency }));
  }
}

function number(label, value, max, step = 1) {
  return h("input", { class: "input", type: "number", inputmode: step === 1 ? "numeric" : "decimal", min: 0, max, step, required: true, value: String(value), "aria-label": label });
}

function whole(input) {
  return Math.max(0, Math.trunc(Number(input.value) || 0));
}
