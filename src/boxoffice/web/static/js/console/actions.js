// Actions of organizers whose calls have no Idempotency-Key: after a lost answer the page must be checked.

import { call, newKey, Problem } from "../lib/api.js";
import { h } from "../lib/dom.js";
import { t } from "../lib/i18n.js";
import { announcer } from "../components/announcer.js";
import { ask } from "../components/dialog.js";
import { requestReference, errorText } from "../components/problem.js";

const LOST = new Set(["no_answer", "outcome_unknown"]);

/** Sends a POST; a lost answer becomes a `Problem` with the code `console_unsure`, other errors pass through. */
export async function postAction(path, options = {}) {
  try {
    return await call("POST", path, { tries: 1, ...options });
  } catch (error) {
    if (!(error instanceof Problem) || !LOST.has(error.code)) throw error;
    throw new Problem(error.status, "console_unsure", error.body);
  }
}

/** Returns a function that gives one key for one content of a form: a repetition after a lost answer finds what was made. */
export function creationKeys() {
  const keys = new Map();
  return (body) => {
    const text = JSON.stringify(body);
    if (!keys.has(text)) keys.set(text, newKey());
    return keys.get(text);
  };
}

/**
 * Asks for confirmation, calls `act()`, shows `said` (a text, or what it returns) as a toast, and calls `done` in either
 * case. Returns whether the action was done.
 */
export async function confirmAction({ title, detail, label, danger = false, act, said, done }) {
  const yes = await ask(title, (close) => [
    h("p", {}, detail),
    h("div", { class: "actions" },
      h("button", { type: "button", class: danger ? "button danger" : "button primary", onclick: () => close(true) }, label),
      h("button", { type: "button", class: "button", onclick: () => close(null) }, t("cancel"))),
  ]);
  if (!yes) return false;
  let isDone = false;
  try {
    await act();
    isDone = true;
    announcer.notify(typeof said === "function" ? said() : said, "good");
  } catch (error) {
    announcer.notify(`${errorText(error)} ${requestReference(error)}`.trim(), "bad");
  }
  done();
  return isDone;
}
