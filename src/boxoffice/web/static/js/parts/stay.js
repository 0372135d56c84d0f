// How long somebody may stay inside: a line above the seats, for whoever came through a waiting room.

import { countDown } from "../lib/clock.js";
import { h, put } from "../lib/dom.js";
import { countdown, t, timeOfDay } from "../lib/i18n.js";
import { placeIn } from "./pass.js";

/** Returns it; nothing for somebody who was not let in. */
export function stayNote(scheduleId, signal) {
  const { pass, leavesAt } = placeIn(scheduleId);
  if (!pass || !leavesAt) return null;
  const clock = h("span", { class: "clock", role: "timer" });
  const view = h("p", { class: "notice stay" }, h("span", {}, t("queue.stay", { when: timeOfDay(leavesAt) }), " ", clock));
  countDown(leavesAt, signal, (left) => put(clock, countdown(left)), () => put(view, t("queue.over")));
  return view;
}
