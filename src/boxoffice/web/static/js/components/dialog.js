// Modal dialogs on the browser's `<dialog>`, which traps the focus and closes by Escape.

import { h, icon, uniqueId } from "../lib/dom.js";
import { t } from "../lib/i18n.js";
import { ICONS } from "./icons.js";

/**
 * Shows a dialog; resolves to the value passed to `close(value)`, null if it is dismissed. `content(close)`
 * returns its elements.
 */
export function ask(title, content) {
  return new Promise((resolve) => {
    let answer = null;
    const id = uniqueId("dialog");
    const dialog = h("dialog", { class: "dialog", "aria-labelledby": id });
    const close = (value) => { answer = value; dialog.close(); };
    const dismiss = h("button", { type: "button", class: "button icon-only dismiss", "aria-label": t("close"), onclick: () => close(null) },
      icon(ICONS.close));
    dialog.append(h("h2", { id }, title), ...[content(close)].flat(), dismiss);
    dialog.addEventListener("close", () => { dialog.remove(); resolve(answer); });
    document.body.append(dialog);
    dialog.showModal();
  });
}

/** Closes every dialog: its page is left. */
export function dismissAll() {
  for (const dialog of document.querySelectorAll("dialog[open]")) dialog.close();
}
