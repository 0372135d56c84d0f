// The global of Stripe's script, as far as a checkout page needs it. TEST only.
(() => {
  "use strict";
  const origin = new URL(document.currentScript.src).origin;

  // Ask the frame to confirm, and wait for its answer.
  function ask(frame, message) {
    return new Promise((resolve) => {
      const number = Math.random().toString(36).slice(2);
      const receive = (event) => {
        if (event.origin !== origin || event.data?.number !== number) return;
        window.removeEventListener("message", receive);
        resolve(event.data);
      };
      window.addEventListener("message", receive);
      frame.contentWindow.postMessage({ ...message, number }, origin);
    });
  }

  class PaymentElement {
    constructor(publishableKey, clientSecret) {
      const query = new URLSearchParams({ key: publishableKey, client_secret: clientSecret });
      this.frame = document.createElement("iframe");
      this.frame.src = `${origin}/elements?${query}`;
      this.frame.title = "TEST card";
      this.frame.style.cssText = "border:0;width:100%;height:15rem";
      this.listeners = new Map();
      this.frame.addEventListener("load", () => this.listeners.get("ready")?.({}));
    }

    on(name, listener) {
      this.listeners.set(name, listener);
      return this;
    }

    mount(target) {
      const element = typeof target === "string" ? document.querySelector(target) : target;
      element.replaceChildren(this.frame);
    }

    unmount() {
      this.frame.remove();
    }

    destroy() {
      this.frame.remove();
    }
  }

  window.Stripe = (publishableKey) => ({
    elements({ clientSecret }) {
      let element = null;
      return {
        create: () => (element = new PaymentElement(publishableKey, clientSecret)),
        getElement: () => element,
        submit: async () => ({}),
        element: () => element,
      };
    },

    async confirmPayment({ elements, confirmParams, redirect = "always" }) {
      const message = { type: "confirm", returnUrl: confirmParams.return_url };
      const result = await ask(elements.getElement().frame, message);
      if (result.error) return { error: result.error };
      if (result.redirectUrl && (result.isAction || redirect === "always")) {
        window.location.assign(result.redirectUrl);
        return new Promise(() => {});
      }
      return { paymentIntent: result.paymentIntent };
    },

    async retrievePaymentIntent(clientSecret) {
      const query = new URLSearchParams({ key: publishableKey, client_secret: clientSecret });
      const response = await fetch(`${origin}/elements/intent?${query}`);
      return { paymentIntent: await response.json() };
    },
  });
})();
