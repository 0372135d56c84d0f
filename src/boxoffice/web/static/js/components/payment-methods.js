// The ways to pay: the wallet, and the providers that the shop has keys for.

import { get } from "../lib/api.js";
import { h, uniqueId } from "../lib/dom.js";
import { hasText, t } from "../lib/i18n.js";

/** Returns the payment methods in the order of the page: `[{method, is_available, is_test}]`. */
export async function paymentMethods(signal) {
  return (await get("/v1/payment-methods", { signal, anonymous: true })).items;
}

/** Returns the name of a payment method. */
export function methodName(method) {
  return hasText(`method.${method}`) ? t(`method.${method}`) : method;
}

/** Returns the mark of a provider whose payments move no money. */
export function testMark() {
  return h("span", { class: "chip test-mark" }, t("pay.testMark"));
}

/** Returns the banner of a page that pays in test mode. */
export function testBanner() {
  return h("p", { class: "test-banner", role: "note" }, t("pay.test"));
}

/** A choice of methods: `choice.value`, `choice.view`. `onChange()` is called with each selection. */
export class MethodChoice {
  constructor({ methods, selected, onChange = () => {}, label = t("pay.method"), detail = () => "" }) {
    this.value = selected;
    const name = uniqueId("method");
    this.view = h("fieldset", { class: "choices methods" }, h("legend", {}, label), methods.map((one) => h("label", { class: one.is_available ? "method" : "method is-off" },
      h("input", {
        type: "radio", name, value: one.method, checked: one.method === selected, disabled: !one.is_available,
        onchange: () => { this.value = one.method; onChange(); },
      }),
      h("span", { class: "grow" }, methodName(one.method), one.is_test && [" ", testMark()],
        !one.is_available && h("span", { class: "small muted" }, t("pay.unavailable"))),
      detail(one))));
  }
}
