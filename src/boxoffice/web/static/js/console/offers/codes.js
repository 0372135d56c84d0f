// Codes: the batches with their uses, the form for new ones, and their only showing.

import { call, newKey, post } from "../../lib/api.js";
import { h, setChildren } from "../../lib/dom.js";
import { dateTime, decimals, money, number, t } from "../../lib/i18n.js";
import { keepState } from "../../lib/redraw.js";
import { session } from "../../lib/session.js";
import { announcer } from "../../components/announcer.js";
import { Field, form } from "../../components/forms.js";
import { errorText } from "../../components/problem.js";
import { confirmAction } from "../actions.js";
import { table } from "../components.js";
import { numberOr } from "./rows.js";

/** The card of the codes. */
export function codes({ own, made, path, signal, refresh }) {
  const shown = onceShown();
  const list = made.items.length
    ? table([t("offers.name"), t("offers.gives"), t("offers.uses"), t("offers.valid"), ""], made.items.map((one) => row(one, own, path, refresh)), t("offers.codes"))
    : h("p", { class: "muted" }, t("offers.noCodes"));
  return h("section", { class: "card stack", "data-form": "codes" }, h("h2", {}, t("offers.codes")), h("p", { class: "muted" }, t("offers.codesLead")), shown.view, list,
    h("details", { class: "code-fields" }, h("summary", {}, h("h3", {}, t("offers.makeCodes"))), makeForm({ own, path, signal, shown, refresh })));
}

function row(one, own, path, refresh) {
  const gives = [
    one.is_presale && t("offers.isPresale"), one.percent_off > 0 && `−${number(one.percent_off)} %`,
    one.amount_off > 0 && `−${money(one.amount_off, own.currency)}`, one.channel && t("offers.ofChannel", { channel: one.channel }),
  ].filter(Boolean).join(", ");
  const disable = () => confirmAction({
    title: t("offers.disableTitle"), detail: t("offers.disableDetail"), label: t("offers.disable"), danger: true,
    act: () => call("PUT", `${path}/codes/${one.batch_id}/disabled`, { body: {} }), said: t("offers.disabled"), done: refresh,
  });
  return [
    h("span", {}, h("strong", {}, one.name), " ", h("span", { class: "muted small" }, one.is_shared ? t("offers.shared") : t("offers.generated", { n: one.codes }))),
    gives || t("offers.nothing"),
    one.uses_max ? t("offers.usesOf", { uses: number(one.uses), all: number(one.uses_max * one.codes) }) : number(one.uses),
    valid(one),
    h("span", { class: "actions" },
      h("button", { type: "button", class: "button plain", onclick: () => download(`${path}/codes/${one.batch_id}/export`, `codes-${one.batch_id}.csv`) }, t("offers.export")),
      !one.disabled_at && h("button", { type: "button", class: "button plain danger", onclick: disable }, t("offers.disable"))),
  ];
}

function valid(one) {
  if (one.disabled_at) return t("offers.disabledAt", { when: dateTime(one.disabled_at) });
  const parts = [one.valid_from && t("offers.from", { when: dateTime(one.valid_from) }), one.valid_until && t("offers.until", { when: dateTime(one.valid_until) })];
  return parts.filter(Boolean).join(" ") || t("offers.always");
}

// The export is no page of its own: it needs the access token.
async function download(address, name) {
  try {
    const answer = await fetch(address, { headers: { Authorization: `Bearer ${session.token}` }, credentials: "omit" });
    if (!answer.ok) throw new Error(String(answer.status));
    save(await answer.text(), name);
  } catch (error) {
    announcer.notify(errorText(error), "bad");
  }
}

function save(text, name) {
  const address = URL.createObjectURL(new Blob([text], { type: "text/csv" }));
  h("a", { href: address, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(address), 1_000);
}

function makeForm({ own, path, signal, shown, refresh }) {
  const unit = 10 ** decimals(own.currency);
  const count = (label, hint, attributes = {}) => new Field({ label, hint, type: "number", min: 1, ...attributes });
  const fields = {
    name: new Field({ label: t("offers.name"), required: true, maxlength: 40 }),
    count: count(t("offers.count"), t("offers.countHint"), { max: 10_000 }),
    code: new Field({ label: t("offers.sharedCode"), hint: t("offers.sharedHint"), maxlength: 40 }),
    percent_off: new Field({ label: t("offers.percent"), type: "number", min: 0, max: 100 }),
    amount_off: new Field({ label: t("offers.amount"), type: "number", min: 0, step: 1 / unit }),
    uses_max: count(t("offers.usesMax"), t("offers.usesHint")),
    seats_max: count(t("offers.ticketsMax")),
    person_uses_max: count(t("offers.personUsesMax")),
    valid_from: new Field({ label: t("offers.validFrom"), type: "datetime-local" }),
    valid_until: new Field({ label: t("offers.validUntil"), type: "datetime-local" }),
    channel: new Field({ label: t("offers.channel"), hint: own.channels.map(({ code }) => code).join(", "), maxlength: 20 }),
  };
  const presale = h("input", { type: "checkbox" });
  const submit = async (values) => {
    const body = {
      name: values.name, ...(values.code ? { code: values.code } : { count: numberOr(values.count, 1) }), is_presale: presale.checked,
      percent_off: numberOr(values.percent_off, 0), amount_off: Math.round(numberOr(values.amount_off, 0) * unit),
      uses_max: numberOr(values.uses_max, null), seats_max: numberOr(values.seats_max, null), person_uses_max: numberOr(values.person_uses_max, null),
      valid_from: at(values.valid_from), valid_until: at(values.valid_until), channel: values.channel || null,
    };
    const made = await post(`${path}/codes`, body, { key: newKey(), signal, tries: 1 });
    shown.show(made.codes, values.name);
    refresh();
  };
  return form({ fields, label: t("offers.make"), submit, children: [h("label", { class: "check" }, presale, " ", t("offers.admitsEarly"))] });
}

function at(text) {
  return text ? new Date(text).toISOString() : null;
}

// No later answer has these codes, so they stay when the page is drawn again.
function onceShown() {
  const view = h("div", { class: "stack", role: "status" });
  let state = "";
  const set = (text) => {
    state = text;
    setChildren(view, madeCodes(JSON.parse(text)));
  };
  keepState(view, { get: () => state, set });
  const show = (made, name) => {
    set(JSON.stringify({ made, name }));
    view.scrollIntoView({ block: "nearest" });
  };
  return { view, show };
}

function madeCodes({ made, name }) {
  const text = ["code", ...made, ""].join("\r\n");
  return h("div", { class: "notice good" },
    h("p", {}, h("strong", {}, t("offers.shownOnce"))),
    h("pre", { class: "example" }, made.slice(0, 20).join("\n"), made.length > 20 && `\n… (${number(made.length)})`),
    h("div", { class: "actions" }, h("button", { type: "button", class: "button primary", onclick: () => save(text, `${name}.csv`) }, t("offers.downloadCodes"))));
}
