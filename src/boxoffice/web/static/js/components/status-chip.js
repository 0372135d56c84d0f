// What became of a reservation, as a small sign: in words, and coloured besides.

import { h } from "../lib/dom.js";
import { t } from "../lib/i18n.js";

/** Returns the sign for a status of the API. */
export function statusChip(name) {
  return h("span", { class: `chip status-${name.toLowerCase()}` }, t(`status.${name}`));
}
