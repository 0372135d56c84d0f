// The status of a reservation as a chip: text and colour.

import { h } from "../lib/dom.js";
import { t } from "../lib/i18n.js";

/** Returns the chip for a status of the API. */
export function statusChip(name) {
  return h("span", { class: `chip status-${name.toLowerCase()}` }, t(`status.${name}`));
}
