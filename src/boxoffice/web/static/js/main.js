// Puts the pages together: what stands on every page, and which page is at which address.

import { put } from "./lib/dom.js";
import { addTexts, chooseLanguage } from "./lib/i18n.js";
import { Router } from "./lib/router.js";
import { session } from "./lib/session.js";
import { synchronize } from "./lib/clock.js";
import { askToLogIn } from "./parts/login.js";
import { failure } from "./parts/failure.js";
import { announcer } from "./parts/announce.js";
import { Frame } from "./parts/frame.js";
import { stayInside } from "./parts/inside.js";
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
  });
  const redraw = () => { frame.redraw(); router.refresh(); };
  for (const [template, page] of PAGES) router.add(template, () => page);
  // Few people need it, and it is large: it comes when somebody goes there.
  router.add("/organizer/*", async () => (await import("./console/main.js")).page);
  session.ask = askToLogIn;
  session.addEventListener("change", () => frame.redraw());
  synchronize();
  stayInside();
  await router.refresh();
}
