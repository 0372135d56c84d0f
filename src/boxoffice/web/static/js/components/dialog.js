// A dialog that waits for an answer: the browser's own, which keeps the focus inside and closes by Escape.

import { h, icon, uniqueId } from "../lib/dom.js";
import { t } from "../lib/i18n.js";
import { ICONS } from "./icons.js";

/**
 * Shows a dialog and returns a promise of what `close(value)` is called with, null where it is dismissed.
 * `content(close)` returns what is in it.
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

/** Dismisses whatever is asked: the page that it was about is left. */
export function dismissAll() {
  for (const dialog of document.querySelectorAll("dialog[open]")) dialog.close();
}
