// The terms of an organization.

import { get } from "../lib/api.js";
import { h } from "../lib/dom.js";
import { inLanguage, t } from "../lib/i18n.js";
import { richText } from "../components/rich-text.js";
import { sellerMark } from "../components/seller.js";

/** The page of an organization's terms. */
export async function terms({ params, signal }) {
  const brand = await get(`/v1/organizations/${params.organization_id}/brand`, { signal, anonymous: true });
  const view = h("article", { class: "card stack terms-page" },
    h("p", {}, sellerMark(brand)), h("h1", {}, t("terms.title")), richText(brand, "terms") ?? h("p", {}, t("terms.none")));
  return { title: `${t("terms.title")} · ${inLanguage(brand, "name")}`, view, brand };
}
