// Forms: labelled fields, each with its error message.

import { h, setChildren, uniqueId } from "../lib/dom.js";
import { t } from "../lib/i18n.js";
import { markSent, valuesOf } from "../lib/redraw.js";
import { ownErrorText, requestReference, errorText } from "./problem.js";

/** A labelled input: `field.input`, `field.view`, and `field.complain(text)`, "" for no error. */
export class Field {
  constructor({ label, hint, ...attributes }) {
    const id = uniqueId("field");
    this.#error = h("p", { class: "field-error", id: `${id}-error` });
    this.input = h(attributes.rows ? "textarea" : "input", {
      id, class: "input", "aria-describedby": hint ? `${id}-hint ${id}-error` : `${id}-error`, ...attributes,
    });
    this.input.addEventListener("input", () => this.complain(""));
    this.view = h("div", { class: "field" },
      h("label", { for: id }, label),
      hint && h("p", { class: "hint", id: `${id}-hint` }, hint),
      attributes.type === "password" ? this.#withReveal(id) : this.input,
      this.#error);
  }

  #error;

  // A password that is shown can be checked before it is sent.
  #withReveal(id) {
    const button = h("button", { type: "button", class: "reveal-button", "aria-controls": id }, t("field.show"));
    button.addEventListener("click", () => {
      const isHidden = this.input.type === "password";
      this.input.type = isHidden ? "text" : "password";
      setChildren(button, t(isHidden ? "field.hide" : "field.show"));
    });
    return h("div", { class: "reveal" }, this.input, button);
  }

  get value() {
    return this.input.value;
  }

  complain(text) {
    this.#error.textContent = text;
    if (text) this.input.setAttribute("aria-invalid", "true");
    else this.input.removeAttribute("aria-invalid");
  }

  /** Shows the error of the browser's own validation; returns whether the field is valid. */
  check() {
    const { validity } = this.input;
    if (validity.valid) return true;
    if (validity.valueMissing) this.complain(t("field.missing"));
    else if (validity.tooShort) this.complain(t("field.short", { n: this.input.minLength }));
    else if (validity.typeMismatch || validity.patternMismatch) this.complain(t("field.pattern"));
    else this.complain(this.input.validationMessage);
    return false;
  }
}

/** A labelled list to choose from, with the members of a `Field`; `options` are pairs of a value and a name. */
export class Choice {
  constructor({ label, hint, value, options }) {
    const id = uniqueId("field");
    this.input = h("select", { id, class: "input", "aria-describedby": hint ? `${id}-hint` : null },
      options.map(([one, name]) => h("option", { value: one, selected: one === value }, name)));
    this.view = h("div", { class: "field" }, h("label", { for: id }, label), hint && h("p", { class: "hint", id: `${id}-hint` }, hint), this.input, this.#error);
  }

  #error = h("p", { class: "field-error" });

  get value() {
    return this.input.value;
  }

  complain(text) {
    this.#error.textContent = text;
  }

  /** A list has no value that is invalid. */
  check() {
    return true;
  }
}

/**
 * A form of fields. An error thrown by `submit(values)` is shown at the field that the server named, else
 * below the fields; the form can be sent again. The button is disabled while the form is being sent. Where the user
 * thinks better of it, `submit` returns false.
 */
export function form({ fields, label, submit, children = [], busyLabel }) {
  const failed = h("p", { class: "form-error", role: "alert" });
  const button = h("button", { type: "submit", class: "button primary" }, label);
  for (const [name, field] of Object.entries(fields)) field.input.dataset.field = name;
  const onsubmit = async (event) => {
    event.preventDefault();
    if (button.getAttribute("aria-disabled")) return;
    setChildren(failed);
    const wrong = Object.values(fields).filter((field) => !field.check());
    if (wrong.length) {
      wrong[0].input.focus();
      return;
    }
    const values = valuesOf(view);
    busy(button, true, busyLabel ?? t("busy"));
    view.setAttribute("aria-busy", "true");
    try {
      const isSent = await submit(Object.fromEntries(Object.entries(fields).map(([name, field]) => [name, field.value])));
      if (isSent !== false) markSent(view, values);
    } catch (error) {
      if (!blame(fields, error)) setChildren(failed, errorText(error), " ", requestReference(error));
    } finally {
      busy(button, false, label);
      view.removeAttribute("aria-busy");
    }
  };
  const view = h("form", { class: "form", novalidate: true, onsubmit, "data-form": Object.keys(fields).join(" ") },
    Object.values(fields).map((field) => field.view), children, failed,
    h("div", { class: "actions" }, button));
  return view;
}

function busy(button, isBusy, label) {
  setChildren(button, label);
  // A disabled button would lose the focus.
  if (isBusy) button.setAttribute("aria-disabled", "true");
  else button.removeAttribute("aria-disabled");
}

function blame(fields, error) {
  const named = (error.body?.errors ?? []).filter(({ path }) => path?.replace("$.", "") in fields);
  // Translated if the refusal has its own code.
  const own = ownErrorText(error);
  for (const { path, message } of named) fields[path.replace("$.", "")].complain(own || message);
  if (named.length) fields[named[0].path.replace("$.", "")].input.focus();
  return named.length > 0;
}
