// Toss Payments: a window of its own, which returns with the payment's key.

import { decimals } from "../lib/i18n.js";
import { PaymentRefusal } from "./refusal.js";
import { loadScript } from "./sdk.js";

const REASONS = [
  [/^(PAY_PROCESS_CANCELED|USER_CANCEL)$/, "cancelled_by_buyer"],
  [/NOT_ENOUGH_BALANCE|REJECT_CARD_PAYMENT/, "insufficient_funds"],
  [/EXCEED_MAX/, "limit_exceeded"],
  [/EXPIR/, "card_expired"],
  [/^INVALID_.*CARD/, "card_invalid"],
  [/^REJECT_/, "card_declined"],
];

function reasonOf(code) {
  return REASONS.find(([pattern]) => pattern.test(code))?.[1] ?? "other";
}

async function mount({ client, returnUrl }) {
  await loadScript(client.sdk_url);
  const { TossPayments } = globalThis;
  const payment = TossPayments(client.client_key).payment({ customerKey: TossPayments.ANONYMOUS });
  return async () => {
    try {
      await payment.requestPayment({
        method: "CARD",
        amount: { currency: client.currency, value: Number(client.amount) / 10 ** decimals(client.currency) },
        orderId: client.order_id,
        orderName: client.order_name,
        successUrl: returnUrl,
        failUrl: returnUrl,
      });
    } catch (error) {
      throw new PaymentRefusal(reasonOf(String(error?.code)));
    }
    return null;
  };
}

function returned(_intent, query) {
  if (query.has("paymentKey")) {
    return { confirmation: { payment_key: query.get("paymentKey"), order_id: query.get("orderId"), amount: Number(query.get("amount")) } };
  }
  return query.has("code") ? { reason: reasonOf(query.get("code")) } : null;
}

export const toss = { mount, returned };
