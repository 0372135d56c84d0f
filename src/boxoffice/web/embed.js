// Shows the dates of a concert on any site: makes a frame after its own <script>, as high as what is in it.
//
//   <script async src="https://shop.example/widget.js" data-concert="…" data-lang="ko" data-theme="light"></script>
"use strict";

(() => {
  const HEIGHT_MAX_PX = 4_000;
  const FIRST_HEIGHT_PX = 320;
  const script = document.currentScript;
  const { concert, lang, theme, title } = script.dataset;
  const shop = new URL(script.src).origin;
  const chosen = Object.entries({ lang, theme }).filter(([, value]) => value);
  const frame = document.createElement("iframe");
  frame.src = `${shop}/widget/concerts/${encodeURIComponent(concert)}?${new URLSearchParams(chosen)}`;
  frame.title = title || (lang === "ko" ? "공연 예매" : "Tickets");
  frame.loading = "lazy";
  frame.style.cssText = `display:block;width:100%;border:0;height:${FIRST_HEIGHT_PX}px`;
  addEventListener("message", ({ source, origin, data }) => {
    if (source !== frame.contentWindow || origin !== shop || data?.type !== "boxoffice:height") return;
    frame.style.height = `${Math.min(Number(data.height) || FIRST_HEIGHT_PX, HEIGHT_MAX_PX)}px`;
  });
  script.after(frame);
})();
