// Price types, booking fee, channels and the start of the public sale.

import { call } from "../../lib/api.js";
import { h } from "../../lib/dom.js";
import { decimals, t } from "../../lib/i18n.js";
import { announcer } from "../../components/announcer.js";
import { Field, form } from "../../components/forms.js";
import { editableRows, numberOr } from "./rows.js";

/** The card of the terms; without `isEditor` they are only shown. */
export function terms({ own, path, isEditor, refresh }) {
  const unit = 10 ** decimals(own.currency);
  const step = 1 / unit;
  const fee = new Field({ label: t("offers.feeLabel", { currency: own.currency }), hint: t("offers.feeHint"), type: "number", min: 0, step, required: true, value: own.booking_fee / unit });
  const from = new Field({ label: t("offers.publicFromLabel"), hint: t("offers.publicFromHint"), type: "datetime-local", value: localValue(own.public_from) });
  const types = editableRows({
    label: t("offers.types"), addLabel: t("offers.addType"), columns: typeColumns(step),
    rows: own.price_types.map((one) => ({ ...one, amount_off: one.amount_off / unit, grades: (one.grades ?? []).join(", ") })),
  });
  const channels = editableRows({
    label: t("offers.channels"), addLabel: t("offers.addChannel"), columns: channelColumns(), rows: own.channels,
  });
  const submit = async (values) => {
    const body = {
      public_from: values.public_from ? new Date(values.public_from).toISOString() : null,
      booking_fee: Math.round(Number(values.booking_fee) * unit),
      price_types: types.values().map((one) => ({
        ...one, percent_off: numberOr(one.percent_off, 0), amount_off: Math.round(numberOr(one.amount_off, 0) * unit), grades: listOf(one.grades),
      })),
      channels: channels.values().map((one) => ({ ...one, quota: numberOr(one.quota, null) })),
    };
    await call("PUT", path, { body, headers: { "If-Match": `"${own.version}"` }, tries: 1 });
    announcer.notify(t("offers.saved"), "good");
    refresh();
  };
  const fields = { booking_fee: fee, public_from: from };
  const card = form({ fields, label: t("offers.save"), submit, children: [types.view, h("p", { class: "hint" }, t("offers.channelsHint")), channels.view] });
  if (!isEditor) {
    card.querySelectorAll("input").forEach((one) => { one.disabled = true; });
    card.querySelectorAll("button").forEach((one) => one.remove());
  }
  return h("section", { class: "card stack" }, h("h2", {}, t("offers.terms")), h("p", { class: "muted" }, t("offers.termsLead")), card);
}

function typeColumns(step) {
  return [
    { name: "code", label: t("offers.typeCode"), pattern: "[a-z0-9_]{1,20}", maxlength: 20, required: true },
    { name: "name", label: t("offers.nameEn"), maxlength: 40, required: true },
    { name: "name_ko", label: t("offers.nameKo"), maxlength: 40 },
    { name: "percent_off", label: t("offers.percent"), type: "number", min: 0, max: 100 },
    { name: "amount_off", label: t("offers.amount"), type: "number", min: 0, step },
    { name: "grades", label: t("offers.grades") },
    { name: "note", label: t("offers.noteEn"), maxlength: 200 },
    { name: "note_ko", label: t("offers.noteKo"), maxlength: 200 },
  ];
}

function channelColumns() {
  return [
    { name: "code", label: t("offers.channelCode"), pattern: "[a-z0-9_]{1,20}", maxlength: 20, required: true },
    { name: "name", label: t("offers.name"), maxlength: 40, required: true },
    { name: "quota", label: t("offers.quota"), type: "number", min: 0 },
    { name: "is_default", label: t("offers.isDefault"), type: "checkbox" },
  ];
}

function listOf(text) {
  const parts = text.split(",").map((one) => one.trim()).filter(Boolean);
  return parts.length ? parts : null;
}

/** Returns a moment as an input of the user's own zone has it. */
export function localValue(moment) {
  if (!moment) return "";
  const at = new Date(moment);
  return new Date(at.getTime() - at.getTimezoneOffset() * 60_000).toISOString().slice(0, 16);
}
