// One attempt to confirm a payment. A reload or another tab repeats the same attempt and makes no second one: the
// server joins requests with the same payment, and a payment that was refused is stored and not sent again.

import { post, Problem } from "../lib/api.js";
import { localStore } from "../lib/storage.js";

const REFUSALS = ["payment_declined", "amount_mismatch", "hold_expired", "intent_final"];

/** Confirms; returns the refusal `{reason}` or `{error}`, null where the intent itself says what became of it. */
export async function confirm(intent, returned, options) {
  const { intent_id: id, amount } = intent;
  const payment = { order_id: id, amount, ...returned };
  const name = `refused.${id}`;
  // A provider that has one key for all attempts leaves nothing to remember.
  const isOfAttempt = payment.payment_key !== intent.client.payment_key;
  if (isOfAttempt && localStore.get(name) === payment.payment_key) return { reason: intent.reason };
  try {
    await post(`/v1/payment-intents/${id}/confirm`, payment, { ...options, tries: 3 });
  } catch (error) {
    if (!(error instanceof Problem) || options.signal.aborted) throw error;
    if (isOfAttempt && REFUSALS.includes(error.code)) localStore.set(name, payment.payment_key);
    if (error.code === "payment_declined") return { reason: error.body.reason };
    // Another tab confirms, or it has ended: the intent says how.
    return ["payment_in_progress", "intent_final", "hold_expired"].includes(error.code) ? null : { error };
  }
  return null;
}

/** Deletes what was stored about an intent that has ended. */
export function forgetAttempts(intentId) {
  localStore.set(`refused.${intentId}`, null);
}
