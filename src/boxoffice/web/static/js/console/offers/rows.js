// An editable table: each row has one input per column, and can be removed.

import { h, setChildren } from "../../lib/dom.js";
import { t } from "../../lib/i18n.js";
import { keepState } from "../../lib/redraw.js";

/** `columns`: `{name, label, ...attributes of the input}`. Returns `{view, values()}`; a row without its first value is left out. */
export function editableRows({ label, columns, rows, addLabel }) {
  const body = h("div", { class: "edit-rows" });
  const add = (values = {}, focus = false) => {
    const inputs = columns.map(({ name, label: called, type = "text", ...attributes }) => {
      const input = h("input", { class: "input", type, ...attributes, ...(type === "checkbox" ? { checked: Boolean(values[name]) } : { value: values[name] ?? "" }) });
      return [name, input, h("label", { class: "field" }, h("span", { class: "small" }, called), input)];
    });
    const row = h("div", { class: "edit-row" }, inputs.map(([, , view]) => view),
      h("button", { type: "button", class: "button plain", onclick: () => row.remove() }, t("offers.removeRow")));
    row.inputs = inputs;
    body.append(row);
    if (focus) inputs[0][1].focus();
  };
  rows.forEach((values) => add(values));
  const view = h("fieldset", { class: "edit-set" }, h("legend", {}, label), body,
    h("div", { class: "actions" }, h("button", { type: "button", class: "button", onclick: () => add({}, true) }, addLabel)));
  const read = (input) => (input.type === "checkbox" ? input.checked : input.value.trim());
  const all = () => [...body.children].map((row) => Object.fromEntries(row.inputs.map(([name, input]) => [name, read(input)])));
  keepState(view, {
    get: () => JSON.stringify(all()),
    set: (text) => { setChildren(body); JSON.parse(text).forEach((one) => add(one)); },
  });
  return { view, values: () => all().filter((row) => row[columns[0].name] !== "") };
}

/** Returns the number of a text, or `missing` for an empty one. */
export function numberOr(text, missing) {
  return text === "" ? missing : Number(text);
}
