// The page shown for an error.

import { h } from "../lib/dom.js";
import { t } from "../lib/i18n.js";
import { requestReference, errorText } from "./problem.js";

/** Returns a page for `error`, or the "not found" page if it is null. */
export function errorPage(error, { refresh }) {
  const isMissing = !error || error.status === 404;
  const title = isMissing ? t("errorPage.missing") : t("errorPage.title");
  const view = h("section", { class: "error-page card" },
    h("h1", {}, title),
    h("p", {}, isMissing ? t("errorPage.missingDetail") : errorText(error)),
    !isMissing && h("p", { class: "muted small" }, requestReference(error)),
    h("div", { class: "actions" },
      !isMissing && h("button", { type: "button", class: "button primary", onclick: refresh }, t("again")),
      h("a", { class: "button", href: "/" }, t("toConcerts"))));
  return { title, view };
}
