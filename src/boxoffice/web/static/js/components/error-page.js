// The page in the place of one that cannot be shown.

import { h } from "../lib/dom.js";
import { t } from "../lib/i18n.js";
import { requestReference, errorText } from "./problem.js";

/** Returns a page for an error, or for an address that leads nowhere where `error` is null. */
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
