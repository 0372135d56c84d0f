// The choice of a venue for a performance.

import { all } from "../../lib/api.js";
import { t } from "../../lib/i18n.js";
import { session } from "../../lib/session.js";
import { Choice } from "../../components/forms.js";

/** Fetches the venues of the organization of a concert; operators choose none. */
export async function venuesOf({ organization_id: id }, signal) {
  if (session.isOperator) return [];
  return (await all("/v1/admin/venues", { signal })).filter((venue) => venue.organization_id === id);
}

/** The id of the venue that a concert names in words, undefined where no venue is called so. */
export function venueNamed(name, places) {
  return places.find((place) => [place.name, place.name_en, place.name_ko].includes(name))?.venue_id;
}

/** The fields of a form with a list to choose from, none without venues; `none` is what the concert says of the place. */
export function venueField(present, none, places) {
  if (!places.length) return {};
  const options = [["", none], ...places.map((place) => [place.venue_id, `${place.name} (${place.time_zone})`])];
  return { venue_id: new Choice({ label: t("edit.venue_id"), value: present ?? "", options }) };
}
