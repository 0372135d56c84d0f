import { h } from "../lib/dom.js";

/** A reservation. */
export function reservation() {
  return { title: "", view: h("h1", {}, "…") };
}
