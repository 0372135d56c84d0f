// The offers of a schedule: prices and sale, codes, and what is said about seats.

import { get } from "../../lib/api.js";
import { h } from "../../lib/dom.js";
import { t } from "../../lib/i18n.js";
import { fetchSchedule, scheduleHead } from "../components.js";
import { mayChange } from "../team/organizations.js";
import { codes } from "./codes.js";
import { seatNotes } from "./seat-notes.js";
import { terms } from "./terms.js";

/** The page of a schedule's offers; a role that cannot change them reads the terms only. */
export async function offers({ id, signal, refresh }) {
  const path = `/v1/admin/schedules/${encodeURIComponent(id)}/offers`;
  const [schedule, own] = await Promise.all([fetchSchedule(id, signal), get(path, { signal })]);
  const isEditor = mayChange(schedule.concert, "sales_write");
  const made = isEditor && await get(`${path}/codes`, { signal });
  const view = [
    scheduleHead(schedule, "offers", refresh),
    terms({ own, path, isEditor, refresh }),
    isEditor && codes({ own, made, path, signal, refresh }),
    isEditor && seatNotes({ own, path, refresh }),
  ];
  return { title: `${t("tabs.offers")} · ${schedule.concert.title}`, view: h("div", { class: "stack" }, view), wide: true };
}
