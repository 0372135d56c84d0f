// Statements of the providers against the books, for operators: the days, one day, and what to do about findings.

import { call, get, ignoreProblem, pause } from "../../lib/api.js";
import { h, setChildren } from "../../lib/dom.js";
import { date, dateTime, money, number, t } from "../../lib/i18n.js";
import { announcer } from "../../components/announcer.js";
import { Field, form } from "../../components/forms.js";
import { methodName, paymentMethods } from "../../components/payment-methods.js";
import { confirmAction, postAction } from "../actions.js";
import { download } from "../downloads.js";
import { breadcrumbs, definitionList, table, timestamp } from "../components.js";
import { filterTabs, pagedTable } from "../paged-table.js";
import { stateChip } from "./components.js";

const PATH = "/v1/admin/statements";
const AGAIN_MS = 2_000;
// The calendars of the providers' statements; UTC for others.
const ZONES = { toss: "Asia/Seoul" };

/** The page of the open findings and of the days. */
export async function statements({ query, signal, go, refresh }) {
  const provider = query.get("provider") ?? "";
  const [methods, findings, days] = await Promise.all([
    paymentMethods(signal),
    pagedTable({
      path: "/v1/admin/findings", filter: provider ? { provider } : {}, signal, label: t("statements.findings"), none: t("statements.noFindings"),
      names: findingNames(), cells: (one) => findingCells(one, refresh),
    }),
    pagedTable({
      path: PATH, filter: { kind: "day", ...(provider && { provider }) }, signal, label: t("statements.days"), none: t("statements.none"),
      names: ["day", "provider", "state", "lines", "findings"].map((name) => t(`statements.${name}`)), cells: dayCells,
    }),
  ]);
  const providers = methods.map(({ method }) => method).filter((method) => method !== "wallet");
  const view = [
    breadcrumbs(),
    h("div", { class: "console-head" }, h("div", {}, h("h1", {}, t("statements.title")), h("p", { class: "muted" }, t("statements.lead")))),
    providers.length > 1 && filterTabs({
      path: "/organizer/statements", query, name: "provider", label: t("statements.provider"),
      choices: [["", t("statements.everyProvider")], ...providers.map((one) => [one, methodName(one)])],
    }),
    h("section", { class: "card stack" }, h("h2", {}, t("statements.open")), findings),
    h("section", { class: "card stack" }, h("h2", {}, t("statements.days")), days),
    providers.length > 0 && h("section", { class: "card stack" }, h("h2", {}, t("statements.ask")), askForm(providers, go)),
  ];
  return { title: t("statements.title"), view, wide: true };
}

function dayOf({ provider, since }) {
  // The day in the calendar of the provider, as an address has it.
  return new Intl.DateTimeFormat("sv-SE", { timeZone: ZONES[provider] ?? "UTC" }).format(new Date(since));
}

function dayCells(one) {
  const day = dayOf(one);
  return [
    h("a", { href: `/organizer/statements/${one.provider}/${day}` }, date(`${day}T12:00:00`)),
    methodName(one.provider),
    stateChip("statements.state", one.state),
    h("span", { class: "number" }, number(one.lines)),
    h("span", { class: one.open_findings ? "broken number" : "number" }, one.findings ? t("statements.findingCount", { n: one.findings, open: number(one.open_findings) }) : t("statements.noneFound")),
  ];
}

function askForm(providers, go) {
  const day = new Field({ label: t("statements.day"), type: "date", required: true });
  const provider = h("select", { class: "input", "aria-label": t("statements.provider") }, providers.map((one) => h("option", { value: one }, methodName(one))));
  const submit = async (values) => {
    await postAction(`${PATH}/${provider.value}/days/${values.day}`);
    await go(`/organizer/statements/${provider.value}/${values.day}`);
  };
  return [h("p", { class: "muted" }, t("statements.askLead")), form({ fields: { day }, children: [provider], label: t("statements.ask"), submit })];
}

/** The page of a day: totals, findings, and the report. */
export async function statementDay({ id, second, signal, refresh }) {
  const path = `${PATH}/${encodeURIComponent(id)}/days/${encodeURIComponent(second)}`;
  const { run, findings } = await get(path, { signal });
  const ask = () => confirmAction({
    title: t("statements.againTitle"), detail: t("statements.againDetail"), label: t("statements.again"),
    act: () => postAction(path), said: t("statements.asked"), done: refresh,
  });
  const isReady = run.state === "FINISHED";
  if (!isReady) follow(path, signal, refresh).catch(ignoreProblem);
  const view = [
    breadcrumbs(["/organizer/statements", t("statements.title")]),
    h("div", { class: "console-head" },
      h("div", {}, h("h1", {}, `${methodName(id)}, ${date(`${second}T12:00:00`)} `, stateChip("statements.state", run.state)),
        h("p", { class: "muted" }, t(isReady ? "statements.dayLead" : "statements.queued"))),
      h("div", { class: "actions" },
        isReady && h("button", { type: "button", class: "button", onclick: () => download(`${path}/csv`, `${id}-${second}.csv`, { signal, failed: t("statements.noCsv") }) }, t("statements.csv")),
        isReady && h("button", { type: "button", class: "button", onclick: ask }, t("statements.again")))),
    h("section", { class: "card" }, definitionList([
      [t("statements.window"), [timestamp(run.since, dateTime), " – ", timestamp(run.until, dateTime)]],
      [t("statements.lines"), number(run.lines)],
      [t("statements.finished"), run.finished_at ? timestamp(run.finished_at, dateTime) : t("statements.state.QUEUED")],
    ])),
    isReady && h("section", { class: "card stack" }, h("h2", {}, t("statements.totals")), totals(run)),
    isReady && h("section", { class: "card stack" }, h("h2", {}, t("statements.findings")),
      findings.length ? table(findingNames(), findings.map((one) => findingCells(one, refresh)), t("statements.findings")) : h("p", { class: "notice good" }, t("statements.equal"))),
  ];
  return { title: `${t("statements.title")} · ${second}`, view, wide: true };
}

async function follow(path, signal, refresh) {
  for (;;) {
    await pause(AGAIN_MS, signal);
    const { run } = await get(path, { signal });
    // The page that comes then ends this one; where it cannot be loaded, it is asked for again.
    if (run.state === "FINISHED") await refresh();
  }
}

function totals(run) {
  if (!run.totals.length) return h("p", { class: "muted" }, t("statements.noMoney"));
  const rows = run.totals.map(({ movement, currency, there, here }) => [
    t(`statements.movement.${movement}`), h("span", { class: "number" }, money(there, currency)), h("span", { class: "number" }, money(here, currency)),
    h("span", { class: there === here ? "number" : "broken number" }, money(there - here, currency)),
  ]);
  return table(["movement", "there", "here", "difference"].map((name) => t(`statements.${name}`)), rows, t("statements.totals"));
}

function findingNames() {
  return ["happened", "kind", "there", "here", "keys", "todo"].map((name) => t(`statements.${name}`));
}

function findingCells(one, refresh) {
  const amount = (value) => (value === null ? t("statements.nothing") : h("span", { class: "number" }, money(value, one.currency)));
  return [
    h("div", {}, timestamp(one.happened_at, dateTime), h("div", { class: "muted small" }, `${methodName(one.provider)} · ${t(`statements.movement.${one.movement}`)}`)),
    h("div", {}, h("strong", {}, t(`finding.${one.kind}`)), h("div", { class: "small muted" }, t(`finding.${one.kind}.means`))),
    amount(one.there), amount(one.here),
    h("div", {}, h("code", {}, one.transaction_key), one.order_id && h("div", {}, h("a", { href: `/organizer/payments?order_id=${encodeURIComponent(one.order_id)}` }, t("statements.toPayment")))),
    whatToDo(one, refresh),
  ];
}

function whatToDo(one, refresh) {
  if (one.resolved_at) {
    return h("div", { class: "small" }, stateChip("finding.state", one.resolved_by ? "RESOLVED" : "HEALED"), " ", timestamp(one.resolved_at, dateTime), one.note && h("p", {}, one.note));
  }
  const note = new Field({ label: t("refunds.note"), hint: t("finding.noteHint"), required: true, maxlength: 200 });
  const submit = async (values) => {
    await call("PUT", `/v1/admin/findings/${one.finding_id}/resolution`, { body: values });
    announcer.notify(t("finding.resolved"), "good");
    refresh();
  };
  return h("div", { "data-key": one.finding_id }, h("p", { class: "small" }, t(one.heals ? "finding.heals" : `finding.${one.kind}.todo`)),
    h("details", {}, h("summary", {}, t("finding.resolve")), form({ fields: { note }, label: t("finding.resolve"), submit })));
}

// A link cannot send the token, so that the report is fetched and then saved.
