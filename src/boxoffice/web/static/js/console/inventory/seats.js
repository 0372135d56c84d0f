// Seats after the opening: block, put back on sale, change price or grade, add.

import { all, ignoreProblem } from "../../lib/api.js";
import { h } from "../../lib/dom.js";
import { dateTime, t } from "../../lib/i18n.js";
import { markSent, valuesOf } from "../../lib/redraw.js";
import { announcer } from "../../components/announcer.js";
import { Field, form } from "../../components/forms.js";
import { confirmAction, postAction } from "../actions.js";
import { table, timestamp } from "../components.js";
import { choice, seatSelector } from "./selector.js";

const REASONS = ["house", "broken", "camera", "view", "other"];
const BLOCKS_SHOWN = 200;

/** What an organizer can do with the seats of a schedule that was opened. */
export async function seatActions(schedule, { signal, refresh }) {
  const path = `/v1/admin/schedules/${schedule.schedule_id}/seats`;
  const [selector, blocks] = await Promise.all([
    seatSelector(schedule, { signal, refresh }), all(`${path}/block`, { signal }, BLOCKS_SHOWN).catch(ignoreProblem),
  ]);
  const send = (command, body, title, detail) => {
    if (!selector.count) { announcer.notify(t("inventory.none"), "bad"); return false; }
    let done;
    return confirmAction({
      title, detail, label: title,
      act: async () => { done = await postAction(`${path}/${command}`, { body: { seat_ids: selector.ids, ...body } }); },
      said: () => t("inventory.done", { n: done.changed.length, left: done.unchanged.length }),
      done: () => { selector.clear(); if (done) refresh(); },
    });
  };
  const view = [
    h("p", { class: "muted" }, t("inventory.lead")),
    h("div", { class: "inventory" }, selector.view, h("div", { class: "stack" },
      blockCard(selector, send), repriceCard(schedule, selector, send), addCard(path, refresh))),
    blocked(blocks ?? [], selector),
  ];
  return { view, close: () => selector.close() };
}

function blockCard(selector, send) {
  const reason = choice(t("inventory.reason"), REASONS.map((name) => [name, t(`inventory.reason.${name}`)]));
  const note = new Field({ label: t("inventory.note"), maxlength: 200 });
  const body = (more) => ({ ...more, ...(note.value.trim() && { note: note.value.trim() }) });
  const press = async (command, more, title, detail) => {
    const values = valuesOf(view);
    if (await send(command, body(more), title, t(detail, { n: selector.count }))) markSent(view, values);
  };
  const block = () => press("block", { reason: reason.value }, t("inventory.block"), "inventory.blockDetail");
  const release = () => press("release", {}, t("inventory.release"), "inventory.releaseDetail");
  const view = h("section", { class: "card stack", "data-form": "block" }, h("h2", {}, t("inventory.blockHead")), reason.view, note.view,
    h("div", { class: "actions" },
      h("button", { type: "button", class: "button primary", onclick: block }, t("inventory.block")),
      h("button", { type: "button", class: "button", onclick: release }, t("inventory.release"))));
  return view;
}

function repriceCard(schedule, selector, send) {
  const fields = {
    price: new Field({ label: t("inventory.price", { currency: schedule.currency }), hint: t("inventory.priceHint"), type: "number", min: 0, step: 1, inputmode: "numeric" }),
    grade: new Field({ label: t("inventory.grade"), hint: t("inventory.gradeHint"), maxlength: 40 }),
  };
  const submit = async ({ price, grade }) => {
    const body = { ...(price !== "" && { price: Number(price) }), ...(grade.trim() && { new_grade: grade.trim() }) };
    if (!Object.keys(body).length) { fields.price.complain(t("inventory.priceOrGrade")); return false; }
    return send("reprice", body, t("inventory.reprice"), t("inventory.repriceDetail", { n: selector.count }));
  };
  return h("section", { class: "card stack" }, h("h2", {}, t("inventory.repriceHead")), form({ fields, label: t("inventory.reprice"), submit }));
}

// One row of seats at a time; larger additions go through the API.
function addCard(path, refresh) {
  const whole = (label, value, max) => new Field({ label, type: "number", min: 1, max, value, required: true, inputmode: "numeric" });
  const fields = {
    section: new Field({ label: t("import.section"), required: true, maxlength: 40 }),
    row: new Field({ label: t("inventory.row"), required: true, maxlength: 40 }),
    first: whole(t("inventory.first"), 1, 100_000),
    end: whole(t("inventory.last"), 1, 100_000),
    grade: new Field({ label: t("import.grade"), required: true, maxlength: 40 }),
    price: new Field({ label: t("import.price"), type: "number", min: 0, required: true, inputmode: "numeric" }),
  };
  const submit = async ({ section, row, first, end, grade, price }) => {
    const count = Number(end) - Number(first) + 1;
    if (count < 1 || count > 500) { fields.end.complain(t("inventory.rowLength")); return false; }
    const seats = Array.from({ length: count }, (_, at) => ({ section, row, number: Number(first) + at, grade, price: Number(price) }));
    const made = await postAction(`${path}/add`, { body: { seats } });
    announcer.notify(t("inventory.added", { n: made.seats_added }), "good");
    refresh();
    return true;
  };
  return h("details", { class: "card" }, h("summary", {}, h("h2", {}, t("inventory.addHead"))),
    h("p", { class: "muted" }, t("inventory.addLead")), form({ fields, label: t("inventory.addSeats"), submit }));
}

function blocked(blocks, selector) {
  if (!blocks.length) return null;
  const place = (id) => { const at = selector.seats.find(id); return at === undefined ? id : selector.words.short(at); };
  const rows = blocks.map((one) => [place(one.seat_id), t(`inventory.reason.${one.reason}`), one.note, timestamp(one.blocked_at, dateTime)]);
  return h("section", { class: "card" }, h("h2", {}, t("inventory.blocked", { n: blocks.length })),
    table([t("inventory.seat"), t("inventory.reason"), t("inventory.note"), t("log.when")], rows, t("inventory.blocked", { n: blocks.length })));
}
