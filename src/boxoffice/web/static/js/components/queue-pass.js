// Queue tickets and passes of waiting rooms, stored so that they survive a reload and a closed tab.

import { localStore } from "../lib/storage.js";

/** Returns what is stored for a schedule: `{ticket?, secret?, pass?, …}`; `secret` is of a place without account. */
export function queuePlace(scheduleId) {
  return localStore.get(`queue.${scheduleId}`) ?? {};
}

/** Stores more of it; null deletes it. */
export function storeQueuePlace(scheduleId, more) {
  localStore.set(`queue.${scheduleId}`, more && { ...queuePlace(scheduleId), ...more });
}

/** Returns the headers that carry the ticket, and the secret of one that has no account. */
export function ticketHeaders(scheduleId) {
  const { ticket, secret } = queuePlace(scheduleId);
  return { ...(ticket && { "Queue-Ticket": ticket }), ...(secret && { "Queue-Secret": secret }) };
}

/** Returns the header that carries the pass. */
export function passHeader(scheduleId) {
  const { pass } = queuePlace(scheduleId);
  return pass ? { "Queue-Pass": pass } : {};
}
