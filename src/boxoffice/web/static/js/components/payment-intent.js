// Begins a payment through a provider, which goes on at `/checkout/{intent_id}`. The Idempotency-Key is stored until
// the server answers, so a lost answer makes no second intent.

import { newKey, post, Problem, remove } from "../lib/api.js";
import { localStore } from "../lib/storage.js";

/** The statuses of a payment whose outcome is open. */
export const IN_FLIGHT = ["CONFIRMING", "UNKNOWN", "AWAITING_DEPOSIT"];

/** Returns the address of the checkout of an intent. */
export function checkoutPath(intentId) {
  return `/checkout/${intentId}`;
}

function nameOf(purpose, method) {
  return `intent.${purpose.reservation_id ?? `top-up.${purpose.top_up_amount}`}.${method}`;
}

/** Deletes the stored key: the intent that it made has ended. */
export function forgetIntent(purpose, method) {
  localStore.set(nameOf(purpose, method), null);
}

/** Makes an intent for `purpose`, `{reservation_id}` or `{top_up_amount}`; returns the address of its checkout. */
export async function beginPayment(purpose, method, signal, scheduleId = "") {
  const name = nameOf(purpose, method);
  const key = localStore.get(name) ?? newKey();
  localStore.set(name, key);
  try {
    const { intent_id: id } = await post("/v1/payment-intents", { ...purpose, method }, { key, scheduleId, signal, tries: 2 });
    localStore.set(name, null);
    return checkoutPath(id);
  } catch (error) {
    if (error instanceof Problem && !error.isTemporary) localStore.set(name, null);
    // Begun in another tab or on another device.
    if (error.code === "payment_in_progress" && error.body.intent_id) return checkoutPath(error.body.intent_id);
    throw error;
  }
}

/** Cancels an intent that is not being confirmed; then the hold can be paid otherwise. */
export async function cancelPayment(intentId, scheduleId = "") {
  try {
    await remove(`/v1/payment-intents/${intentId}`, { scheduleId, tries: 3 });
  } catch (error) {
    // It has ended meanwhile: the page shows how.
    if (error.code !== "intent_final") throw error;
  }
}
