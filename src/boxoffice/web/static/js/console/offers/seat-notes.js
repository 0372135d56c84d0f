// Seats that are sold together, and notes about seats.

import { call } from "../../lib/api.js";
import { h } from "../../lib/dom.js";
import { t } from "../../lib/i18n.js";
import { announcer } from "../../components/announcer.js";
import { form } from "../../components/forms.js";
import { editableRows, numberOr } from "./rows.js";

/** The card of what is said about seats. */
export function seatNotes({ own, path, refresh }) {
  const pairs = editableRows({
    label: t("offers.pairs"), addLabel: t("offers.addPair"), rows: own.pairs,
    columns: [{ name: "accessible", label: t("offers.accessibleId"), required: true }, { name: "companion", label: t("offers.companionId"), required: true }],
  });
  const notes = editableRows({
    label: t("offers.notes"), addLabel: t("offers.addNote"), rows: own.notes.map((one) => ({ ...one, seat_ids: one.seat_ids.join(", ") })),
    columns: [
      { name: "note", label: t("offers.noteEn"), maxlength: 200, required: true }, { name: "note_ko", label: t("offers.noteKo"), maxlength: 200 },
      { name: "seat_ids", label: t("offers.seatIds") }, { name: "section", label: t("offers.section") }, { name: "row", label: t("offers.row") },
      { name: "first", label: t("offers.first"), type: "number", min: 1 }, { name: "last", label: t("offers.last"), type: "number", min: 1 },
    ],
  });
  const submit = async () => {
    await call("PUT", `${path}/seats`, { body: { pairs: pairs.values(), notes: notes.values().map(note) }, headers: { "If-Match": `"${own.version}"` }, tries: 1 });
    announcer.notify(t("offers.saved"), "good");
    refresh();
  };
  return h("section", { class: "card stack" }, h("h2", {}, t("offers.aboutSeats")), h("p", { class: "muted" }, t("offers.aboutSeatsLead")),
    form({ fields: {}, label: t("offers.save"), submit, children: [pairs.view, notes.view] }));
}

function note({ note: text, note_ko: korean, seat_ids: ids, section, row, first, last }) {
  const seatIds = ids.split(",").map((one) => one.trim()).filter(Boolean);
  return {
    note: text, note_ko: korean,
    ...(seatIds.length ? { seat_ids: seatIds } : { section: section || null, row: row || null, first: numberOr(first, null), last: numberOr(last, null) }),
  };
}
