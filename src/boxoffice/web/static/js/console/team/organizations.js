// The organizations of the user, and which of them the console shows.

import { get } from "../../lib/api.js";
import { h } from "../../lib/dom.js";
import { t } from "../../lib/i18n.js";
import { session } from "../../lib/session.js";

let own = [];

/** Loads the organizations of the user; returns them. */
export async function loadOrganizations(signal) {
  own = (await get("/v1/me/organizations", { signal })).items;
  session.isMember = own.length > 0;
  return own;
}

/** The organization that the console shows, null for an operator who is a member of none. */
export function chosenOrganization() {
  return own.find((one) => one.organization_id === session.organization) ?? own[0] ?? null;
}

/** The query or body member that names the organization; empty where there is nothing to choose. */
export function ofOrganization() {
  return own.length > 1 ? { organization_id: chosenOrganization().organization_id } : {};
}

/** Whether the role in the shown organization allows this. */
export function may(permission) {
  return chosenOrganization()?.permissions.includes(permission) ?? false;
}

/** Whether the role in the organization of a concert allows this; an operator reads everything. */
export function allows({ organization_id: id }, permission) {
  const member = own.find((one) => one.organization_id === id);
  return member ? member.permissions.includes(permission) : session.isOperator;
}

/** Whether the user may change this in the organization of a concert; operators only read. */
export function mayChange(concert, permission) {
  return !session.isOperator && allows(concert, permission);
}

/** A select for members of several organizations. */
export function organizationSwitch(refresh) {
  if (own.length < 2) return null;
  const onchange = (event) => {
    session.organization = event.currentTarget.value;
    refresh();
  };
  return h("select", { class: "input", "aria-label": t("team.organization"), onchange },
    own.map((one) => h("option", { value: one.organization_id, selected: one === chosenOrganization() }, one.name)));
}
