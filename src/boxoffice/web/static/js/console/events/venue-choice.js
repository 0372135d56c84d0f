// The choice of a venue for a performance.

import { all } from "../../lib/api.js";
import { h } from "../../lib/dom.js";
import { t } from "../../lib/i18n.js";
import { session } from "../../lib/session.js";

/** Fetches the venues of the organization of a concert; operators choose none. */
export async function venuesOf({ organization_id: id }, signal) {
  if (session.isOperator) return [];
  return (await all("/v1/admin/venues", { signal })).filter((venue) => venue.organization_id === id);
}

/** A list to choose from, null where there are no venues; `none` is what the concert says about the place. */
export function venueChoice(present, none, places) {
  if (!places.length) return null;
  const option = (value, name) => h("option", { value, selected: value === (present ?? "") }, name);
  return h("select", { class: "input" }, option("", none), places.map((place) => option(place.venue_id, `${place.name} (${place.time_zone})`)));
}

/** The choice with its label, for a form. */
export function venueField(choice) {
  return choice ? [h("label", { class: "field" }, h("span", {}, t("edit.venue_id")), choice)] : [];
}
