// The refunds of a schedule: the policy, which is fixed once the sale has opened, the refund of everything with its
// progress, and the list. For operators also the refunds that a provider refused.

import { call, get, ignoreProblem, newKey, pause, post } from "../../lib/api.js";
import { h, setChildren } from "../../lib/dom.js";
import { number, t } from "../../lib/i18n.js";
import { session } from "../../lib/session.js";
import { localStore } from "../../lib/storage.js";
import { announcer } from "../../components/announcer.js";
import { Field, form } from "../../components/forms.js";
import { policyTable } from "../../components/refund-policy.js";
import { confirmAction } from "../actions.js";
import { breadcrumbs, fetchSchedule, pagedList, scheduleHead, timestamp } from "../components.js";
import { mayChange } from "../team/organizations.js";
import { paymentLink, refundRow } from "./components.js";
import { OwnPolicy } from "./own-policy.js";

const LIMIT = 20;
const JOBS_MAX = 10;
const AGAIN_MS = 2_000;
const PRESETS = ["kr_standard", "kr_market", "none"];

/** The page of a schedule's refunds. */
export async function refunds({ id, signal, refresh }) {
  const path = `/v1/admin/schedules/${encodeURIComponent(id)}`;
  const [schedule, policy, jobs, list] = await Promise.all([
    fetchSchedule(id, signal), session.isOperator ? null : get(`${path}/refund-policy`, { signal }),
    get(`${path}/refund-jobs?limit=${JOBS_MAX}`, { signal }), listOf(`${path}/refunds`, signal, scheduleRow),
  ]);
  const isEditor = mayChange(schedule.concert, "sales_write");
  const view = [
    scheduleHead(schedule, "refunds", refresh),
    policy && policyForm({ schedule, policy, path, isEditor, refresh }),
    schedule.status !== "DRAFT" && (isEditor || jobs.items.length > 0) && everything({ schedule, jobs: jobs.items, path, isEditor, signal, refresh }),
    h("section", { class: "card" }, h("h2", {}, t("refunds.list")), list),
  ];
  return { title: `${t("tabs.refunds")} · ${schedule.concert.title}`, view, wide: true };
}

function policyForm({ schedule, policy, path, isEditor, refresh }) {
  const isOpen = schedule.status === "DRAFT";
  const put = (body) => call("PUT", `${path}/refund-policy`, { body });
  const set = (preset) => confirmAction({
    title: t("refunds.setTitle"), detail: t(`refunds.preset.${preset}`), label: t("refunds.set"),
    act: () => put({ preset }), said: t("refunds.isSet"), done: refresh,
  });
  const save = async (body) => {
    await put(body);
    announcer.notify(t("refunds.isSet"), "good");
    refresh();
  };
  return h("section", { class: "card stack" },
    h("h2", {}, t("refund.policy")), h("p", { class: "muted" }, isOpen ? t("refunds.policyOpen") : t("refunds.policyLocked")),
    policyTable(policy),
    isOpen && isEditor && h("div", { class: "actions" }, PRESETS.map((preset) => h("button", {
      type: "button", class: "button", "aria-pressed": String(policy.name === preset), onclick: () => set(preset),
    }, t(`refunds.name.${preset}`)))),
    isOpen && isEditor && new OwnPolicy({ policy, currency: schedule.currency, save }).view);
}

// Everything that was paid, one payment after the other; the server goes on when this page is closed.
function everything({ schedule, jobs, path, isEditor, signal, refresh }) {
  const progress = h("ul", { class: "rows", role: "status" }, jobs.map((job) => jobRow(job)));
  const running = jobs.find((job) => !job.finished_at);
  if (running) follow(`${path}/refund-jobs/${running.job_id}`, progress.children[jobs.indexOf(running)], signal).catch(ignoreProblem);
  const mayBegin = isEditor && schedule.status !== "OPEN" && !running;
  return h("section", { class: "card stack" }, h("h2", {}, t("refunds.allHead")),
    isEditor && h("p", {}, schedule.status === "OPEN" ? t("refunds.closeFirst") : t("refunds.allLead")), jobs.length > 0 && progress,
    mayBegin && h("div", { class: "actions" },
      [false, true].map((withCompensation) => h("button", {
        type: "button", class: "button danger", onclick: () => begin(schedule, path, withCompensation, signal, refresh),
      }, t(withCompensation ? "refunds.allMore" : "refunds.all")))));
}

function begin(schedule, path, withCompensation, signal, refresh) {
  const name = `refund-job.${schedule.schedule_id}.${withCompensation}`;
  confirmAction({
    title: t("refunds.allTitle"), detail: t(withCompensation ? "refunds.allAndMore" : "refunds.allDetail"), label: t("refunds.all"), danger: true,
    act: async () => {
      // After a lost answer the next try is the same request.
      const key = localStore.get(name) ?? newKey();
      localStore.set(name, key);
      try {
        await post(`${path}/refund-jobs`, { with_compensation: withCompensation }, { key, signal });
        localStore.set(name, null);
      } catch (error) {
        if (!error.isTemporary) localStore.set(name, null);
        throw error;
      }
    },
    said: t("refunds.allBegun"), done: refresh,
  });
}

function jobRow(job) {
  return h("li", { class: "row-link" }, jobCells(job));
}

function jobCells(job) {
  const values = { n: job.payments, refused: number(job.refused) };
  return h("span", { class: "grow" },
    h("strong", {}, t(job.finished_at ? "refunds.finished" : "refunds.running", values)),
    h("span", { class: "muted small" }, timestamp(job.created_at), job.finished_at && [" – ", timestamp(job.finished_at)],
      job.with_compensation && ` · ${t("refunds.withCompensation")}`));
}

async function follow(path, row, signal) {
  for (;;) {
    await pause(AGAIN_MS, signal);
    const job = await get(path, { signal });
    setChildren(row, jobCells(job));
    if (job.finished_at) return;
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

function scheduleRow(one) {
  const row = refundRow(one);
  if (one.payment_id) row.querySelector(".grow").append(h("span", { class: "small" }, h("a", { href: `/organizer/payments/${one.payment_id}` }, t("payments.one"))));
  return row;
}

function manualRow(one, refresh) {
  const way = (destination, label) => form({
    fields: { note: new Field({ label: t("refunds.note"), hint: t("refunds.noteHint"), required: true, maxlength: 200 }) }, label,
    submit: async ({ note }) => {
      await call("PUT", `/v1/admin/refunds/${one.refund_id}/resolution`, { body: { to: destination, note }, tries: 2 });
      announcer.notify(t("refunds.resolved"), "good");
      refresh();
    },
  });
  return h("li", { class: "stack case", "data-key": one.refund_id }, refundRow(one),
    h("p", { class: "small" }, t("refunds.why", { failure: one.failure ?? "?" }), " ", paymentLink(one.payment_id, t("refund.late"))),
    h("details", {}, h("summary", {}, t("refunds.toWallet")), way("wallet", t("refunds.toWallet"))),
    h("details", {}, h("summary", {}, t("refunds.outside")), way("outside", t("refunds.outside"))));
}
