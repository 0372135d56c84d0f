// The editor of a refund policy of one's own: its steps and grace periods as rows, the booking fee, and the table that
// buyers will see.

import { h, setChildren, uniqueId } from "../../lib/dom.js";
import { decimals, t } from "../../lib/i18n.js";
import { keepState } from "../../lib/redraw.js";
import { form } from "../../components/forms.js";
import { policyTable } from "../../components/refund-policy.js";

const STEPS_MAX = 20;
const GRACE_MAX = 5;
const DAYS_MAX = 3650;
const AMOUNT_MAX = 1e9;
const STEP = { days_before: 0, percent: 10, flat: 0, cap_percent: 100, cap: null };
const STEP_NAMES = ["days", "percent", "flat", "cap", "capAmount"];
// The seven days of the e-commerce law: where a further grace period begins.
const GRACE = { days: 7, hours: 0, days_before: 10 };
const GRACE_NAMES = ["graceFor", "graceUnit", "graceUntil"];

export class OwnPolicy {
  #preview = h("div", { class: "stack", "aria-live": "polite" });
  #fee = {};

  /** `policy` is where the editor begins; `save(body)` sends a policy and may throw a `Problem`. */
  constructor({ policy, currency, save }) {
    Object.assign(this, { policy, currency, unit: 10 ** decimals(currency) });
    const draw = () => this.#draw();
    this.steps = new Rows({ names: STEP_NAMES, values: { currency }, min: 1, max: STEPS_MAX, draw, fields: (one) => this.#stepFields(one), next: () => this.#nextStep(), addText: t("policy.add"), removeText: (one) => t("policy.removeStep", { days: one.days_before }) });
    this.grace = new Rows({ names: GRACE_NAMES, values: {}, min: 0, max: GRACE_MAX, draw, fields: graceFields, next: () => GRACE, addText: t("policy.addGrace"), removeText: (one) => t("policy.removeGrace", { days: one.days_before }) });
    for (const one of policy.steps.length ? policy.steps : [STEP]) this.steps.add(one);
    for (const one of policy.grace) this.grace.add(one);
    for (const rows of [this.steps, this.grace]) keepState(rows.view, { get: () => rows.state, set: (text) => rows.restore(text) });
    this.view = h("details", { class: "own-policy" }, h("summary", {}, t("policy.own")),
      form({
        fields: {}, label: t("policy.save"), submit: () => save(this.body),
        children: [
          h("p", { class: "muted small" }, t("policy.lead")), this.steps.view,
          h("h3", {}, t("policy.grace")), h("p", { class: "muted small" }, t("policy.graceLead")), this.grace.view,
          this.#bookingFee(),
          h("h3", {}, t("policy.preview")), this.#preview,
        ],
      }));
    this.#draw();
  }

  /** The policy in the form of the API. */
  get body() {
    return { steps: this.#steps(), grace: this.grace.rows.map(graceOf), booking_fee_days: this.#fee.on.checked ? whole(this.#fee.days) : null };
  }

  #steps() {
    return this.steps.rows.map(({ days, percent, flat, cap, capAmount }) => ({
      days_before: whole(days), percent: whole(percent), flat: this.#minor(flat),
      cap_percent: cap.value === "" ? 100 : whole(cap), cap: capAmount.value === "" ? null : this.#minor(capAmount),
    }));
  }

  #minor(input) {
    return Math.round(Math.max(0, Number(input.value) || 0) * this.unit);
  }

  #stepFields({ days_before: days, percent, flat, cap_percent: cap, cap: capAmount }) {
    const { currency, unit } = this;
    const step = unit === 1 ? 1 : "any";
    return {
      days: number(t("policy.days"), days, DAYS_MAX), percent: number(t("policy.percent"), percent, 100),
      flat: number(t("policy.flat", { currency }), flat / unit, AMOUNT_MAX, { step }),
      cap: number(t("policy.cap"), cap, 100),
      capAmount: number(t("policy.capAmount", { currency }), capAmount === null ? "" : capAmount / unit, AMOUNT_MAX, { step, required: false }),
    };
  }

  #nextStep() {
    const last = this.#steps().at(-1);
    return { ...last, days_before: Math.max(0, last.days_before - 1) };
  }

  #bookingFee() {
    const { booking_fee_days: days } = this.policy;
    const on = h("input", { type: "checkbox", id: uniqueId("fee"), checked: days !== null, onchange: () => this.#draw() });
    this.#fee = { on, days: number(t("policy.feeDays"), days ?? 7, DAYS_MAX) };
    this.#fee.days.addEventListener("input", () => this.#draw());
    return h("fieldset", { class: "choices" }, h("legend", {}, t("policy.fee")),
      h("label", {}, on, h("span", {}, t("policy.feeReturned"))),
      h("label", { class: "inline-number" }, this.#fee.days, h("span", {}, t("policy.feeDays"))));
  }

  #draw() {
    this.#fee.days.disabled = !this.#fee.on.checked;
    setChildren(this.#preview, policyTable({ ...this.policy, ...this.body, currency: this.currency }));
  }
}

// A table of inputs, at least `min` and at most `max` rows of them.
class Rows {
  rows = [];
  #list = h("tbody");

  constructor(options) {
    Object.assign(this, options);
    const head = [...this.names.map((name) => t(`policy.${name}`, this.values)), t("policy.remove")];
    this.view = h("div", { class: "stack" },
      h("div", { class: "table-area" }, h("table", { class: "table steps" },
        h("thead", {}, h("tr", {}, head.map((name) => h("th", { scope: "col" }, name)))), this.#list)),
      h("div", { class: "actions" }, h("button", { type: "button", class: "button", onclick: () => this.#addNext() }, this.addText)));
  }

  add(one) {
    const row = this.fields(one);
    const remove = h("button", { type: "button", class: "button", onclick: () => this.#remove(row), "aria-label": this.removeText(one) }, t("policy.remove"));
    const cell = (name, content) => h("td", { "data-name": t(`policy.${name}`, this.values) }, content);
    for (const name of this.names) row[name].addEventListener("input", this.draw);
    row.view = h("tr", {}, this.names.map((name) => cell(name, row[name])), cell("remove", remove));
    this.rows.push(row);
    this.#list.append(row.view);
  }

  /** The values of all inputs, as a text. */
  get state() {
    return JSON.stringify(this.rows.map((row) => this.names.map((name) => row[name].value)));
  }

  /** Shows as many rows as `text` has, with its values. */
  restore(text) {
    const values = JSON.parse(text);
    while (this.rows.length > values.length) this.rows.pop().view.remove();
    while (this.rows.length < values.length) this.add(this.next());
    values.forEach((row, at) => this.names.forEach((name, column) => { this.rows[at][name].value = row[column]; }));
    this.draw();
  }

  #addNext() {
    if (this.rows.length >= this.max) return;
    this.add(this.next());
    this.rows.at(-1)[this.names[0]].focus();
    this.draw();
  }

  #remove(row) {
    if (this.rows.length <= this.min) return;
    this.rows.splice(this.rows.indexOf(row), 1);
    row.view.remove();
    this.rows[0]?.[this.names[0]].focus();
    this.draw();
  }
}

function graceFields({ days, hours, days_before: before }) {
  const unit = h("select", { class: "input", "aria-label": t("policy.graceUnit") }, ["days", "hours"].map((name) => h("option", { value: name }, t(`policy.grace.${name}`))));
  unit.value = days === null ? "hours" : "days";
  return { graceFor: number(t("policy.graceFor"), days ?? hours, 8760), graceUnit: unit, graceUntil: number(t("policy.graceUntil"), before, DAYS_MAX) };
}

function graceOf({ graceFor, graceUnit, graceUntil }) {
  const isDays = graceUnit.value === "days";
  return { days: isDays ? whole(graceFor) : null, hours: isDays ? 0 : whole(graceFor), days_before: whole(graceUntil) };
}

function number(label, value, max, { step = 1, required = true } = {}) {
  return h("input", { class: "input", type: "number", inputmode: step === 1 ? "numeric" : "decimal", min: 0, max, step, required, value: String(value), "aria-label": label });
}

function whole(input) {
  return Math.max(0, Math.trunc(Number(input.value) || 0));
}
