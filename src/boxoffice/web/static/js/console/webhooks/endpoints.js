// Webhook endpoints of the organizer: the list with the form for a new one, and one endpoint with the log of its
// deliveries.

import { call, get, newKey, post, remove } from "../../lib/api.js";
import { h, setChildren } from "../../lib/dom.js";
import { dateTime, list, number, t } from "../../lib/i18n.js";
import { redraw } from "../../lib/redraw.js";
import { session } from "../../lib/session.js";
import { announcer } from "../../components/announcer.js";
import { ask } from "../../components/dialog.js";
import { Field, form } from "../../components/forms.js";
import { errorText } from "../../components/problem.js";
import { confirmAction, postAction } from "../actions.js";
import { breadcrumbs, definitionList, timestamp } from "../components.js";
import { stateChip } from "../money/components.js";
import { filterTabs, pagedTable } from "../paged-table.js";

const PATH = "/v1/admin/webhooks";
const STATES = ["WAITING", "DELIVERED", "FAILED"];
/** What an endpoint may be sent, as the server knows it. */
export const TOPICS = [
  "payment.refunded", "payment.succeeded", "reservation.cancelled", "reservation.confirmed", "reservation.expired", "reservation.held",
  "schedule.cancelled", "schedule.changed", "schedule.postponed",
];

/** The page of the endpoints. */
export async function webhooks({ signal, go }) {
  const table = await pagedTable({
    path: PATH, signal, label: t("hooks.title"), none: t("hooks.none"),
    names: ["url", "topics", "state", "created"].map((name) => t(`hooks.${name}`)), cells,
  });
  const view = [
    breadcrumbs(),
    h("div", { class: "console-head" }, h("div", {}, h("h1", {}, t("hooks.title")), h("p", { class: "muted" }, t("hooks.lead")))),
    h("section", { class: "card" }, table),
    !session.isOperator && h("section", { class: "card console-form" }, h("h2", {}, t("hooks.create")), createForm(go)),
  ];
  return { title: t("hooks.title"), view, wide: true };
}

function cells(one) {
  return [
    h("a", { href: `/organizer/webhooks/${one.endpoint_id}`, class: "anywhere" }, one.url),
    topicsText(one.topics),
    stateChip("hooks.state", one.state),
    timestamp(one.created_at, dateTime),
  ];
}

function topicsText(topics) {
  return topics === null ? t("hooks.allTopics") : list(topics.map((topic) => t(`topic.${topic}`)));
}

function createForm(go) {
  // One key for one address: a repetition after a lost answer shows the same secret.
  const keys = new Map();
  const boxes = TOPICS.map((topic) => h("input", { type: "checkbox", value: topic }));
  const url = new Field({ label: t("hooks.url"), hint: t("hooks.urlHint"), type: "url", required: true, maxlength: 2048, autocomplete: "off", spellcheck: "false" });
  const submit = async (values) => {
    const topics = boxes.filter((box) => box.checked).map((box) => box.value);
    const body = { url: values.url, topics: topics.length ? topics : null };
    const text = JSON.stringify(body);
    if (!keys.has(text)) keys.set(text, newKey());
    const made = await post(PATH, body, { key: keys.get(text) });
    await showSecret(made.secret);
    await go(`/organizer/webhooks/${made.endpoint_id}`);
  };
  return form({
    fields: { url }, label: t("hooks.create"), submit,
    children: h("fieldset", { class: "choices" }, h("legend", {}, t("hooks.topics")), h("p", { class: "hint" }, t("hooks.topicsHint")),
      boxes.map((box) => h("label", {}, box, h("span", {}, t(`topic.${box.value}`), " ", h("code", { class: "muted" }, box.value))))),
  });
}

// The only time that the page has it.
function showSecret(secret) {
  const shown = h("code", { class: "secret" }, secret);
  const copy = async () => {
    await navigator.clipboard?.writeText(secret).then(() => announcer.notify(t("hooks.copied"), "good"), () => getSelection().selectAllChildren(shown));
  };
  return ask(t("hooks.secretTitle"), (close) => [
    h("p", {}, t("hooks.secretOnce")), h("p", {}, shown),
    h("div", { class: "actions" },
      h("button", { type: "button", class: "button", onclick: copy }, t("hooks.copy")),
      h("button", { type: "button", class: "button primary", onclick: () => close(true) }, t("hooks.kept"))),
  ]);
}

/** The page of one endpoint. */
export async function webhook({ id, query, signal, go, refresh }) {
  const path = `${PATH}/${encodeURIComponent(id)}`;
  const state = query.get("state") ?? "";
  const [one, log] = await Promise.all([
    get(path, { signal }),
    pagedTable({
      path: `${path}/deliveries`, filter: state ? { state } : {}, signal, label: t("hooks.deliveries"), none: t("hooks.noDeliveries"),
      names: ["queued", "topic", "state", "tries", "last", "replay"].map((name) => t(`hooks.${name}`)), cells: (each) => deliveryCells(each, path),
    }),
  ]);
  const view = [
    breadcrumbs(["/organizer/webhooks", t("hooks.title")]),
    h("div", { class: "console-head" },
      h("h1", { class: "anywhere" }, one.url, " ", stateChip("hooks.state", one.state)),
      !session.isOperator && h("div", { class: "actions" }, actions(one, path, go, refresh))),
    one.disabled_reason && h("p", { class: "notice warn" }, t(`hooks.disabled.${one.disabled_reason}`)),
    h("section", { class: "card" }, definitionList([
      [t("hooks.topics"), topicsText(one.topics)],
      [t("hooks.created"), timestamp(one.created_at, dateTime)],
      one.previous_secret_until && [t("hooks.rotating"), [t("hooks.bothUntil"), " ", timestamp(one.previous_secret_until, dateTime)]],
    ].filter(Boolean))),
    h("section", { class: "card stack" },
      h("h2", {}, t("hooks.deliveries")),
      filterTabs({
        path: `/organizer/webhooks/${id}`, query, name: "state", label: t("hooks.state"),
        choices: [["", t("hooks.every")], ...STATES.map((each) => [each, t(`hooks.state.${each}`)])],
      }), log),
  ];
  return { title: t("hooks.title"), view, wide: true };
}

function actions(one, path, go, refresh) {
  const button = (label, onclick, kind = "") => h("button", { type: "button", class: `button ${kind}`, onclick }, label);
  const isActive = one.state === "ACTIVE";
  const change = (body, said) => confirmAction({
    title: t(isActive ? "hooks.disableTitle" : "hooks.enableTitle"), detail: t(isActive ? "hooks.disableDetail" : "hooks.enableDetail"),
    label: t(isActive ? "hooks.disable" : "hooks.enable"), act: () => call("PATCH", path, { body }), said, done: refresh,
  });
  const rotate = async () => {
    const key = newKey();
    let made = null;
    await confirmAction({
      title: t("hooks.rotateTitle"), detail: t("hooks.rotateDetail"), label: t("hooks.rotate"),
      act: async () => { made = await post(`${path}/rotate-secret`, undefined, { key }); }, said: t("hooks.rotated"), done: () => {},
    });
    if (!made) return;
    await showSecret(made.secret);
    refresh();
  };
  const end = () => confirmAction({
    title: t("hooks.deleteTitle"), detail: t("hooks.deleteDetail"), label: t("hooks.delete"), danger: true,
    act: () => remove(path, { tries: 2 }), said: t("hooks.deleted"), done: () => go("/organizer/webhooks"),
  });
  const test = async () => {
    try {
      await postAction(`${path}/test`);
      announcer.notify(t("hooks.tested"), "good");
    } catch (error) {
      announcer.notify(errorText(error), "bad");
    }
    refresh();
  };
  return [
    isActive && button(t("hooks.test"), test),
    isActive && button(t("hooks.rotate"), rotate),
    button(t(isActive ? "hooks.disable" : "hooks.enable"), () => change({ is_active: !isActive }, t("hooks.changed"))),
    button(t("hooks.delete"), end, "danger"),
  ];
}

function deliveryCells(one, path) {
  const state = h("div", {});
  const last = h("div", { "data-key": one.event_id });
  const tries = h("span", { class: "number" });
  const draw = (now) => {
    setChildren(state, stateChip("hooks.state", now.state), now.next_try_at && h("div", { class: "muted small" }, t("hooks.next"), " ", timestamp(now.next_try_at, dateTime)));
    redraw(last, outcome(now));
    setChildren(tries, number(now.tries));
  };
  draw(one);
  const replay = async (event) => {
    const button = event.currentTarget;
    if (button.getAttribute("aria-disabled")) return;
    button.setAttribute("aria-disabled", "true");
    try {
      draw(await postAction(`${path}/deliveries/${one.event_id}/replay`));
      announcer.notify(t("hooks.replayed"), "good");
    } catch (error) {
      announcer.notify(errorText(error), "bad");
    } finally {
      button.removeAttribute("aria-disabled");
    }
  };
  return [
    timestamp(one.queued_at, dateTime),
    h("div", { "data-key": one.event_id }, h("code", {}, one.topic), h("details", {}, h("summary", { class: "small" }, t("hooks.body")), h("pre", { class: "example" }, pretty(one.body)))),
    state, tries, last,
    session.isOperator ? "" : h("button", { type: "button", class: "button", onclick: replay, "aria-label": `${t("hooks.replay")}: ${one.topic} ${one.event_id}` }, t("hooks.replay")),
  ];
}

function outcome(one) {
  if (!one.last_tried_at) return t("hooks.notTried");
  return [
    h("div", {}, one.last_status ? t("hooks.status", { status: String(one.last_status) }) : t(`hooks.error.${one.last_error ?? "internal"}`)),
    h("div", { class: "muted small" }, timestamp(one.last_tried_at, dateTime)),
    one.last_answer && h("details", {}, h("summary", { class: "small" }, t("hooks.answer")), h("pre", { class: "example" }, one.last_answer)),
  ];
}

function pretty(body) {
  try {
    return JSON.stringify(JSON.parse(body), null, 2);
  } catch {
    return body;
  }
}
