// Who sells: the logo, name, colours and terms of an organization.

import { get, ignoreProblem } from "../lib/api.js";
import { h, setChildren } from "../lib/dom.js";
import { inLanguage, t } from "../lib/i18n.js";
import { richText } from "./rich-text.js";

const COLOUR = /^#[0-9a-f]{6}$/;

/** Gives an element the colours of a brand, or those of the shop where it has none. */
export function tintedBy(element, brand) {
  const { light, dark } = brand?.accent ?? {};
  const isKnown = COLOUR.test(light) && COLOUR.test(dark);
  element.classList.toggle("branded", isKnown);
  if (isKnown) {
    element.style.setProperty("--brand-light", light);
    element.style.setProperty("--brand-dark", dark);
  }
  return element;
}

/** The logo and name of who sells, null where that is not known. */
export function sellerMark(brand) {
  if (!brand) return null;
  return h("span", { class: "seller" }, logo(brand.logo), h("span", { class: "seller-name" }, inLanguage(brand, "name")));
}

/** The logo in a frame of its own ground; the name stands beside it. */
export function logo(picture) {
  if (!picture) return null;
  const frame = h("span", { class: "logo" }, h("img", { alt: "", src: picture.url, width: picture.width, height: picture.height, decoding: "async" }));
  if (COLOUR.test(picture.ground)) frame.style.setProperty("--ground", picture.ground);
  return frame;
}

/** The address of the terms of a brand, empty where there are none. */
export function termsPath(brand) {
  return brand?.has_terms ? `/organizations/${brand.organization_id}/terms` : "";
}

/** Fetches a brand with its terms, null without an answer. */
export function brandInFull(organizationId, signal) {
  return get(`/v1/organizations/${organizationId}/brand`, { signal, anonymous: true }).catch(ignoreProblem);
}

/** A card for those who are about to pay: who sells, and the terms, which open on the page. */
export function termsCard(brand, signal) {
  if (!brand) return null;
  const text = h("div", { class: "terms-text" });
  const details = h("details", { class: "terms" }, h("summary", {}, t("terms.read")), text);
  details.addEventListener("toggle", async () => {
    if (!details.open || text.hasChildNodes()) return;
    const full = await brandInFull(brand.organization_id, signal);
    setChildren(text, full ? richText(full, "terms") : h("p", {}, h("a", { href: termsPath(brand), target: "_blank", rel: "noopener" }, t("terms.title"))));
  });
  return h("section", { class: "card stack seller-card" },
    h("p", { class: "muted small" }, t("terms.soldBy")), h("p", {}, sellerMark(brand)),
    brand.has_terms && h("p", { class: "small" }, t("terms.accept", { name: inLanguage(brand, "name") })),
    brand.has_terms && details);
}
