// The page on which a schedule is changed, moved, cancelled or deleted, and what buyers were told.

import { call, get, newKey, post } from "../../lib/api.js";
import { h } from "../../lib/dom.js";
import { t } from "../../lib/i18n.js";
import { performanceText } from "../../lib/performance-time.js";
import { session } from "../../lib/session.js";
import { announcer } from "../../components/announcer.js";
import { Field, form } from "../../components/forms.js";
import { confirmAction } from "../actions.js";
import { fetchSchedule, scheduleHead, table } from "../components.js";
import { localTime, sendTimes, timeField } from "./local-time.js";
import { venueField, venuesOf } from "./venue-choice.js";

const TIMES = ["starts_at", "doors_at", "sale_opens_at", "sale_closes_at"];
const NUMBERS = { ticket_limit: [1, 1000], hold_ttl_s: [1, 86_400], seats_return_delay_max_s: [0, 600] };

/** The page. */
export async function editSchedule({ id, signal, refresh, go }) {
  const path = `/v1/admin/schedules/${encodeURIComponent(id)}`;
  const [one, changes] = await Promise.all([fetchSchedule(id, signal), get(`${path}/changes`, { signal })]);
  const places = await venuesOf(one.concert, signal);
  const isOver = session.isOperator || one.status === "CANCELLED";
  const view = [
    scheduleHead(one, "edit", refresh),
    changes.items.length > 0 && told(changes.items, one.time_zone),
    !isOver && h("section", { class: "card console-form" }, h("h2", {}, t("edit.schedule")), scheduleForm(one, path, places, refresh)),
    !isOver && (one.status === "DRAFT" ? deletion(one, path, go) : [postponement(one, path, refresh), cancellation(path, refresh)]),
  ];
  return { title: `${t("edit.schedule")} · ${one.concert.title}`, view };
}

function told(items, zone) {
  return h("section", { class: "card" }, h("h2", {}, t("changes.title")),
    table([t("changes.what"), t("changes.when"), t("changes.mails"), t("changes.state")], items.map((one) => [
      [t(`changes.${one.kind}`), one.reason && h("div", { class: "small muted" }, one.reason)],
      performanceText(one.created_at, zone), String(one.mails), t(one.finished_at ? "changes.done" : "changes.running"),
    ]), t("changes.title")));
}

function scheduleForm(one, path, places, refresh) {
  const zone = one.time_zone;
  const fields = Object.fromEntries(TIMES.map((name) => [name, timeField(t(`edit.${name}`), {
    at: one[name], zone, required: name === "starts_at" || name === "sale_opens_at", hint: name === "starts_at" ? t("local.zone", { zone }) : undefined,
  })]));
  for (const [name, [min, max]] of Object.entries(NUMBERS)) {
    fields[name] = new Field({ label: t(`edit.${name}`), type: "number", min, max, value: one[name], required: true, inputmode: "numeric" });
  }
  Object.assign(fields, venueField(one.venue?.venue_id, one.concert.venue, places));
  if (places.length) {
    fields.reason = new Field({ label: t("edit.venueReason"), hint: t("edit.venueReasonHint"), maxlength: 200 });
    fields.refundable_until = timeField(t("edit.venueUntil"), { zone, hint: t("edit.venueUntilHint") });
  }
  const before = Object.fromEntries(Object.entries(fields).map(([name, field]) => [name, field.value]));
  const submit = async (values) => {
    const changed = Object.entries(values).filter(([name, value]) => value !== before[name]);
    const body = Object.fromEntries(changed.map(([name, value]) => [name, sentValue(name, value)]));
    await sendTimes((sent) => call("PATCH", path, { body: sent, headers: { "If-Match": `"${one.version}"` }, tries: 1 }), body);
    announcer.notify(t("edit.saved"), "good");
    refresh();
  };
  return form({ fields, label: t("edit.save"), submit });
}

function sentValue(name, value) {
  if (name in NUMBERS) return Number(value);
  if (name === "venue_id") return value || null;
  return name === "reason" ? value.trim() : localTime(value);
}

function postponement(one, path, refresh) {
  const fields = {
    starts_at: timeField(t("postpone.newStart"), { zone: one.time_zone, required: true, hint: t("local.zone", { zone: one.time_zone }) }),
    refundable_until: timeField(t("postpone.until"), { zone: one.time_zone, hint: t("postpone.untilHint") }),
    reason: new Field({ label: t("change.reason"), hint: t("change.reasonHint"), maxlength: 200 }),
  };
  const key = newKey();
  const submit = async (values) => {
    const body = { starts_at: localTime(values.starts_at), refundable_until: localTime(values.refundable_until), reason: values.reason.trim() || null };
    await sendTimes((sent) => post(`${path}/postpone`, sent, { key }), body);
    announcer.notify(t("postpone.done"), "good");
    refresh();
  };
  return h("details", { class: "card" }, h("summary", {}, h("h2", {}, t("postpone.title"))), h("p", {}, t("postpone.detail")),
    form({ fields, label: t("postpone.go"), submit }));
}

function cancellation(path, refresh) {
  const compensation = h("input", { type: "checkbox" });
  const fields = { reason: new Field({ label: t("change.reason"), hint: t("change.reasonHint"), required: true, maxlength: 200 }) };
  const key = newKey();
  const submit = ({ reason }) => confirmAction({
    title: t("cancelling.sure"), detail: t("cancelling.detail"), label: t("cancelling.go"), danger: true,
    act: () => post(`${path}/cancel`, { reason, with_compensation: compensation.checked }, { key }), said: t("cancelling.done"), done: refresh,
  });
  return h("details", { class: "card" }, h("summary", {}, h("h2", {}, t("cancelling.title"))), h("p", {}, t("cancelling.detail")),
    form({ fields, label: t("cancelling.go"), submit, children: [h("label", { class: "choice" }, compensation, " ", t("cancelling.compensation"))] }));
}

function deletion(one, path, go) {
  const remove = () => confirmAction({
    title: t("edit.deleteTitle"), detail: t("edit.deleteSchedule"), label: t("edit.delete"), danger: true,
    act: () => call("DELETE", path, { headers: { "If-Match": `"${one.version}"` }, tries: 1 }), said: t("edit.deleted"),
    done: () => go(`/organizer/concerts/${one.concert_id}`),
  });
  return h("section", { class: "card" }, h("h2", {}, t("edit.delete")), h("p", {}, t("edit.deleteSchedule")),
    h("div", { class: "actions" }, h("button", { type: "button", class: "button danger", onclick: remove }, t("edit.delete"))));
}
