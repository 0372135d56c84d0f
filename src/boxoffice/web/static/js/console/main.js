// The organizer's console, loaded on demand with its own texts.

import { Problem } from "../lib/api.js";
import { h } from "../lib/dom.js";
import { addTexts, t } from "../lib/i18n.js";
import { session } from "../lib/session.js";
import { errorPage } from "../components/error-page.js";
import { brand } from "./brand/page.js";
import { audit } from "./audit.js";
import { concert, newConcert } from "./concert.js";
import { editConcert } from "./events/concert-edit.js";
import { editSchedule } from "./events/schedule-edit.js";
import { venue, venues } from "./events/venues.js";
import { history } from "./history.js";
import { home } from "./home.js";
import { boxOffice, guests, issued } from "./inventory/issues.js";
import { texts as inventoryTexts } from "./inventory/texts.js";
import { live } from "./live.js";
import { disputes } from "./money/disputes.js";
import { payment, payments, paymentsOfSchedule } from "./money/payments.js";
import { manualRefunds, refunds } from "./money/refunds.js";
import { statementDay, statements } from "./money/statements.js";
import { activity, activityOfSchedule } from "./activity.js";
import { attendees } from "./reports/attendees.js";
import { reportOfSchedule, reports } from "./reports/page.js";
import { offers } from "./offers/page.js";
import { queue } from "./queue.js";
import { reservations } from "./reservations.js";
import { listenForSlash, search } from "./search/page.js";
import { seats } from "./seats.js";
import { applications } from "./team/applications.js";
import { apply, invitation, keepInvitation } from "./team/joining.js";
import { loadOrganizations } from "./team/organizations.js";
import { team } from "./team/team.js";
import { texts } from "./texts.js";
import { texts as waitingListTexts } from "./waiting-list/texts.js";
import { webhook, webhooks } from "./webhooks/endpoints.js";

addTexts(texts);
addTexts(inventoryTexts);
addTexts(waitingListTexts);

const ID = "([^/]+)";
const PAGES = [
  ["", home],
  ["/new", newConcert],
  ["/activity", activity],
  ["/audit", audit],
  ["/search", search],
  ["/refunds", manualRefunds],
  ["/payments", payments],
  [`/payments/${ID}`, payment],
  ["/disputes", disputes],
  ["/reports", reports],
  ["/statements", statements],
  [`/statements/${ID}/${ID}`, statementDay],
  ["/team", team],
  ["/brand", brand],
  ["/applications", applications],
  ["/webhooks", webhooks],
  [`/webhooks/${ID}`, webhook],
  ["/venues", venues],
  [`/venues/${ID}`, venue],
  [`/concerts/${ID}`, concert],
  [`/concerts/${ID}/edit`, editConcert],
  [`/schedules/${ID}`, live],
  [`/schedules/${ID}/edit`, editSchedule],
  [`/schedules/${ID}/seats`, seats],
  [`/schedules/${ID}/offers`, offers],
  [`/schedules/${ID}/guests`, guests],
  [`/schedules/${ID}/box-office`, boxOffice],
  [`/issues/${ID}`, issued],
  [`/schedules/${ID}/queue`, queue],
  [`/schedules/${ID}/reservations`, reservations],
  [`/schedules/${ID}/payments`, paymentsOfSchedule],
  [`/schedules/${ID}/report`, reportOfSchedule],
  [`/schedules/${ID}/attendees`, attendees],
  [`/schedules/${ID}/refunds`, refunds],
  [`/schedules/${ID}/activity`, activityOfSchedule],
  [`/reservations/${ID}`, history],
].map(([path, show]) => [new RegExp(`^/organizer${path}/?$`), show]);

let isListening = false;

/** The page of every address below `/organizer`. */
export async function page(context) {
  if (!isListening) listenForSlash(context.go);
  isListening = true;
  keepInvitation();
  if (!session.isLoggedIn) return loggedOut();
  if (location.pathname === "/organizer/invitation") return invitation(context);
  const own = await loadOrganizations(context.signal);
  if (!own.length && !session.isOperator) return apply(context);
  for (const [pattern, show] of PAGES) {
    const match = pattern.exec(location.pathname);
    if (match) return guarded(show, { ...context, id: match[1], second: match[2] });
  }
  return errorPage(null, context);
}

function loggedOut() {
  const to = encodeURIComponent(location.pathname + location.search);
  const view = h("section", { class: "card narrow" },
    h("h1", {}, t("console.title")), h("p", {}, t("account.needed")),
    h("div", { class: "actions" }, h("a", { class: "button primary", href: `/login?to=${to}` }, t("account.logIn"))));
  return { title: t("console.title"), view };
}

async function guarded(show, context) {
  try {
    return await show(context);
  } catch (error) {
    if (!(error instanceof Problem) || error.status !== 403) throw error;
    const view = h("section", { class: "error-page card" },
      h("h1", {}, t("console.forbidden")), h("p", {}, t("console.forbiddenDetail")),
      h("div", { class: "actions" }, h("a", { class: "button", href: "/" }, t("toConcerts"))));
    return { title: t("console.forbidden"), view };
  }
}
