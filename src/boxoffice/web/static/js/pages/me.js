import { h } from "../lib/dom.js";

/** My page. */
export function me() {
  return { title: "", view: h("h1", {}, "…") };
}
