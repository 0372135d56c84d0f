// How a person comes to an organization: an application, or an invitation.

import { get } from "../../lib/api.js";
import { h, setChildren } from "../../lib/dom.js";
import { dateTime, t } from "../../lib/i18n.js";
import { session } from "../../lib/session.js";
import { localStore } from "../../lib/storage.js";
import { announcer } from "../../components/announcer.js";
import { Field, form } from "../../components/forms.js";
import { errorText } from "../../components/problem.js";
import { postAction } from "../actions.js";

const TOKEN = "invitation";

/** The page of an account without an organization: an application, and what became of earlier ones. */
export async function apply({ signal, refresh }) {
  const { items } = await get("/v1/organizer-applications", { signal });
  const waits = items.some((one) => one.state === "WAITING");
  const view = [
    h("div", { class: "console-head" }, h("div", {}, h("h1", {}, t("apply.title")), h("p", { class: "muted" }, t("apply.lead")))),
    items.length > 0 && h("section", { class: "card stack" }, h("h2", {}, t("apply.yours")), h("ul", { class: "stack" }, items.map(earlier))),
    !waits && h("section", { class: "card narrow" }, applyForm(refresh)),
  ];
  return { title: t("apply.title"), view };
}

function earlier(one) {
  return h("li", {}, h("strong", {}, one.organization_name), " ", h("span", { class: "chip" }, t(`apply.state.${one.state}`)),
    h("p", { class: "muted small" }, dateTime(one.created_at)), one.reason && h("p", {}, one.reason));
}

function applyForm(refresh) {
  const fields = {
    organization_name: new Field({ label: t("team.organizationName"), required: true, maxlength: 200 }),
    contact: new Field({ label: t("apply.contact"), hint: t("apply.contactHint"), required: true, maxlength: 200 }),
    note: new Field({ label: t("apply.note"), rows: 5, maxlength: 10_000 }),
  };
  const submit = async ({ organization_name: name, contact, note }) => {
    await postAction("/v1/organizer-applications", { body: { organization_name: name.trim(), contact: contact.trim(), note } });
    announcer.notify(t("apply.sent"), "good");
    refresh();
  };
  return form({ fields, submit, label: t("apply.send") });
}

/** Keeps the token of an invitation's link while the user logs in; no server logs the fragment that has it. */
export function keepInvitation() {
  if (location.pathname !== "/organizer/invitation" || !location.hash) return;
  localStore.set(TOKEN, location.hash.slice(1));
  history.replaceState(history.state, "", location.pathname);
}

/** The page of an invitation's link. */
export function invitation({ go }) {
  const token = localStore.get(TOKEN) ?? "-";
  const failed = h("p", { class: "form-error", role: "alert" });
  const accept = async () => {
    setChildren(failed);
    try {
      const { items } = await postAction("/v1/invitations/accept", { body: { token } });
      localStore.set(TOKEN, null);
      announcer.notify(t("invitation.joined", { name: items[0].name }), "good", { forNextPage: true });
      go("/organizer", { replace: true });
    } catch (error) {
      setChildren(failed, errorText(error));
    }
  };
  const view = h("section", { class: "card narrow" },
    h("h1", {}, t("invitation.title")), h("p", {}, t("invitation.lead", { email: session.email })), failed,
    h("div", { class: "actions" }, h("button", { type: "button", class: "button primary", onclick: accept }, t("invitation.accept"))));
  return { title: t("invitation.title"), view };
}
