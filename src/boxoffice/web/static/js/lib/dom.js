// Builds elements without HTML parsing: text stays text, so markup in a title is shown and never run.

const SVG = "http://www.w3.org/2000/svg";

/**
 * Makes an element. `props`: `class`, `on…` listeners, `dataset`, booleans and attributes by their names.
 * `children`: elements, texts, or (nested) lists of them; null, undefined and false are left out.
 */
export function h(tag, props = {}, ...children) {
  return fill(document.createElement(tag), props, children);
}

/** Makes an SVG element in the same way. */
export function svg(tag, props = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), props, children);
}

function fill(element, props, children) {
  for (const [name, value] of Object.entries(props ?? {})) set(element, name, value);
  element.append(...flat(children));
  return element;
}

function set(element, name, value) {
  if (value === null || value === undefined || value === false) return;
  if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
  else if (name === "dataset") Object.assign(element.dataset, value);
  else if (name === "value") setValue(element, value);
  else element.setAttribute(name, value === true ? "" : String(value));
}

// The value that a control was built with stays its default, so that a change by the user is seen.
function setValue(element, value) {
  if ("defaultValue" in element) element.defaultValue = value;
  element.value = value;
}

// A live collection is not an array and would become the text "[object …]".
function flat(children) {
  const listed = children.map((child) => (child instanceof HTMLCollection || child instanceof NodeList ? [...child] : child));
  return listed.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false);
}

/** Replaces the children of `element`. */
export function setChildren(element, ...children) {
  element.replaceChildren(...flat(children));
  return element;
}

/** An icon: one path in a 24-unit square, hidden from screen readers. */
export function icon(path) {
  return svg("svg", { viewBox: "0 0 24 24", class: "icon", "aria-hidden": "true", focusable: "false" },
    svg("path", { d: path }));
}

let ids = 0;

/** Returns an id that is unique on this page. */
export function uniqueId(prefix) {
  ids += 1;
  return `${prefix}-${ids}`;
}
