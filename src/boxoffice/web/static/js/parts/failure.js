// The page in the place of one that cannot be shown.

import { h } from "../lib/dom.js";
import { t } from "../lib/i18n.js";
import { reference, sentence } from "./problem.js";

/** Returns a page for an error, or for an address that leads nowhere where `error` is null. */
export function failure(error, { refresh }) {
  const isMissing = !error || error.status === 404;
  const title = isMissing ? t("failure.missing") : t("failure.title");
  const view = h("section", { class: "failure card" },
    h("h1", {}, title),
    h("p", {}, isMissing ? t("failure.missingDetail") : sentence(error)),
    !isMissing && h("p", { class: "quiet small" }, reference(error)),
    h("div", { class: "actions" },
      !isMissing && h("button", { type: "button", class: "button primary", onclick: refresh }, t("again")),
      h("a", { class: "button", href: "/" }, t("toConcerts"))));
  return { title, view };
}
