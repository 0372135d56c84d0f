// The places in waiting rooms: ticket and pass outlive a reload and a closed tab.

import { localStore } from "../lib/storage.js";

/** Returns what is known of this person's place: `{ticket?, pass?}`. */
export function queuePlace(scheduleId) {
  return localStore.get(`queue.${scheduleId}`) ?? {};
}

/** Remembers more of it; null forgets all of it. */
export function storeQueuePlace(scheduleId, more) {
  localStore.set(`queue.${scheduleId}`, more && { ...queuePlace(scheduleId), ...more });
}

/** Returns the header with which a request goes through the door. */
export function passHeader(scheduleId) {
  const { pass } = queuePlace(scheduleId);
  return pass ? { "Queue-Pass": pass } : {};
}
