// "Tell me when seats return": the card beside the map of a sold-out performance.

import { get, ignoreProblem } from "../lib/api.js";
import { h, setChildren, uniqueId } from "../lib/dom.js";
import { dateTime, number, t } from "../lib/i18n.js";
import { session } from "../lib/session.js";
import { announcer } from "../components/announcer.js";
import { errorText } from "../components/problem.js";
import { join, leave, newestEntry, wantedText } from "./entries.js";

const AGAIN_MS = 5_000;
// No entry wants more; a sale with more free seats than that does not ask for the list.
const SEATS_MAX = 64;

/**
 * The card, hidden where the schedule has no waiting list, and while more seats are free than an entry may
 * want. `redraw()` after seats have changed.
 */
export function waitingListCard({ id, seats, signal }) {
  const body = h("div", { class: "stack" });
  const view = h("section", { class: "card stack waiting-list", hidden: true, "aria-label": t("waitingList.title") },
    h("h2", {}, t("waitingList.title")), body);
  let list = null;
  let entry;
  const show = (newest) => {
    if (!isSame(entry, newest) || !body.hasChildNodes()) {
      entry = newest;
      setChildren(body, isLive(entry) ? own(entry, again) : [entry?.status === "LAPSED" && h("p", { class: "notice warn" }, t("waitingList.lapsed")), form({ id, list, seats, signal, done: show })]);
    }
    view.hidden = !isLive(entry) && seats.free() >= list.seats_max;
  };
  const again = async () => {
    if (list?.is_on) show(session.isLoggedIn ? await newestEntry(id, signal).catch(ignoreProblem) ?? undefined : undefined);
  };
  const load = async () => {
    list = await get(`/v1/schedules/${id}/waiting-list`, { signal, anonymous: true }).catch(ignoreProblem);
    await again();
  };
  const redraw = () => {
    if (list === null && seats.free() < SEATS_MAX) {
      list = { is_on: false };
      load();
    } else if (list?.is_on) show(entry);
  };
  const timer = setInterval(() => { if (document.visibilityState === "visible" && isLive(entry)) again(); }, AGAIN_MS);
  signal.addEventListener("abort", () => clearInterval(timer), { once: true });
  session.addEventListener("change", again, { signal });
  redraw();
  return { view, redraw };
}

function isLive(entry) {
  return entry !== undefined && ["WAITING", "OFFERED"].includes(entry.status);
}

function isSame(one, other) {
  return one?.entry_id === other?.entry_id && one?.status === other?.status && one?.position === other?.position;
}

function own(entry, again) {
  if (entry.status === "OFFERED") {
    return [
      h("p", { role: "status" }, h("strong", {}, t("waitingList.offered")), " ", wantedText(entry)),
      h("p", {}, t("waitingList.until", { when: dateTime(entry.offer_expires_at) })),
      h("a", { class: "button primary", href: `/reservations/${entry.reservation_id}` }, t("waitingList.pay")),
    ];
  }
  const button = h("button", { type: "button", class: "button" }, t("waitingList.leave"));
  button.addEventListener("click", () => leaveOnce(button, entry).then(again));
  return [
    h("p", { role: "status" }, h("strong", {}, t("waitingList.position", { n: entry.position }))),
    h("p", { class: "muted" }, wantedText(entry)),
    h("div", { class: "actions" }, button),
  ];
}

/** Leaves a line by a button, which is disabled meanwhile; says what happened, and returns whether it worked. */
export async function leaveOnce(button, entry) {
  if (button.getAttribute("aria-disabled")) return false;
  button.setAttribute("aria-disabled", "true");
  try {
    await leave(entry);
    announcer.notify(t("waitingList.left"), "good");
    return true;
  } catch (error) {
    announcer.notify(errorText(error), "bad");
    return false;
  } finally {
    button.removeAttribute("aria-disabled");
  }
}

function form({ id, list, seats, signal, done }) {
  const quantityId = uniqueId("quantity");
  const gradeId = uniqueId("grade");
  const quantity = h("select", { id: quantityId, class: "input" },
    Array.from({ length: list.seats_max }, (_, at) => h("option", { value: at + 1, selected: at === 0 }, number(at + 1))));
  const grade = h("select", { id: gradeId, class: "input" }, h("option", { value: "" }, t("waitingList.anyGrade")),
    seats.gradesByPrice.map(({ name }) => h("option", { value: name }, name)));
  const said = h("p", { class: "form-error", role: "alert" });
  const button = h("button", { type: "submit", class: "button primary" }, t("waitingList.join"));
  const onsubmit = async (event) => {
    event.preventDefault();
    if (button.getAttribute("aria-disabled")) return;
    setChildren(said);
    if (!session.isLoggedIn && !(await session.renew("unauthenticated"))) return;
    button.setAttribute("aria-disabled", "true");
    try {
      const made = await join(id, { quantity: Number(quantity.value), ...(grade.value && { grade: grade.value }) }, signal);
      announcer.notify(t("waitingList.joined"), "good");
      done(made);
    } catch (error) {
      if (!signal.aborted) setChildren(said, errorText(error));
    } finally {
      button.removeAttribute("aria-disabled");
    }
  };
  return h("form", { class: "form", onsubmit },
    h("p", { class: "hint" }, t("waitingList.lead")),
    h("div", { class: "field" }, h("label", { for: quantityId }, t("waitingList.quantity")), quantity),
    h("div", { class: "field" }, h("label", { for: gradeId }, t("waitingList.grade")), grade),
    said, h("div", { class: "actions" }, button));
}
