// E-mail addresses in running text.

import { h } from "../lib/dom.js";

/** An address whose line may end before the `@`; a part is broken only where it is longer than the line. */
export function emailText(email) {
  const at = email.lastIndexOf("@");
  return h("span", {}, email.slice(0, at), h("wbr"), email.slice(at));
}
