// The waiting list of a schedule: the switch, and the numbers of its entries.

import { call, get } from "../../lib/api.js";
import { h } from "../../lib/dom.js";
import { number, t } from "../../lib/i18n.js";
import { announcer } from "../../components/announcer.js";
import { errorText } from "../../components/problem.js";
import { confirmAction } from "../actions.js";

const NUMBERS = [["waiting", "waiting"], ["seatsWanted", "seats_wanted"], ["offered", "offered"], ["taken", "taken"], ["lapsed", "lapsed"]];

/** The card, with the switch for `isEditor`; `refresh()` after a switch. */
export async function waitingListCard({ id, isEditor, signal, refresh }) {
  const path = `/v1/admin/schedules/${encodeURIComponent(id)}/waiting-list`;
  const list = await get(path, { signal });
  const wasUsed = NUMBERS.some(([, member]) => list[member] > 0);
  return h("section", { class: "card stack", "aria-label": t("listOfWaiting.title") },
    h("h2", {}, t("listOfWaiting.title")),
    h("p", {}, h("strong", {}, t(list.is_on ? "listOfWaiting.isOn" : "listOfWaiting.isOff"))),
    h("p", { class: "hint" }, t("listOfWaiting.lead", { n: list.turn_s })),
    (list.is_on || wasUsed) && tiles(list),
    isEditor && h("div", { class: "actions" }, button(path, list, refresh)));
}

function tiles(list) {
  return h("dl", { class: "tiles" }, NUMBERS.map(([text, member]) => h("div", { class: "tile" },
    h("dt", {}, t(`listOfWaiting.${text}`)), h("dd", { class: "number" }, number(list[member])))));
}

function button(path, list, refresh) {
  const send = (isOn) => call("PUT", path, { body: { is_on: isOn } });
  if (list.is_on) {
    return h("button", { type: "button", class: "button", onclick: () => confirmAction({
      title: t("listOfWaiting.offTitle"), detail: t("listOfWaiting.offDetail"), label: t("listOfWaiting.off"), danger: true,
      act: () => send(false), said: t("listOfWaiting.saved"), done: refresh,
    }) }, t("listOfWaiting.off"));
  }
  return h("button", { type: "button", class: "button primary", onclick: async () => {
    try {
      await send(true);
      announcer.notify(t("listOfWaiting.saved"), "good");
    } catch (error) {
      announcer.notify(errorText(error), "bad");
    }
    refresh();
  } }, t("listOfWaiting.on"));
}
