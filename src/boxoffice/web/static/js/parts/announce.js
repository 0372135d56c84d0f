// Tells people what changed: in writing for a few seconds, and aloud to who has a screen reader.

import { h } from "../lib/dom.js";

const SHOWN_MS = 6_000;

class Announcer {
  #toasts = h("div", { class: "toasts", role: "status", "aria-live": "polite" });
  #alerts = h("div", { class: "toasts", role: "alert", "aria-live": "assertive" });
  #aloud = h("div", { class: "unseen", "aria-live": "polite" });
  view = h("div", { class: "toast-area" }, this.#toasts, this.#alerts, this.#aloud);

  /** Shows `text` for a while; `kind` is `info`, `good` or `bad`. */
  say(text, kind = "info") {
    const toast = h("p", { class: `toast ${kind}` }, text);
    const area = kind === "bad" ? this.#alerts : this.#toasts;
    area.append(toast);
    while (area.childElementCount > 3) area.firstElementChild.remove();
    setTimeout(() => toast.remove(), SHOWN_MS);
  }

  /** Says `text` to screen readers only. */
  whisper(text) {
    this.#aloud.textContent = text;
  }
}

export const announcer = new Announcer();
