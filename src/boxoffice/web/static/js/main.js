// Puts the pages together: what stands on every page, and which page is at which address.

import "./lib/begun.js";
import { put } from "./lib/dom.js";
import { addTexts, chooseLanguage, t } from "./lib/i18n.js";
import { load } from "./lib/load.js";
import { Router } from "./lib/router.js";
import { session } from "./lib/session.js";
import { synchronize } from "./lib/clock.js";
import { askToLogIn } from "./parts/login.js";
import { failure } from "./parts/failure.js";
import { announcer } from "./parts/announce.js";
import { dismissAll } from "./parts/dialog.js";
import { Frame } from "./parts/frame.js";
import { stayInside } from "./parts/inside.js";
import { mine } from "./parts/mine.js";
import { sentence } from "./parts/problem.js";
import { texts } from "./texts/shop.js";
import { concerts } from "./pages/concerts.js";
import { concert } from "./pages/concert.js";
import { seats } from "./pages/seats.js";
import { queue } from "./pages/queue.js";
import { reservation } from "./pages/reservation.js";
import { login, signup } from "./pages/account.js";
import { me } from "./pages/me.js";

const PAGES = [
  ["/", concerts],
  ["/concerts/{concert_id}", concert],
  ["/schedules/{schedule_id}", seats],
  ["/schedules/{schedule_id}/queue", queue],
  ["/reservations/{reservation_id}", reservation],
  ["/login", login],
  ["/signup", signup],
  ["/me", me],
];

/** Starts the pages; `boot.js` calls it once. */
export async function start() {
  addTexts(texts);
  const frame = new Frame({ onLanguage: (code) => { chooseLanguage(code); redraw(); } });
  put(document.querySelector("#app"), frame.view, announcer.view);
  const router = new Router({
    present: (page, { moved }) => frame.present(page, { moved }),
    failed: failure,
    waiting: (isSlow) => {
      frame.wait(isSlow);
      if (isSlow) announcer.whisper(t("busy"));
    },
    left: () => { announcer.leave(); dismissAll(); },
  });
  const redraw = () => { frame.redraw(); router.refresh(); };
  for (const [template, page] of PAGES) router.add(template, () => page);
  // Few people need it, and it is large: it comes when somebody goes there.
  router.add("/organizer/*", async () => (await load(new URL("./console/main.js", import.meta.url))).page);
  session.ask = askToLogIn;
  session.addEventListener("change", () => frame.redraw());
  addEventListener("unhandledrejection", (event) => uncaught(event.reason));
  addEventListener("error", (event) => uncaught(event.error));
  synchronize().then(() => mine.ask());
  stayInside();
  await router.refresh();
}

// The browser itself writes it into its console; people hear that it was not their doing. What ends with a
// page is no error, and an error without an object is a browser's own (a resize that came late).
function uncaught(error) {
  if (error && error.name !== "AbortError") announcer.say(sentence(error), "bad");
}
