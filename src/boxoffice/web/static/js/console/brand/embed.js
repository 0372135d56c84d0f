// The code that shows a concert on another site.

import { h } from "../../lib/dom.js";
import { currentLanguage, t } from "../../lib/i18n.js";
import { announcer } from "../../components/announcer.js";

/** A card with the code of the widget of a concert. */
export function embedCard(concert) {
  const code = `<script async src="${location.origin}/widget.js" data-concert="${concert.concert_id}" data-lang="${currentLanguage()}"></script>`;
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(code);
      announcer.notify(t("widget.copied"), "good");
    } catch {
      announcer.notify(t("widget.notCopied"), "bad");
    }
  };
  return h("details", { class: "card" }, h("summary", {}, h("h2", {}, t("widget.title"))),
    h("div", { class: "stack" },
      h("p", { class: "hint" }, t("widget.codeHint"), " ", h("a", { href: "/organizer/brand" }, t("brand.title"))),
      h("pre", { class: "embed-code" }, h("code", {}, code)),
      h("div", { class: "actions" }, h("button", { type: "button", class: "button", onclick: copy }, t("widget.copy")),
        h("a", { class: "button", href: `/widget/concerts/${concert.concert_id}?lang=${currentLanguage()}`, target: "_blank", rel: "noopener" }, t("widget.look")))));
}
