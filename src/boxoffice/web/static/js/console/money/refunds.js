// The refunds of a schedule: the policy, which is fixed once the sale has opened, the refund of everything with its
// progress, and the list. For operators also the refunds that a provider refused.

import { call, get, ignoreProblem, newKey, pause, post } from "../../lib/api.js";
import { h, setChildren } from "../../lib/dom.js";
import { dateTime, money, number, t } from "../../lib/i18n.js";
import { session } from "../../lib/session.js";
import { localStore } from "../../lib/storage.js";
import { announcer } from "../../components/announcer.js";
import { Field, form } from "../../components/forms.js";
import { methodName } from "../../components/payment-methods.js";
import { policyTable } from "../../components/refund-policy.js";
import { confirmAction } from "../actions.js";
import { breadcrumbs, fetchSchedule, pagedList, scheduleHead, timestamp } from "../components.js";

const LIMIT = 20;
const AGAIN_MS = 2_000;
const PRESETS = ["kr_standard", "kr_market", "none"];

/** The page of a schedule's refunds. */
export async function refunds({ id, signal, refresh }) {
  const path = `/v1/admin/schedules/${encodeURIComponent(id)}`;
  const [schedule, policy, list] = await Promise.all([
    fetchSchedule(id, signal), session.isOperator ? null : get(`${path}/refund-policy`, { signal }), listOf(`${path}/refunds`, signal, row),
  ]);
  const view = [
    scheduleHead(schedule, "refunds", refresh),
    policy && policyForm(schedule, policy, path, refresh),
    !session.isOperator && schedule.status !== "DRAFT" && everything(schedule, path, signal, refresh),
    h("section", { class: "card" }, h("h2", {}, t("refunds.list")), list),
  ];
  return { title: `${t("tabs.refunds")} · ${schedule.concert.title}`, view, wide: true };
}

function policyForm(schedule, policy, path, refresh) {
  const isOpen = schedule.status === "DRAFT";
  const set = (preset) => confirmAction({
    title: t("refunds.setTitle"), detail: t(`refunds.preset.${preset}`), label: t("refunds.set"),
    act: () => call("PUT", `${path}/refund-policy`, { body: { preset } }), said: t("refunds.isSet"), done: refresh,
  });
  return h("section", { class: "card stack" },
    h("h2", {}, t("refund.policy")), h("p", { class: "muted" }, isOpen ? t("refunds.policyOpen") : t("refunds.policyLocked")),
    policyTable(policy),
    isOpen && h("div", { class: "actions" }, PRESETS.map((preset) => h("button", {
      type: "button", class: "button", "aria-pressed": String(policy.name === preset), onclick: () => set(preset),
    }, t(`refunds.name.${preset}`)))));
}

// Everything that was paid, one payment after the other; the server goes on when this page is closed.
function everything(schedule, path, signal, refresh) {
  const name = `refund-job.${schedule.schedule_id}`;
  const progress = h("div", { role: "status" });
  const known = localStore.get(name);
  if (known?.job_id) follow(`${path}/refund-jobs/${known.job_id}`, progress, signal).catch(ignoreProblem);
  const begin = (withCompensation) => confirmAction({
    title: t("refunds.allTitle"), detail: t(withCompensation ? "refunds.allAndMore" : "refunds.allDetail"), label: t("refunds.all"), danger: true,
    act: async () => {
      const key = localStore.get(name)?.key ?? newKey();
      localStore.set(name, { key });
      try {
        const { job_id: job } = await post(`${path}/refund-jobs`, { with_compensation: withCompensation }, { key, signal });
        localStore.set(name, { job_id: job });
      } catch (error) {
        if (!error.isTemporary) localStore.set(name, null);
        throw error;
      }
    },
    said: t("refunds.allBegun"), done: refresh,
  });
  return h("section", { class: "card stack" }, h("h2", {}, t("refunds.allHead")),
    h("p", {}, schedule.status === "OPEN" ? t("refunds.closeFirst") : t("refunds.allLead")), progress,
    schedule.status !== "OPEN" && h("div", { class: "actions" },
      h("button", { type: "button", class: "button danger", onclick: () => begin(false) }, t("refunds.all")),
      h("button", { type: "button", class: "button danger", onclick: () => begin(true) }, t("refunds.allMore"))));
}

async function follow(path, place, signal) {
  for (;;) {
    const job = await get(path, { signal });
    const values = { n: job.payments, refused: number(job.refused) };
    setChildren(place, h("p", { class: job.finished_at ? "notice good" : "notice" }, t(job.finished_at ? "refunds.finished" : "refunds.running", values)));
    if (job.finished_at) return;
    await pause(AGAIN_MS, signal);
  }
}

/** The page of the refunds that a provider refused, for operators. */
export async function manualRefunds({ signal, refresh }) {
  const list = await listOf("/v1/admin/refunds", signal, (one) => manualRow(one, refresh));
  const view = [breadcrumbs(), h("h1", {}, t("refunds.manual")), h("p", { class: "muted" }, t("refunds.manualLead")), h("section", { class: "card" }, list)];
  return { title: t("refunds.manual"), view };
}

async function listOf(path, signal, show) {
  const load = (cursor) => get(`${path}?${new URLSearchParams({ limit: LIMIT, ...(cursor && { cursor }) })}`, { signal });
  const first = await load("");
  const list = h("ul", { class: "rows" });
  const more = pagedList(first, load, (items) => items.map(show), list);
  return first.items.length ? [list, more] : h("p", { class: "muted" }, t("refunds.none"));
}

function row(one) {
  return h("li", { class: "row-link" },
    h("span", { class: "grow" }, h("strong", {}, one.seat_ids.join(", ") || t("refund.late")),
      h("span", { class: "muted small" }, timestamp(one.created_at, dateTime), ` · ${t(`refunds.reason.${one.reason}`)}`),
      h("span", { class: "small" }, t(`refund.status.${one.status}`, { where: where(one) })),
      one.fee > 0 && h("span", { class: "small muted" }, t("refund.feeKept", { amount: money(one.fee, one.currency) }))),
    h("span", { class: "number" }, money(one.amount, one.currency)));
}

function where({ to, method }) {
  return to === "wallet" ? t("method.wallet") : methodName(method);
}

function manualRow(one, refresh) {
  const way = (destination, label) => form({
    fields: { note: new Field({ label: t("refunds.note"), required: true, maxlength: 200 }) }, label,
    submit: async ({ note }) => {
      await call("PUT", `/v1/admin/refunds/${one.refund_id}/resolution`, { body: { to: destination, note }, tries: 2 });
      announcer.notify(t("refunds.resolved"), "good");
      refresh();
    },
  });
  return h("li", { class: "stack" }, row(one), one.failure && h("p", { class: "small muted" }, one.failure),
    h("details", {}, h("summary", {}, t("refunds.toWallet")), way("wallet", t("refunds.toWallet"))),
    h("details", {}, h("summary", {}, t("refunds.outside")), way("outside", t("refunds.outside"))));
}
