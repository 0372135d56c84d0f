// Starts the pages and recovers from a failed start. During a rollout a page may name files that the next
// process does not have; then it is reloaded, a few times with growing pauses. This file is outside the hashed
// tree, so it imports nothing from it. It runs in browsers too old for the pages, and shows a message there.
"use strict";

(() => {
  const entry = document.currentScript.dataset.entry;
  const COUNT = "boxoffice.boot";
  const TRIES_MAX = 3;
  const PAUSE_MS = 800;
  const MESSAGES = {
    silent: [
      "The server does not answer. Nothing is lost.",
      "서버가 응답하지 않습니다. 잃어버린 것은 없습니다.",
    ],
    broken: [
      "Something went wrong on our side. Nothing is lost.",
      "서비스에 문제가 생겼습니다. 잃어버린 것은 없습니다.",
    ],
    old: [
      "This browser is too old. The pages need Safari 16.4, Chrome or Edge 111, Firefox 115, or a newer one.",
      "너무 오래된 브라우저입니다. Safari 16.4, Chrome·Edge 111, Firefox 115 이상이 필요합니다.",
    ],
  };
  // A feature of the oldest supported release of each browser.
  const isOld = !(window.CSS && CSS.supports && CSS.supports("color", "color-mix(in srgb, red, red)"));
  let failed = false;
  // Whether every file was loaded: a later error is a fault of the code and not of the network.
  let loaded = false;

  const tries = {
    get() {
      try { return Number(sessionStorage.getItem(COUNT)) || 0; } catch { return TRIES_MAX; }
    },
    set(value) {
      try { sessionStorage.setItem(COUNT, String(value)); } catch { /* the user reloads by hand */ }
    },
  };

  function showMessage(texts) {
    const box = document.createElement("div");
    box.setAttribute("role", "alert");
    box.className = "boot-failed";
    for (const text of texts) {
      const line = document.createElement("p");
      line.textContent = text;
      box.append(line);
    }
    const again = document.createElement("button");
    again.type = "button";
    again.textContent = "Try again · 다시 시도";
    again.addEventListener("click", () => { tries.set(0); location.reload(); });
    box.append(again);
    document.body.replaceChildren(box);
  }

  function retry() {
    if (failed) return;
    failed = true;
    const done = tries.get();
    if (done >= TRIES_MAX) {
      showMessage(MESSAGES.silent);
      return;
    }
    tries.set(done + 1);
    setTimeout(() => location.reload(), PAUSE_MS * 2 ** done);
  }

  function fail(error) {
    console.error(error);
    if (loaded || error instanceof SyntaxError) showMessage(isOld ? MESSAGES.old : MESSAGES.broken);
    else retry();
  }

  document.addEventListener("error", (event) => {
    if (event.target instanceof HTMLLinkElement && event.target.rel === "stylesheet") retry();
  }, true);
  document.addEventListener("boxoffice:loaded", () => { loaded = true; });

  document.addEventListener("DOMContentLoaded", () => {
    import(entry).then((main) => main.start()).then(() => tries.set(0), fail);
  });
})();
