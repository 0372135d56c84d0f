// Disputes, for operators: the list, what to do about each, and the entry of one that the provider's API does not show.

import { call, newKey, post } from "../../lib/api.js";
import { h } from "../../lib/dom.js";
import { dateTime, decimals, money, t } from "../../lib/i18n.js";
import { announcer } from "../../components/announcer.js";
import { Field, form } from "../../components/forms.js";
import { methodName } from "../../components/payment-methods.js";
import { breadcrumbs, timestamp } from "../components.js";
import { filterTabs, pagedTable } from "../paged-table.js";
import { paymentLink, stateChip } from "./components.js";

const PATH = "/v1/admin/disputes";
const STATES = ["OPEN", "WON", "LOST"];

/** The page of the disputes. */
export async function disputes({ query, signal, refresh }) {
  const status = query.get("status") ?? "";
  const table = await pagedTable({
    path: PATH, filter: status ? { status } : {}, signal, label: t("disputes.title"), none: t("disputes.none"),
    names: ["opened", "payment", "provider", "amount", "state", "todo"].map((name) => t(`disputes.${name}`)),
    cells: (one) => cells(one, refresh),
  });
  const view = [
    breadcrumbs(),
    h("div", { class: "console-head" }, h("div", {}, h("h1", {}, t("disputes.title")), h("p", { class: "muted" }, t("disputes.lead")))),
    filterTabs({
      path: "/organizer/disputes", query, name: "status", label: t("disputes.state"),
      choices: [["", t("disputes.all")], ...STATES.map((state) => [state, t(`disputes.state.${state}`)])],
    }),
    h("section", { class: "card" }, table),
    h("details", { class: "card" }, h("summary", {}, h("h2", {}, t("disputes.enter"))), h("p", { class: "muted" }, t("disputes.enterLead")), entry(refresh)),
  ];
  return { title: t("disputes.title"), view, wide: true };
}

function cells(one, refresh) {
  return [
    timestamp(one.opened_at, dateTime),
    paymentLink(one.payment_id, t("disputes.topUp")),
    methodName(one.provider),
    h("div", {}, h("div", { class: "number" }, money(one.amount, one.currency)),
      one.withdrawn > 0 && h("div", { class: "muted small" }, t("disputes.withdrawn", { amount: money(one.withdrawn, one.currency) }))),
    h("div", {}, stateChip("disputes.state", one.status), h("div", { class: "muted small" }, one.reason)),
    todo(one, refresh),
  ];
}

function todo(one, refresh) {
  if (one.status !== "OPEN") return over(one);
  if (!one.is_entered) return h("span", { class: "small" }, t("disputes.atProvider", { provider: methodName(one.provider) }));
  const end = (outcome) => h("details", {}, h("summary", {}, t(`disputes.end.${outcome}`)), outcomeForm(one, outcome, refresh));
  return h("div", { "data-key": one.dispute_id }, h("span", { class: "small" }, t("disputes.entered")), end("won"), end("lost"));
}

// Tickets of a lost dispute are not voided: an operator decides, because others may hold them by now.
function over(one) {
  const said = h("span", { class: "small" }, t(`disputes.over.${one.status}`), one.closed_at && [" ", timestamp(one.closed_at, dateTime)]);
  if (one.status !== "LOST" || !one.valid_tickets) return said;
  return h("div", {}, said, h("p", { class: "notice warn small" }, t("disputes.valid", { count: one.valid_tickets })));
}

function outcomeForm(one, outcome, refresh) {
  const fields = {
    happened_at: moment(t("disputes.happened")),
    ...(outcome === "won" && { transaction_key: new Field({ label: t("disputes.returnKey"), hint: t("disputes.keyHint"), maxlength: 200 }) }),
  };
  const submit = async (values) => {
    await call("PUT", `${PATH}/${one.dispute_id}/outcome`, { body: { ...keyed(values), outcome } });
    announcer.notify(t("disputes.ended"), "good");
    refresh();
  };
  return form({ fields, label: t(`disputes.end.${outcome}`), submit });
}

function entry(refresh) {
  const key = newKey();
  const fields = {
    payment_id: new Field({ label: t("disputes.paymentId"), hint: t("disputes.paymentIdHint"), required: true, maxlength: 64, autocomplete: "off", spellcheck: "false" }),
    amount: new Field({ label: t("disputes.amount"), type: "number", min: 0, step: "any", required: true, inputmode: "decimal" }),
    reason: new Field({ label: t("disputes.reason"), required: true, maxlength: 200 }),
    happened_at: moment(t("disputes.happened")),
    transaction_key: new Field({ label: t("disputes.key"), hint: t("disputes.keyHint"), maxlength: 200 }),
  };
  const submit = async ({ amount, ...values }) => {
    const paid = await call("GET", `/v1/admin/payments/${encodeURIComponent(values.payment_id)}`);
    const minor = Math.round(Number(amount) * 10 ** decimals(paid.currency));
    await post(PATH, { ...keyed(values), amount: minor }, { key });
    announcer.notify(t("disputes.isEntered"), "good");
    refresh();
  };
  return form({ fields, label: t("disputes.enter"), submit });
}

function moment(label) {
  return new Field({ label, type: "datetime-local", required: true });
}

function keyed({ transaction_key: key, happened_at: at, ...values }) {
  return { ...values, happened_at: new Date(at).toISOString(), ...(key && { transaction_key: key }) };
}
