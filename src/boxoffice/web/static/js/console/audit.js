// The last audit, and the button that requests another one.

import { get, pause, ignoreProblem } from "../lib/api.js";
import { h } from "../lib/dom.js";
import { dateTime, number, t } from "../lib/i18n.js";
import { redraw } from "../lib/redraw.js";
import { announcer } from "../components/announcer.js";
import { errorText } from "../components/problem.js";
import { postAction } from "./actions.js";
import { breadcrumbs, table } from "./components.js";

const AGAIN_MS = 2_000;

/** The page of the audit. */
export async function audit({ signal }) {
  const result = h("div", { class: "board" });
  const button = h("button", { type: "button", class: "button primary" }, t("audit.ask"));
  const show = (found) => redraw(result, verdict(found), checks(found));
  const first = await get("/v1/admin/audit", { signal });
  show(first);
  button.addEventListener("click", () => requestAudit(button, show, signal));
  if (first.requested_at) follow(show, signal);
  const view = [
    breadcrumbs(),
    h("div", { class: "console-head" },
      h("div", {}, h("h1", {}, t("audit.title")), h("p", { class: "muted" }, t("audit.lead"))),
      h("div", { class: "actions" }, button)),
    result,
  ];
  return { title: t("audit.title"), view };
}

async function requestAudit(button, show, signal) {
  if (button.getAttribute("aria-disabled")) return;
  button.setAttribute("aria-disabled", "true");
  try {
    const found = await postAction("/v1/admin/audit", { signal });
    show(found);
    if (found.requested_at) await follow(show, signal);
    else announcer.notify(t("audit.fresh"));
  } catch (error) {
    if (!signal.aborted) announcer.notify(errorText(error), "bad");
  } finally {
    button.removeAttribute("aria-disabled");
  }
}

async function follow(show, signal) {
  for (;;) {
    await pause(AGAIN_MS, signal);
    const found = await get("/v1/admin/audit", { signal }).catch(ignoreProblem);
    if (signal.aborted) return;
    if (!found) continue;
    show(found);
    if (!found.requested_at) return;
  }
}

function verdict(found) {
  const asked = found.requested_at && h("p", {}, t("audit.asked", { when: dateTime(found.requested_at) }));
  if (!found.finished_at) return h("div", { class: "notice", role: "status" }, h("p", {}, t("audit.none")), asked);
  const took = Math.round((new Date(found.finished_at) - new Date(found.started_at)) / 100) / 10;
  const kind = found.ok ? "good" : "bad";
  return h("div", { class: `notice ${kind}`, role: "status" },
    h("p", {}, h("strong", {}, summary(found))),
    found.failure && h("p", { class: "small" }, found.failure),
    h("p", { class: "small" }, t("audit.when", { when: dateTime(found.finished_at), took })), asked);
}

function summary(found) {
  if (found.ok === null) return t("audit.failed");
  if (found.ok) return t("audit.ok", { n: found.invariants });
  return t("audit.broken", { n: found.invariants, broken: found.broken });
}

function checks({ checks: list }) {
  if (!list.length) return null;
  const sorted = [...list].sort((one, other) => other.violations - one.violations);
  const rows = sorted.map(({ name, description, violations }) => [
    h("div", {}, h("div", {}, description), h("code", { class: "muted small" }, name)),
    h("span", { class: violations ? "broken number" : "number" }, number(violations))]);
  return h("details", { class: "card", open: list.some(({ violations }) => violations > 0) },
    h("summary", {}, t("audit.checks")), table([t("audit.check"), t("audit.violations")], rows, t("audit.checks")));
}
