// The entry point: layout and routes.

import "./lib/loaded.js";
import { setChildren } from "./lib/dom.js";
import { addTexts, chooseLanguage, t } from "./lib/i18n.js";
import { importModule } from "./lib/import-module.js";
import { Router } from "./lib/router.js";
import { session } from "./lib/session.js";
import { synchronize } from "./lib/clock.js";
import { askToLogIn } from "./components/login.js";
import { errorPage } from "./components/error-page.js";
import { announcer } from "./components/announcer.js";
import { dismissAll } from "./components/dialog.js";
import { HoldExpiry } from "./components/hold-expiry.js";
import { Layout } from "./components/layout.js";
import { keepPassesAlive } from "./components/heartbeat.js";
import { keepMailLanguage } from "./components/mail-language.js";
import { ownHolds } from "./components/own-holds.js";
import { errorText } from "./components/problem.js";
import { texts } from "./texts/shop.js";
import { concerts } from "./pages/concerts.js";
import { concert } from "./pages/concert.js";
import { seats } from "./pages/seats.js";
import { queue } from "./pages/queue.js";
import { reservation } from "./pages/reservation.js";
import { login, signup } from "./pages/account.js";
import { me } from "./pages/me.js";
import { terms } from "./pages/terms.js";

const PAGES = [
  ["/", concerts],
  ["/concerts/{concert_id}", concert],
  // A hold, a place in line and a payment are resumed by the page that is loaded next.
  ["/schedules/{schedule_id}", seats, { endsFirst: true }],
  ["/schedules/{schedule_id}/queue", queue, { endsFirst: true }],
  ["/reservations/{reservation_id}", reservation, { endsFirst: true }],
  ["/login", login],
  ["/signup", signup],
  ["/me", me],
  ["/organizations/{organization_id}/terms", terms],
];

/** Starts the pages; `boot.js` calls it once. */
export async function start() {
  addTexts(texts);
  const frame = new Layout({ onLanguage: (code) => { chooseLanguage(code); redraw(); keepMailLanguage(); } });
  setChildren(document.querySelector("#app"), frame.view, announcer.view);
  const router = new Router({
    present: (page, how) => frame.present(page, how),
    failed: errorPage,
    stale: (error) => announcer.notify(errorText(error), "bad"),
    unused: (signal) => frame.untilUnused(signal),
    owner: () => session.owner,
    waiting: (isSlow) => {
      frame.wait(isSlow);
      if (isSlow) announcer.announce(t("busy"));
    },
    left: () => { announcer.clear(); dismissAll(); },
  });
  const redraw = () => { frame.redraw(); router.refresh(); };
  for (const [template, page, options] of PAGES) router.add(template, () => page, options);
  // Rarely needed, so they are loaded on demand.
  const links = () => importModule(new URL("./pages/account-links.js", import.meta.url));
  router.add("/account", async () => (await importModule(new URL("./pages/account-settings.js", import.meta.url))).settings);
  router.add("/account/forgot", async () => (await links()).forgot);
  router.add("/account/reset", async () => (await links()).reset);
  router.add("/account/confirm", async () => (await links()).confirm);
  // Large and rarely needed, so it is loaded on demand.
  router.add("/organizer/*", async () => (await importModule(new URL("./console/main.js", import.meta.url))).page);
  router.add("/checkout/{intent_id}", async () => (await importModule(new URL("./pages/checkout.js", import.meta.url))).checkout, { ownDocument: true, endsFirst: true });
  session.ask = askToLogIn;
  session.addEventListener("change", () => frame.redraw());
  addEventListener("unhandledrejection", (event) => uncaught(event.reason));
  addEventListener("error", (event) => uncaught(event.error));
  synchronize().then(() => ownHolds.ask());
  new HoldExpiry(() => announcer.notify(t("hold.over"), "bad", { forNextPage: true }));
  keepPassesAlive();
  await router.refresh();
}

// The browser logs the error; the user sees a toast. An abort is not an error, and an event without an error
// object comes from the browser itself (a late resize).
function uncaught(error) {
  if (error && error.name !== "AbortError") announcer.notify(errorText(error), "bad");
}
