// The layout around every page: header with navigation and language, footer.

import { h, icon, setChildren } from "../lib/dom.js";
import { currentLanguage, LANGUAGES, t } from "../lib/i18n.js";
import { redraw, untilUnused } from "../lib/redraw.js";
import { session } from "../lib/session.js";
import { HoldBar } from "./hold-bar.js";
import { ICONS } from "./icons.js";
import { tintedBy } from "./seller.js";

export class Layout {
  #onLanguage;
  #bar = new HoldBar();
  #head = h("header", { class: "head" });
  #main = h("main", { id: "page", tabindex: "-1" });
  #foot = h("footer", { class: "foot" });
  #progress = h("div", { class: "progress", role: "progressbar", hidden: true });
  view = h("div", { class: "layout" });

  /** `onLanguage(code)` is called when the user selects another language. */
  constructor({ onLanguage }) {
    this.#onLanguage = onLanguage;
    this.redraw();
  }

  /** Redraws header and footer, for another language or another user. */
  redraw() {
    redraw(this.#head, this.#brand(), this.#navigation());
    setChildren(this.#foot, h("p", {}, t("foot")), h("a", { href: "/docs", target: "_blank", rel: "noopener" }, t("foot.api")));
    this.#bar.redraw();
    this.#progress.setAttribute("aria-label", t("busy"));
    const skip = h("a", { class: "skip", href: "#page" }, t("skip"));
    if (!this.view.contains(this.#main)) setChildren(this.view, skip, this.#head, this.#bar.view, this.#progress, this.#main, this.#foot);
    else this.view.firstElementChild.replaceWith(skip);
  }

  /**
   * Shows a page in the colours of its `brand`; after a navigation it gets the focus, so that a screen reader begins
   * there. The `isSame` page keeps what the user has done.
   */
  present({ title, view, wide = false, brand = null }, { moved, isSame }) {
    document.title = title ? `${title} · boxoffice` : "boxoffice";
    this.#main.classList.toggle("wide", wide);
    tintedBy(this.#main, brand);
    if (isSame) redraw(this.#main, view);
    else setChildren(this.#main, view);
    this.#bar.redraw();
    if (!moved) return;
    scrollTo(0, 0);
    this.#main.focus({ preventScroll: true });
  }

  /** Waits while the user is in the middle of something on the page. */
  untilUnused(signal) {
    return untilUnused(this.#main, signal);
  }

  /** Shows or hides the progress bar; the current page stays until the next one is loaded. */
  wait(isSlow) {
    this.#progress.hidden = !isSlow;
    if (isSlow) this.#main.setAttribute("aria-busy", "true");
    else this.#main.removeAttribute("aria-busy");
  }

  #brand() {
    return h("a", { class: "brand", href: "/" }, icon(ICONS.ticket), h("span", {}, "boxoffice"));
  }

  #navigation() {
    const isOrganizer = session.canUseConsole;
    return h("nav", { class: "main-nav", "aria-label": t("nav") },
      isOrganizer && h("a", { href: "/organizer" }, t("nav.console")),
      session.isLoggedIn ? h("a", { href: "/me" }, t("nav.me")) : h("a", { href: "/login" }, t("nav.login")),
      this.#languages());
  }

  #languages() {
    const other = Object.keys(LANGUAGES).find((code) => code !== currentLanguage());
    return h("button", {
      type: "button", class: "language", lang: other, onclick: () => this.#onLanguage(other),
    }, LANGUAGES[other]);
  }
}
