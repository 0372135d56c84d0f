import { h } from "../lib/dom.js";

/** The seat map. */
export function seats() {
  return { title: "", view: h("h1", {}, "…") };
}
