// The concert at the top of the shop's list, for operators.

import { call, get } from "../../lib/api.js";
import { h } from "../../lib/dom.js";
import { t } from "../../lib/i18n.js";
import { announcer } from "../../components/announcer.js";
import { errorText } from "../../components/problem.js";

const PATH = "/v1/admin/featured-concert";

/** A card that features a concert, or ends that. */
export async function featuredCard(concert, { signal, refresh }) {
  const chosen = await get(PATH, { signal });
  const isThis = chosen.concert_id === concert.concert_id;
  const act = async () => {
    try {
      await (isThis ? call("DELETE", PATH) : call("PUT", PATH, { body: { concert_id: concert.concert_id } }));
      announcer.notify(t(isThis ? "featured.ended" : "featured.done"), "good");
    } catch (error) {
      announcer.notify(errorText(error), "bad");
    }
    refresh();
  };
  return h("section", { class: "card stack" }, h("h2", {}, t("featured.title")),
    h("p", {}, isThis ? t("featured.isThis") : chosen.concert_id ? t("featured.isOther", { title: chosen.title }) : t("featured.none")),
    h("div", { class: "actions" }, h("button", { type: "button", class: isThis ? "button" : "button primary", onclick: act }, t(isThis ? "featured.end" : "featured.choose"))));
}
