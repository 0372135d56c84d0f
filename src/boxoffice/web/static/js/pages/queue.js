import { h } from "../lib/dom.js";

/** The waiting room. */
export function queue() {
  return { title: "", view: h("h1", {}, "…") };
}
