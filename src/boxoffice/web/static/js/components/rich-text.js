// A text that the server has parsed: a tree of allowed elements. Text stays text, whatever is in it.

import { h } from "../lib/dom.js";
import { currentLanguage } from "../lib/i18n.js";

const TAGS = new Set(["p", "h3", "ul", "ol", "li", "blockquote", "pre", "hr", "table", "tr", "th", "td", "strong", "em", "s", "code", "br"]);
const LINK = /^(https?:\/\/|mailto:|tel:)/i;

/** Returns the text `member` of a concert in the user's language as elements, null where it is empty. */
export function richText({ rich }, member) {
  const nodes = rich?.[`${member}_${currentLanguage()}`] ?? rich?.[member];
  return nodes?.length ? h("div", { class: "rich" }, nodes.map(element)) : null;
}

function element({ tag, text = "", href = "", children = [] }) {
  if (tag === "text") return text;
  const inside = [text, children.map(element)];
  if (tag === "a" && LINK.test(href)) return h("a", { href, target: "_blank", rel: "noopener nofollow ugc" }, inside);
  return TAGS.has(tag) ? h(tag, {}, inside) : inside;
}
