// Applications to become an organizer, for operators.

import { get } from "../../lib/api.js";
import { h } from "../../lib/dom.js";
import { dateTime, t } from "../../lib/i18n.js";
import { announcer } from "../../components/announcer.js";
import { emailText } from "../../components/email-text.js";
import { Field, form } from "../../components/forms.js";
import { confirmAction, postAction } from "../actions.js";
import { breadcrumbs, definitionList, pagedList } from "../components.js";

const LIMIT = 20;

/** The applications that wait. */
export async function applications({ signal, refresh }) {
  const load = (cursor) => get(`/v1/admin/organizer-applications?${new URLSearchParams({ limit: LIMIT, ...(cursor && { cursor }) })}`, { signal });
  const first = await load("");
  const list = h("div", { class: "stack" });
  const more = pagedList(first, load, (items) => items.map((one) => card(one, refresh)), list);
  const view = [
    breadcrumbs(["/organizer/applications", t("applications.title")]),
    h("div", { class: "console-head" }, h("div", {}, h("h1", {}, t("applications.title")), h("p", { class: "muted" }, t("applications.lead")))),
    first.items.length ? list : h("p", { class: "card" }, t("applications.none")),
    more,
  ];
  return { title: t("applications.title"), view };
}

function card(one, refresh) {
  const path = `/v1/admin/organizer-applications/${one.application_id}`;
  const approve = () => confirmAction({
    title: t("applications.approveTitle", { name: one.organization_name }), detail: t("applications.approveDetail"), label: t("applications.approve"),
    act: () => postAction(`${path}/approve`), said: t("applications.approved"), done: refresh,
  });
  const submit = async ({ reason }) => {
    await postAction(`${path}/reject`, { body: { reason: reason.trim() } });
    announcer.notify(t("applications.rejected"), "good");
    refresh();
  };
  const fields = { reason: new Field({ label: t("applications.reason"), required: true, maxlength: 200 }) };
  return h("article", { class: "card stack", "data-key": one.application_id },
    h("h2", {}, one.organization_name),
    definitionList([[t("team.name"), one.name], [t("team.email"), emailText(one.email)], [t("apply.contact"), one.contact], [t("applications.when"), dateTime(one.created_at)]]),
    one.note && h("p", {}, one.note),
    h("div", { class: "actions" }, h("button", { type: "button", class: "button primary", onclick: approve }, t("applications.approve"))),
    h("details", {}, h("summary", {}, t("applications.reject")), form({ fields, submit, label: t("applications.reject") })));
}
