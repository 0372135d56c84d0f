// The team of an organization: its name, members and invitations.

import { call, get, remove } from "../../lib/api.js";
import { h, uniqueId } from "../../lib/dom.js";
import { currentLanguage, dateTime, t } from "../../lib/i18n.js";
import { announcer } from "../../components/announcer.js";
import { emailText } from "../../components/email-text.js";
import { Field, form } from "../../components/forms.js";
import { errorText } from "../../components/problem.js";
import { confirmAction, postAction } from "../actions.js";
import { breadcrumbs, table } from "../components.js";
import { chosenOrganization, may, organizationSwitch } from "./organizations.js";

const ROLES = ["owner", "manager", "box_office", "door", "read_only"];

/** The page of the team. */
export async function team({ signal, refresh, go }) {
  const one = chosenOrganization();
  const path = `/v1/admin/organizations/${one.organization_id}`;
  const canRead = may("team_read");
  const [members, invitations] = canRead
    ? await Promise.all([get(`${path}/members`, { signal }), get(`${path}/invitations`, { signal })])
    : [{ items: [] }, { items: [] }];
  const canWrite = may("team_write");
  const view = [
    breadcrumbs(["/organizer/team", t("team.title")]),
    h("div", { class: "console-head" },
      h("div", {}, h("h1", {}, one.name), h("p", { class: "muted" }, t("team.yourRole", { role: t(`role.${one.role}`) }))),
      h("div", { class: "actions" }, organizationSwitch(refresh))),
    canRead && h("section", { class: "card stack" }, h("h2", {}, t("team.members")), memberTable(members.items, path, canWrite, refresh)),
    canRead && h("section", { class: "card stack" }, h("h2", {}, t("team.invitations")),
      invitations.items.length ? invitationTable(invitations.items, path, canWrite, refresh) : h("p", { class: "muted" }, t("team.noInvitations")),
      canWrite && inviteForm(path, refresh)),
    canWrite && h("section", { class: "card stack" }, h("h2", {}, t("team.settings")), nameForm(one, path, refresh)),
    h("div", { class: "actions" }, h("button", { type: "button", class: "button danger", onclick: () => leave(one, go) }, t("team.leave"))),
  ];
  return { title: `${t("team.title")} · ${one.name}`, view, wide: true };
}

function memberTable(members, path, canWrite, refresh) {
  const names = [t("team.name"), t("team.email"), t("team.role"), t("team.since"), ...(canWrite ? [t("team.actions")] : [])];
  const rows = members.map((one) => [
    one.name, emailText(one.email), canWrite ? roleSelect(one, path, refresh) : t(`role.${one.role}`), dateTime(one.joined_at),
    ...(canWrite ? [h("button", { type: "button", class: "button", onclick: () => removeMember(one, path, refresh) }, t("team.remove"))] : []),
  ]);
  return table(names, rows, t("team.members"));
}

function roleSelect(member, path, refresh) {
  const onchange = async ({ currentTarget: select }) => {
    try {
      await call("PATCH", `${path}/members/${member.user_id}`, { body: { role: select.value } });
      announcer.notify(t("team.roleChanged"), "good");
    } catch (error) {
      // The page stays where it cannot be loaded again.
      select.value = member.role;
      announcer.notify(errorText(error), "bad");
    }
    refresh();
  };
  return h("select", { class: "input", "aria-label": t("team.roleOf", { name: member.name }), onchange }, roleOptions(member.role));
}

function roleOptions(selected) {
  return ROLES.map((role) => h("option", { value: role, selected: role === selected }, t(`role.${role}`)));
}

function removeMember(member, path, refresh) {
  return confirmAction({
    title: t("team.removeTitle", { name: member.name }), detail: t("team.removeDetail"), label: t("team.remove"), danger: true,
    act: () => remove(`${path}/members/${member.user_id}`), said: t("team.removed"), done: refresh,
  });
}

function invitationTable(invitations, path, canWrite, refresh) {
  const names = [t("team.email"), t("team.role"), t("team.validUntil"), ...(canWrite ? [t("team.actions")] : [])];
  const rows = invitations.map((one) => [
    emailText(one.email), t(`role.${one.role}`), dateTime(one.expires_at),
    ...(canWrite ? [h("button", { type: "button", class: "button", onclick: () => revoke(one, path, refresh) }, t("team.revoke"))] : []),
  ]);
  return table(names, rows, t("team.invitations"));
}

function revoke(one, path, refresh) {
  return confirmAction({
    title: t("team.revokeTitle", { email: one.email }), detail: t("team.revokeDetail"), label: t("team.revoke"), danger: true,
    act: () => remove(`${path}/invitations/${one.invitation_id}`), said: t("team.revoked"), done: refresh,
  });
}

function inviteForm(path, refresh) {
  const id = uniqueId("role");
  const role = h("select", { class: "input", id }, roleOptions("manager"));
  const fields = { email: new Field({ label: t("team.inviteEmail"), type: "email", required: true, maxlength: 254 }) };
  const submit = async ({ email }) => {
    await postAction(`${path}/invitations`, { body: { email: email.trim(), role: role.value, language: currentLanguage() } });
    announcer.notify(t("team.invited"), "good");
    refresh();
  };
  return form({
    fields, submit, label: t("team.invite"),
    children: [h("div", { class: "field" }, h("label", { for: id }, t("team.role")), role)],
  });
}

function nameForm(one, path, refresh) {
  const fields = { name: new Field({ label: t("team.organizationName"), required: true, maxlength: 200, value: one.name }) };
  const submit = async ({ name }) => {
    await call("PATCH", path, { body: { name: name.trim() } });
    announcer.notify(t("team.saved"), "good");
    refresh();
  };
  return form({ fields, submit, label: t("team.save") });
}

function leave(one, go) {
  return confirmAction({
    title: t("team.leaveTitle", { name: one.name }), detail: t("team.leaveDetail"), label: t("team.leave"), danger: true,
    act: () => remove(`/v1/me/organizations/${one.organization_id}`), said: t("team.left"), done: () => go("/organizer"),
  });
}
