// Draws a part of a page again and keeps what the user has done to it: values that are typed or chosen and not sent,
// the errors of forms, open details, focus, text selection and scrolled tables.

import { setChildren } from "./dom.js";
import { t } from "./i18n.js";

// `data-form` marks inputs that belong together without being a form.
const FORMS = "form, [data-form]";
// A script cannot choose a file. What picks a colour writes it to the field beside it, which is kept.
const CONTROLS = "input:not([type=file]):not([type=color]), textarea, select, [data-component]";
const SCROLLED = "[role=region], textarea";
const FOCUSABLE = "a[href], button, input, textarea, select, summary, [tabindex]";
const IN_USE_CHECK_MS = 50;
// Longer than one try of a call of the API may take.
const IN_USE_MAX_MS = 20_000;

// What page or server gave to a control; without an entry, what it was built with.
const given = new WeakMap();
const sent = new WeakSet();
const components = new WeakMap();

/** Keeps the state of `element`, which is more than its inputs: `get()` returns it as a text, `set(text)` restores it. */
export function keepState(element, { get, set }) {
  element.dataset.component = "";
  components.set(element, { get, set });
  given.set(element, get());
}

/** Returns the values of a form, for `markSent`. */
export function valuesOf(form) {
  return new Map(controlsOf(form).map((control) => [control, valueOf(control)]));
}

/** Says that the server has taken these `values` of a form: what differs from them was typed later and is kept. */
export function markSent(form, values) {
  for (const [control, value] of values) given.set(control, value);
  sent.add(form);
}

/** Replaces the children of `root`, and keeps what the user has done. Not for another user's data. */
export function redraw(root, ...children) {
  const kept = { forms: keptForms(root), details: keptDetails(root), scrolled: keptScroll(root), focus: keptFocus(root) };
  setChildren(root, ...children);
  restoreForms(root, kept.forms);
  const details = named(root, "details", detailsName);
  for (const [key, { open }] of kept.details) if (details.has(key)) details.get(key).open = open;
  const scrolled = named(root, SCROLLED, formName);
  for (const [key, place] of kept.scrolled) scrolled.get(key)?.scrollTo(place);
  if (kept.focus) restoreFocus(root, kept.focus);
}

/** Waits while the user presses something in `root`, composes a syllable, or a form of it is being sent. */
export async function untilUnused(root, signal) {
  const end = performance.now() + IN_USE_MAX_MS;
  while (isInUse(root) && !signal.aborted && performance.now() < end) {
    await new Promise((resolve) => { setTimeout(resolve, IN_USE_CHECK_MS); });
  }
}

function isInUse(root) {
  return root.contains(pressed) || root.contains(composing) || root.querySelector("form[aria-busy]") !== null;
}

let pressed = null;
let composing = null;
const always = { capture: true, passive: true };
addEventListener("pointerdown", (event) => { pressed = event.target; }, always);
// The list of a select takes the event that ends a press, and the pointer may rest after that.
for (const name of ["pointerup", "pointercancel", "keydown", "change"]) addEventListener(name, () => { pressed = null; }, always);
// The pointer was lifted outside the window.
addEventListener("pointermove", (event) => { if (!event.buttons) pressed = null; }, always);
addEventListener("compositionstart", (event) => { composing = event.target; }, always);
addEventListener("compositionend", () => { composing = null; }, always);

// The elements of `root` by a name that the same element has in the next drawing, also in another language: the keys of
// the records around it, its own name, and a number among its equals.
function named(root, selector, nameOf) {
  const counts = new Map();
  return new Map([...root.querySelectorAll(selector)].map((element) => {
    const name = `${recordsAround(element, root)} ${nameOf(element)}`;
    counts.set(name, (counts.get(name) ?? 0) + 1);
    return [`${name} ${counts.get(name)}`, element];
  }));
}

function recordsAround(element, root) {
  const keys = [];
  for (let at = element; at && at !== root; at = at.parentElement) if (at.dataset?.key) keys.push(at.dataset.key);
  return keys.join(" ");
}

function formName(form) {
  return form.dataset.form ?? form.className;
}

function detailsName(details) {
  return [...details.querySelectorAll(FORMS)].map(formName).join(" ") || details.className;
}

function controlName(control) {
  return [control.tagName, control.type === "radio" ? control.value : control.type, control.dataset.field].join(" ");
}

function focusName(element) {
  return element.matches("input, textarea, select") ? controlName(element) : `${element.tagName} ${element.getAttribute("aria-label") ?? element.textContent}`;
}

function controlsOf(form) {
  return [...form.querySelectorAll(CONTROLS)].filter((one) => one.closest(FORMS) === form && !one.parentElement.closest("[data-component]"));
}

function namedControls(form) {
  const own = new Set(controlsOf(form));
  return new Map([...named(form, CONTROLS, controlName)].filter(([, control]) => own.has(control)));
}

function isChoice(control) {
  return control.type === "checkbox" || control.type === "radio";
}

function valueOf(control) {
  if (components.has(control)) return components.get(control).get();
  return isChoice(control) ? control.checked : control.value;
}

function isChanged(control) {
  return valueOf(control) !== givenTo(control);
}

function givenTo(control) {
  return given.has(control) ? given.get(control) : builtWith(control);
}

function builtWith(control) {
  if (isChoice(control)) return control.defaultChecked;
  if (control.options) return ([...control.options].find((one) => one.defaultSelected) ?? control.options[0])?.value ?? "";
  // In the form that the browser gives to a value of this type.
  const same = control.cloneNode();
  same.value = control.defaultValue;
  return same.value;
}

// The forms with something to keep.
function keptForms(root) {
  return [...named(root, FORMS, formName)]
    .map(([key, form]) => [key, { error: errorOf(form)?.textContent, controls: keptControls(form) }])
    .filter(([, { error, controls }]) => error || controls.size);
}

function keptControls(form) {
  return new Map([...namedControls(form)]
    .map(([name, control]) => [name, { isChanged: isChanged(control), given: givenTo(control), value: valueOf(control), error: errorAt(control)?.textContent }])
    .filter(([, { isChanged: is, error }]) => is || error));
}

function restoreForms(root, forms) {
  // A restored value may draw other parts of the page, so each form is looked for anew.
  for (const [key, kept] of forms) {
    const form = named(root, FORMS, formName).get(key);
    if (form) restoreForm(form, kept);
  }
}

function restoreForm(form, { controls, error }) {
  let said = error;
  for (const [name, control] of namedControls(form)) {
    const before = controls.get(name);
    // The page has the version of the other change now, so the server would not refuse to replace it.
    if (before?.isChanged && ![before.given, before.value].includes(givenTo(control))) said ||= t("form.changedMeanwhile");
    if (before?.isChanged) restoreValue(control, before.value);
    if (before?.error) restoreError(control, before.error);
  }
  if (said && errorOf(form)) errorOf(form).textContent = said;
}

function restoreError(control, error) {
  const place = errorAt(control);
  if (!place) return;
  place.textContent = error;
  control.setAttribute("aria-invalid", "true");
}

function errorOf(form) {
  return form.querySelector(":scope > .form-error");
}

function errorAt(control) {
  return control.closest(".field")?.querySelector(".field-error");
}

function restoreValue(control, value) {
  if (components.has(control)) {
    components.get(control).set(value);
    return;
  }
  // The button that was chosen instead is restored by itself; one that is disabled cannot be chosen any more.
  if (control.type === "radio" && (!value || control.disabled)) return;
  // What was chosen does not exist any more.
  if (control.options && ![...control.options].some((one) => one.value === value)) return;
  if (isChoice(control)) control.checked = value;
  else control.value = value;
  for (const name of ["input", "change"]) control.dispatchEvent(new Event(name, { bubbles: true }));
}

// Details that the page opens by itself stay open; those of a form that was sent have served their purpose.
function keptDetails(root) {
  return [...named(root, "details", detailsName)].filter(([, details]) => !isDone(details));
}

function isDone(details) {
  const forms = [...details.querySelectorAll(FORMS)];
  return forms.some((form) => sent.has(form)) && !forms.some((form) => controlsOf(form).some(isChanged));
}

function keptScroll(root) {
  return [...named(root, SCROLLED, formName)].filter(([, one]) => one.scrollTop || one.scrollLeft)
    .map(([key, one]) => [key, { top: one.scrollTop, left: one.scrollLeft, behavior: "instant" }]);
}

function keptFocus(root) {
  const element = document.activeElement;
  if (element === root || !root.contains(element)) return null;
  const form = element.closest(FORMS);
  const place = form && root.contains(form) ? form : root;
  const nameIn = (map, wanted) => [...map].find(([, one]) => one === wanted)?.[0];
  const all = [...place.querySelectorAll(FOCUSABLE)];
  return {
    form: place === root ? null : nameIn(named(root, FORMS, formName), place),
    name: nameIn(named(place, FOCUSABLE, focusName), element),
    at: all.indexOf(element), count: all.length, tag: element.tagName,
    selection: "selectionStart" in element ? [element.selectionStart, element.selectionEnd, element.selectionDirection] : null,
  };
}

// In another language the text of a button differs, and its place does not.
function restoreFocus(root, { form, name, at, count, tag, selection }) {
  const place = form === null ? root : named(root, FORMS, formName).get(form);
  if (!place) return;
  const all = [...place.querySelectorAll(FOCUSABLE)];
  const element = named(place, FOCUSABLE, focusName).get(name) ?? (all.length === count && all[at]?.tagName === tag ? all[at] : null);
  if (!element) return;
  element.focus({ preventScroll: true });
  if (selection && selection[0] !== null && element.selectionStart !== null) element.setSelectionRange(...selection);
}
