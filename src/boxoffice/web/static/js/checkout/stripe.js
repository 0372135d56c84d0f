// Stripe: fields in this page; some banks ask the buyer on a page of their own, which returns.

import { currentLanguage } from "../lib/i18n.js";
import { PaymentRefusal } from "./refusal.js";
import { loadScript } from "./sdk.js";

const REASONS = {
  insufficient_funds: "insufficient_funds",
  card_velocity_exceeded: "limit_exceeded",
  withdrawal_count_limit_exceeded: "limit_exceeded",
  expired_card: "card_expired",
  incorrect_cvc: "card_invalid",
  invalid_cvc: "card_invalid",
  incorrect_number: "card_invalid",
  invalid_number: "card_invalid",
  invalid_expiry_month: "card_invalid",
  invalid_expiry_year: "card_invalid",
  authentication_required: "authentication_failed",
  payment_intent_authentication_failure: "authentication_failed",
};

// The fields themselves say what is missing in them.
function reasonOf({ type, code, decline_code: declined }) {
  if (type === "validation_error") return "card_invalid";
  return REASONS[declined] ?? REASONS[code] ?? (code === "card_declined" ? "card_declined" : "other");
}

async function mount({ client, box, returnUrl }) {
  await loadScript(client.sdk_url);
  const sdk = globalThis.Stripe(client.publishable_key);
  const elements = sdk.elements({ clientSecret: client.client_secret, locale: currentLanguage() });
  elements.create("payment").mount(box);
  return async () => {
    const { error } = await sdk.confirmPayment({ elements, confirmParams: { return_url: returnUrl }, redirect: "if_required" });
    if (error) throw new PaymentRefusal(reasonOf(error));
    return { payment_key: client.payment_key };
  };
}

function returned(intent, query) {
  if (!query.has("payment_intent")) return null;
  if (query.get("redirect_status") === "failed") return { reason: "authentication_failed" };
  return { confirmation: { payment_key: intent.client.payment_key } };
}

export const stripe = { mount, returned };
