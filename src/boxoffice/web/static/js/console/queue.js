// The controls of a waiting room. Every process applies a change within a second.

import { get, Problem, ignoreProblem } from "../lib/api.js";
import { h } from "../lib/dom.js";
import { number, t } from "../lib/i18n.js";
import { announcer } from "../components/announcer.js";
import { Field, form } from "../components/forms.js";
import { errorText } from "../components/problem.js";
import { confirmAction, postAction } from "./actions.js";
import { fetchSchedule, scheduleHead } from "./components.js";
import { mayChange } from "./team/organizations.js";
import { waitingListCard } from "./waiting-list/card.js";

const EVERY_MS = 2_000;
const MODES = ["off", "fifo", "lobby"];

/** The page of a waiting room. */
export async function queue({ id, signal, refresh }) {
  const path = `/v1/admin/schedules/${encodeURIComponent(id)}/queue`;
  const schedule = await fetchSchedule(id, signal);
  const room = await get(path, { signal }).catch((error) => {
    if (error instanceof Problem && error.status === 404) return null;
    throw error;
  });
  const isEditor = mayChange(schedule.concert, "sales_write");
  const waiting = await waitingListCard({ id, isEditor, signal, refresh });
  const view = [scheduleHead(schedule, "queue", refresh),
    room ? controls({ path, room, isEditor, signal, refresh }) : h("p", { class: "notice" }, t("queue.missing")), waiting];
  return { title: `${t("tabs.queue")} · ${schedule.concert.title}`, view, wide: true };
}

function controls({ path, room, isEditor, signal, refresh }) {
  const state = h("section", { class: "card", "aria-label": t("queue.title") },
    tiles(room), isEditor && h("div", { class: "actions" }, switches(path, room, refresh)));
  keepReading(path, signal, (now) => state.firstElementChild.replaceWith(tiles(now)));
  if (!isEditor) return state;
  return [state, h("section", { class: "card console-form" }, h("h2", {}, t("queue.title")), settings(path, room, refresh))];
}

async function keepReading(path, signal, show) {
  while (!signal.aborted) {
    await new Promise((resolve) => { setTimeout(resolve, EVERY_MS); });
    if (signal.aborted || document.visibilityState !== "visible") continue;
    const now = await get(path, { signal, tries: 1 }).catch(ignoreProblem);
    if (now && !signal.aborted) show(now);
  }
}

function tiles(room) {
  const rate = room.measured_rate_per_s === null ? "–" : number(Math.round(room.measured_rate_per_s * 10) / 10);
  return h("div", {},
    room.mode !== "off" && room.notice && h("p", { class: "notice warn" }, t(`queue.notice.${room.notice}`)),
    h("dl", { class: "tiles" }, [[t("live.waiting"), number(room.waiting)], [t("live.inside"), number(room.inside)]]
      .map(([name, value]) => h("div", { class: "tile" }, h("dt", {}, name), h("dd", { class: "number" }, value)))),
    h("p", { class: "muted small" }, t("queue.measured", { rate }), " · ", t("queue.called", { n: room.called })));
}

function switches(path, room, refresh) {
  if (room.mode === "off") return null;
  const change = (body) => async () => {
    try {
      await postAction(path, { body });
      announcer.notify(t("queue.saved"), "good");
    } catch (error) {
      announcer.notify(errorText(error), "bad");
    }
    refresh();
  };
  const close = () => confirmAction({
    title: t("queue.closeTitle"), detail: t("queue.closeDetail"), label: t("queue.close"), danger: true,
    act: () => postAction(path, { body: { closed: true } }), said: t("queue.saved"), done: refresh,
  });
  return [
    h("button", { type: "button", class: "button", onclick: change({ paused: !room.paused }) }, room.paused ? t("queue.resume") : t("queue.pause")),
    room.closed
      ? h("button", { type: "button", class: "button", onclick: change({ closed: false }) }, t("queue.reopen"))
      : h("button", { type: "button", class: "button danger", onclick: close }, t("queue.close")),
  ];
}

function settings(path, room, refresh) {
  const whole = { type: "number", required: true, inputmode: "numeric" };
  const fields = {
    mode: new RadioGroup(t("queue.mode"), "mode", MODES.map((name) => [name, t(`queue.mode.${name}`)]), room.mode),
    rate_per_s: new Field({ label: t("queue.rate"), type: "number", min: 0.01, max: 100_000, step: "any", required: true, value: room.rate_per_s, inputmode: "decimal" }),
    inside_max: new Field({ ...whole, label: t("queue.insideMax"), min: 1, max: 100_000, value: room.inside_max }),
    inside_s: new Field({ ...whole, label: t("queue.insideS"), min: 3, max: 86_400, value: room.inside_s }),
    grace_s: new Field({ ...whole, label: t("queue.grace"), min: 3, max: 3_600, value: room.grace_s }),
    opens_at: new Field({ label: t("queue.opens"), type: "datetime-local", step: 1, required: true, value: local(room.opens_at) }),
  };
  const anonymous = h("input", { type: "checkbox", checked: room.anonymous });
  const submit = async (values) => {
    const body = { mode: values.mode, anonymous: anonymous.checked };
    for (const name of ["rate_per_s", "inside_max", "inside_s", "grace_s"]) body[name] = Number(values[name]);
    if (values.opens_at !== local(room.opens_at)) body.opens_at = new Date(values.opens_at).toISOString();
    await postAction(path, { body });
    announcer.notify(t("queue.saved"), "good");
    refresh();
  };
  const choice = h("div", { class: "choices" }, h("label", {}, anonymous, h("span", {}, t("queue.anonymous"))));
  return form({ fields, children: [choice], label: t("queue.save"), submit });
}

/** A group of radio buttons with the interface of a `Field`; it is always valid. */
class RadioGroup {
  constructor(label, name, options, chosen) {
    this.view = h("fieldset", { class: "choices" }, h("legend", {}, label), options.map(([value, text]) => h("label", {},
      h("input", { type: "radio", name, value, checked: value === chosen }), h("span", {}, text))));
    this.input = this.view.querySelector("input");
  }

  get value() {
    return this.view.querySelector("input:checked").value;
  }

  check() {
    return true;
  }

  complain() {}
}

function local(at) {
  const moment = new Date(at);
  return new Date(moment - moment.getTimezoneOffset() * 60_000).toISOString().slice(0, 19);
}
