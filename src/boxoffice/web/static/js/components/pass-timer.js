// The remaining time of a waiting-room pass, above the seat map.

import { countDown } from "../lib/clock.js";
import { h, setChildren } from "../lib/dom.js";
import { countdown, t, timeOfDay } from "../lib/i18n.js";
import { queuePlace } from "./queue-pass.js";

/** Returns the line, null without a pass. */
export function passTimer(scheduleId, signal) {
  const { pass, leavesAt } = queuePlace(scheduleId);
  if (!pass || !leavesAt) return null;
  const clock = h("span", { class: "clock", role: "timer" });
  const view = h("p", { class: "notice stay" }, h("span", {}, t("queue.timeLeft", { when: timeOfDay(leavesAt) }), " ", clock));
  countDown(leavesAt, signal, (left) => setChildren(clock, countdown(left)), () => setChildren(view, t("queue.over")));
  return view;
}
