// Starts the pages, and helps where that fails: while a new release is being rolled out, a page may name
// files that the next process no longer has. Then the page is asked for again, a few times and more and
// more slowly. It belongs to no release itself, so it may use nothing of one.
"use strict";

(() => {
  const entry = document.currentScript.dataset.entry;
  const COUNT = "boxoffice.boot";
  const TRIES_MAX = 3;
  const PAUSE_MS = 800;
  let failed = false;

  const tries = {
    get() {
      try { return Number(sessionStorage.getItem(COUNT)) || 0; } catch { return TRIES_MAX; }
    },
    set(value) {
      try { sessionStorage.setItem(COUNT, String(value)); } catch { /* then it is tried by hand */ }
    },
  };

  function say() {
    const box = document.createElement("div");
    box.setAttribute("role", "alert");
    box.className = "boot-failed";
    for (const text of [
      "The shop does not answer. Nothing is lost.",
      "서버가 응답하지 않습니다. 잃어버린 것은 없습니다.",
    ]) {
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

  function heal() {
    if (failed) return;
    failed = true;
    const done = tries.get();
    if (done >= TRIES_MAX) {
      say();
      return;
    }
    tries.set(done + 1);
    setTimeout(() => location.reload(), PAUSE_MS * 2 ** done);
  }

  document.addEventListener("error", (event) => {
    if (event.target instanceof HTMLLinkElement && event.target.rel === "stylesheet") heal();
  }, true);

  document.addEventListener("DOMContentLoaded", () => {
    import(entry).then((main) => main.start()).then(() => tries.set(0), (error) => {
      console.error(error);
      heal();
    });
  });
})();
