// The bar with countdown and payment link, on every buyer's page while the user has a hold.

import { countDown } from "../lib/clock.js";
import { h, icon, setChildren } from "../lib/dom.js";
import { countdown, t } from "../lib/i18n.js";
import { redraw } from "../lib/redraw.js";
import { announcer } from "./announcer.js";
import { ICONS } from "./icons.js";
import { ownHolds } from "./own-holds.js";

const SOON_S = 60;
// Announced once per hold, not every second.
const warned = new Set();

export class HoldBar {
  #shown = null;
  #ticking = new AbortController();
  view = h("aside", { class: "hold-bar no-print", hidden: true });

  constructor() {
    ownHolds.addEventListener("change", () => this.redraw());
    this.redraw();
  }

  /** Redraws the bar, for other holds, another language or another page. */
  redraw() {
    this.#ticking.abort();
    this.#ticking = new AbortController();
    // The checkout has a clock of its own.
    const isHidden = /^\/(organizer|checkout)\b/.test(location.pathname);
    const holds = isHidden ? [] : ownHolds.holds;
    this.view.hidden = holds.length === 0;
    document.documentElement.classList.toggle("has-hold", holds.length > 0);
    if (!holds.length) return;
    const [first] = holds;
    const seats = holds.reduce((sum, one) => sum + one.seat_ids.length, 0);
    const clock = h("span", { class: "clock", role: "timer" });
    this.view.setAttribute("aria-label", t("hold.bar"));
    const pay = h("a", { class: "button primary", href: `/reservations/${first.reservation_id}` }, t("hold.pay"));
    redraw(this.view, icon(ICONS.clock), h("div", { class: "hold-text" },
      h("p", {}, t("hold.seats", { n: seats }), " ", clock),
      holds.length > 1 && h("a", { href: "/me" }, t("hold.all", { n: holds.length }))), pay);
    countDown(first.expires_at, this.#ticking.signal, (left) => this.#tick(first, clock, left));
  }

  #tick({ reservation_id: id }, clock, left) {
    setChildren(clock, countdown(left));
    this.view.classList.toggle("warn", left <= SOON_S);
    if (left > SOON_S || left <= 0 || warned.has(id)) return;
    warned.add(id);
    announcer.announce(t("reservation.soon", { n: Math.ceil(left) }));
  }
}
