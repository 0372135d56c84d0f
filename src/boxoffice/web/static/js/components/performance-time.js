// Where and when a performance is.

import { h } from "../lib/dom.js";
import { inLanguage, t } from "../lib/i18n.js";
import { performanceTime } from "../lib/performance-time.js";

/** A `<time>` of a performance: the venue's time, and below it the reader's own where it differs. */
export function performanceMoment(at, zone, part = "moment") {
  const { venue, own } = performanceTime(at, zone, part);
  return h("time", { datetime: at, class: "performance-time" }, venue,
    own && h("span", { class: "own-time small muted" }, t("time.yours", { when: own })));
}

/** The name of the place of a schedule, in the reader's language where there is one. */
export function venueName({ venue, concert }) {
  return venue ? inLanguage(venue, "name") : concert?.venue ?? "";
}
