// Toasts for a few seconds, and live regions for screen readers.

import { h } from "../lib/dom.js";

const SHOWN_MS = 6_000;

class Announcer {
  #toasts = h("div", { class: "toasts", role: "status", "aria-live": "polite" });
  #alerts = h("div", { class: "toasts", role: "alert", "aria-live": "assertive" });
  #aloud = h("div", { class: "visually-hidden", "aria-live": "polite" });
  view = h("div", { class: "toast-area" }, this.#toasts, this.#alerts, this.#aloud);

  // Toasts that belong to the next page.
  #forNextPage = new Set();

  /**
   * Shows `text` for a few seconds of a visible tab, until the page changes at the latest; `kind` is `info`,
   * `good` or `bad`. With `forNextPage` the toast survives the next change of page.
   */
  notify(text, kind = "info", { forNextPage = false } = {}) {
    const toast = h("p", { class: `toast ${kind}` }, text);
    const area = kind === "bad" ? this.#alerts : this.#toasts;
    area.append(toast);
    if (forNextPage) this.#forNextPage.add(toast);
    while (area.childElementCount > 3) area.firstElementChild.remove();
    whenVisible(() => setTimeout(() => toast.remove(), SHOWN_MS));
  }

  /** Removes the toasts of the page that is left. */
  clear() {
    for (const toast of this.view.querySelectorAll(".toast")) if (!this.#forNextPage.has(toast)) toast.remove();
    this.#forNextPage.clear();
  }

  /** Announces `text` to screen readers only. */
  announce(text) {
    this.#aloud.textContent = text;
  }
}

function whenVisible(act) {
  if (document.visibilityState === "visible") act();
  else document.addEventListener("visibilitychange", () => whenVisible(act), { once: true });
}

export const announcer = new Announcer();
