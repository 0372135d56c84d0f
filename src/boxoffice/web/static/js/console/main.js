// The organizer's console; it has texts of its own and comes when somebody goes there.

import { h } from "../lib/dom.js";
import { addTexts, t } from "../lib/i18n.js";
import { texts } from "./texts.js";

addTexts(texts);

/** The page of every address below `/organizer`. */
export function page() {
  return { title: t("console.title"), view: h("h1", {}, t("console.title")) };
}
