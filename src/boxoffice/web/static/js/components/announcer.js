// Tells people what changed: in writing for a few seconds, and aloud to who has a screen reader.

import { h } from "../lib/dom.js";

const SHOWN_MS = 6_000;

class Announcer {
  #toasts = h("div", { class: "toasts", role: "status", "aria-live": "polite" });
  #alerts = h("div", { class: "toasts", role: "alert", "aria-live": "assertive" });
  #aloud = h("div", { class: "visually-hidden", "aria-live": "polite" });
  view = h("div", { class: "toast-area" }, this.#toasts, this.#alerts, this.#aloud);

  // What was said for the page that comes next.
  #forNextPage = new Set();

  /**
   * Shows `text` for a while, and no longer than the page; `kind` is `info`, `good` or `bad`. `forNextPage` says
   * that it is for the page to which somebody is led now.
   */
  notify(text, kind = "info", { forNextPage = false } = {}) {
    const toast = h("p", { class: `toast ${kind}` }, text);
    const area = kind === "bad" ? this.#alerts : this.#toasts;
    area.append(toast);
    if (forNextPage) this.#forNextPage.add(toast);
    while (area.childElementCount > 3) area.firstElementChild.remove();
    setTimeout(() => toast.remove(), SHOWN_MS);
  }

  /** Another page comes: what was said of this one is over. */
  clear() {
    for (const toast of this.view.querySelectorAll(".toast")) if (!this.#forNextPage.has(toast)) toast.remove();
    this.#forNextPage.clear();
  }

  /** Says `text` to screen readers only. */
  announce(text) {
    this.#aloud.textContent = text;
  }
}

export const announcer = new Announcer();
