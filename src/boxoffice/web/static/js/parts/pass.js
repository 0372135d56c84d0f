// The places in waiting rooms: ticket and pass outlive a reload and a closed tab.

import { kept } from "../lib/keep.js";

/** Returns what is known of this person's place: `{ticket?, pass?}`. */
export function placeIn(scheduleId) {
  return kept.get(`queue.${scheduleId}`) ?? {};
}

/** Remembers more of it; null forgets all of it. */
export function keepPlace(scheduleId, more) {
  kept.set(`queue.${scheduleId}`, more && { ...placeIn(scheduleId), ...more });
}

/** Returns the header with which a request goes through the door. */
export function passFor(scheduleId) {
  const { pass } = placeIn(scheduleId);
  return pass ? { "Queue-Pass": pass } : {};
}
