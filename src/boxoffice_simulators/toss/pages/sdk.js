// The global of Toss Payments' script, version 2, as far as a checkout page needs it. TEST only.
(() => {
  "use strict";
  const origin = new URL(document.currentScript.src).origin;

  function refuse(code, message) {
    return Promise.reject(Object.assign(new Error(message), { code }));
  }

  function requestPayment(clientKey, request) {
    const amount = request?.amount;
    if (!Number.isInteger(amount?.value) || amount.value <= 0) {
      return refuse("INVALID_PARAMETERS", "amount");
    }
    for (const name of ["orderId", "orderName", "successUrl", "failUrl"]) {
      if (typeof request[name] !== "string" || request[name] === "") {
        return refuse("INVALID_PARAMETERS", name);
      }
    }
    const query = new URLSearchParams({
      clientKey,
      method: request.method ?? "CARD",
      amount: amount.value,
      currency: amount.currency,
      orderId: request.orderId,
      orderName: request.orderName,
      successUrl: request.successUrl,
      failUrl: request.failUrl,
    });
    window.location.assign(`${origin}/window?${query}`);
    // The page goes away, as with the provider's own window.
    return new Promise(() => {});
  }

  function TossPayments(clientKey) {
    return {
      payment: () => ({ requestPayment: (request) => requestPayment(clientKey, request) }),
    };
  }
  TossPayments.ANONYMOUS = "ANONYMOUS";
  window.TossPayments = TossPayments;
})();
