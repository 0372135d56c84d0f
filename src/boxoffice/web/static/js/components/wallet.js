// The wallet: balance and top-ups.

import { get, newKey, post, Problem } from "../lib/api.js";
import { h } from "../lib/dom.js";
import { decimals, money, t } from "../lib/i18n.js";
import { localStore } from "../lib/storage.js";
import { session } from "../lib/session.js";
import { announcer } from "./announcer.js";
import { Field, form } from "./forms.js";
import { beginPayment } from "./payment-intent.js";
import { MethodChoice } from "./payment-methods.js";
import { errorText } from "./problem.js";

/** Returns this person's wallet: `{balance, currency}`. */
export function wallet(signal) {
  return get("/v1/me/wallet", { signal });
}

/**
 * A form that tops up a wallet, here if the shop gives that, or through a provider on the checkout page; null without
 * either. `amount` is proposed, in minor units; `done()` is called after a top-up here.
 */
export function topUpForm({ own, amount, methods, signal, go, done }) {
  const { currency } = own;
  const ways = [
    ...(own.can_top_up ? [{ method: "free", is_available: true, is_test: true }] : []),
    ...methods.filter((one) => one.method !== "wallet"),
  ];
  const first = ways.find((one) => one.is_available);
  if (!first) return null;
  const unit = 10 ** decimals(currency);
  const field = new Field({
    label: t("wallet.amount", { currency }), type: "number", inputmode: "decimal", required: true, min: 1 / unit, step: 1 / unit,
    value: amount > 0 ? String(Math.ceil(amount) / unit) : "",
  });
  const choice = new MethodChoice({ methods: ways, selected: first.method, label: t("wallet.from") });
  return form({
    fields: { amount: field },
    children: ways.length > 1 || first.method !== "free" ? [choice.view] : [],
    label: t("wallet.top_up"),
    submit: async ({ amount: text }) => {
      const minor = Math.round(Number(text) * unit);
      if (choice.value !== "free") {
        go(await beginPayment({ top_up_amount: minor }, choice.value, signal));
        return;
      }
      const made = await topUp(minor);
      announcer.notify(t("wallet.topped_up", { amount: money(made.amount, made.currency), balance: money(made.balance, made.currency) }), "good");
      // The form is sent by then: what is typed from now on is kept.
      done().catch((error) => { if (!signal.aborted) announcer.notify(errorText(error), "bad"); });
    },
  });
}

// A top-up of the same amount whose answer was lost is the same top-up.
async function topUp(amount) {
  const name = `top-up.${session.email}`;
  const open = localStore.get(name);
  const key = open?.amount === amount ? open.key : newKey();
  localStore.set(name, { key, amount });
  try {
    const made = await post("/v1/me/wallet/top-ups", { amount }, { key });
    localStore.set(name, null);
    return made;
  } catch (error) {
    if (error instanceof Problem && !error.isTemporary) localStore.set(name, null);
    throw error;
  }
}
