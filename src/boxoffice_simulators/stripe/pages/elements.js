// The frame of the TEST card: it confirms when the page around it asks.
(() => {
  "use strict";
  const form = document.getElementById("card");

  async function confirm(returnUrl) {
    const response = await fetch("/elements/confirm", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({
        key: form.dataset.key,
        client_secret: form.dataset.secret,
        card: document.getElementById("choice").value,
        return_url: returnUrl,
      }),
    });
    return response.json();
  }

  window.addEventListener("message", async (event) => {
    if (event.source !== window.parent || event.data?.type !== "confirm") return;
    const answer = await confirm(event.data.returnUrl);
    window.parent.postMessage({ ...answer, number: event.data.number }, event.origin);
  });
})();
