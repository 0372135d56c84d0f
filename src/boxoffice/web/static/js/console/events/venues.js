// The venues of an organizer: their list, and the form for one.

import { call, get, post } from "../../lib/api.js";
import { h } from "../../lib/dom.js";
import { t } from "../../lib/i18n.js";
import { ownZone } from "../../lib/performance-time.js";
import { session } from "../../lib/session.js";
import { Field, form } from "../../components/forms.js";
import { confirmAction, creationKeys } from "../actions.js";
import { breadcrumbs } from "../components.js";
import { may, mayChange, ofOrganization } from "../team/organizations.js";

const TEXTS = ["name", "name_en", "name_ko", "address", "address_en", "address_ko", "city", "country"];
const DIRECTIONS = ["directions", "directions_en", "directions_ko"];
const POINT = { latitude: 90, longitude: 180 };

/** The page of all venues. */
export async function venues({ signal, go }) {
  const { items } = await get("/v1/admin/venues?limit=100", { signal });
  const view = [
    breadcrumbs(),
    h("h1", {}, t("venues.title")),
    items.length ? h("ul", { class: "own-concerts" }, items.map(card)) : h("p", { class: "card" }, t("venues.none")),
    !session.isOperator && may("events_write") && h("details", { class: "card", open: items.length === 0 }, h("summary", {}, h("h2", {}, t("venues.add"))),
      venueForm({}, t("venues.add"), creation(go))),
  ];
  return { title: t("venues.title"), view };
}

function creation(go) {
  const key = creationKeys();
  return async (given) => {
    const body = { ...ofOrganization(), ...given };
    const made = await post("/v1/admin/venues", body, { key: key(body) });
    await go(`/organizer/venues/${made.venue_id}`);
  };
}

function card(one) {
  return h("li", {}, h("a", { class: "own-concert card", href: `/organizer/venues/${one.venue_id}` },
    h("div", {}, h("h2", {}, one.name), h("p", { class: "muted small" }, [one.address, one.city, one.country].filter(Boolean).join(", "))),
    h("p", { class: "own-summary small" }, one.time_zone)));
}

/** The page of one venue. */
export async function venue({ id, signal, refresh, go }) {
  const path = `/v1/admin/venues/${encodeURIComponent(id)}`;
  const one = await get(path, { signal });
  const tag = { "If-Match": `"${one.version}"` };
  const remove = () => confirmAction({
    title: t("venues.removeTitle"), detail: t("venues.removeDetail"), label: t("venues.remove"), danger: true,
    act: () => call("DELETE", path, { headers: tag, tries: 1 }), said: t("venues.removed"), done: () => go("/organizer/venues"),
  });
  const view = [
    breadcrumbs(["/organizer/venues", t("venues.title")]),
    h("section", { class: "card console-form" }, h("h1", {}, one.name),
      !mayChange(one, "events_write") ? h("p", {}, one.time_zone) : [
        venueForm(one, t("edit.save"), async (body) => { await call("PATCH", path, { body, headers: tag, tries: 1 }); refresh(); }),
        h("div", { class: "actions" }, h("button", { type: "button", class: "button danger", onclick: remove }, t("venues.remove"))),
      ]),
  ];
  return { title: one.name, view };
}

function venueForm(one, label, send) {
  const fields = Object.fromEntries(TEXTS.map((name) => [name, new Field({
    label: t(`venues.${name}`), value: one[name] ?? (name === "country" ? "KR" : ""), maxlength: name === "country" ? 2 : 200,
    required: name === "name" || name === "country",
  })]));
  fields.time_zone = new Field({ label: t("venues.zone"), hint: t("venues.zoneHint"), required: true, value: one.time_zone ?? ownZone() });
  for (const name of DIRECTIONS) fields[name] = new Field({ label: t(`venues.${name}`), rows: 3, maxlength: 10_000, value: one[name] ?? "" });
  for (const [name, most] of Object.entries(POINT)) {
    fields[name] = new Field({ label: t(`venues.${name}`), hint: t("venues.pointHint"), type: "number", step: "any", min: -most, max: most, value: one[name] ?? "" });
  }
  const submit = (values) => {
    const texts = Object.fromEntries(Object.entries(values).map(([name, value]) => [name, value.trim() || null]));
    const point = Object.fromEntries(Object.keys(POINT).map((name) => [name, values[name] === "" ? null : Number(values[name])]));
    return send({ ...texts, ...point, country: values.country.toUpperCase(), directions: values.directions });
  };
  return form({ fields, label, submit });
}
