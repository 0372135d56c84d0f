// Times of a performance as clocks at its venue show them: input fields, and what is sent.

import { Problem } from "../../lib/api.js";
import { h } from "../../lib/dom.js";
import { t } from "../../lib/i18n.js";
import { ask } from "../../components/dialog.js";
import { Field } from "../../components/forms.js";

/** Returns a moment as the value of an input of local time in a zone. */
export function localValue(at, zone) {
  if (!at) return "";
  const parts = Object.fromEntries(new Intl.DateTimeFormat("en-US", {
    timeZone: zone, hourCycle: "h23", year: "numeric", month: "2-digit", day: "2-digit", hour: "2-digit", minute: "2-digit",
  }).formatToParts(new Date(at)).map(({ type, value }) => [type, value]));
  return `${parts.year}-${parts.month}-${parts.day}T${parts.hour}:${parts.minute}`;
}

/** A field of a local time; `at` is the present moment, if there is one. */
export function timeField(label, { at, zone, required = false, hint }) {
  return new Field({ label, hint, type: "datetime-local", required, value: localValue(at, zone) });
}

/** Returns what is sent for the value of a field, null for an empty one. */
export function localTime(value) {
  return value ? { local: value } : null;
}

/**
 * Calls `send(body)`; for a time that clocks show twice it asks which one and sends again. `members` are the
 * times of the body.
 */
export async function sendTimes(send, body) {
  try {
    return await send(body);
  } catch (error) {
    if (!(error instanceof Problem) || error.code !== "local_time_ambiguous") throw error;
    const member = error.body.errors[0].path.replace("$.", "");
    const local = await whichOne(error.body.choices);
    if (!local) throw error;
    return sendTimes(send, { ...body, [member]: { local } });
  }
}

function whichOne(choices) {
  return ask(t("local.twice"), (close) => [
    h("p", {}, t("local.twiceDetail")),
    h("div", { class: "actions" }, choices.map((choice, at) => h("button", { type: "button", class: "button", onclick: () => close(choice) },
      t(at === 0 ? "local.first" : "local.second", { time: choice.slice(11, 16), offset: choice.slice(19) })))),
  ]);
}
