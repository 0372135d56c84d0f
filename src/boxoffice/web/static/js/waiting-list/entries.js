// Entries of waiting lists: calls, and how one is described.

import { get, newKey, post, remove } from "../lib/api.js";
import { t } from "../lib/i18n.js";

const MINE = "/v1/me/waiting-list-entries";

/** What an entry wants, in words. */
export function wantedText({ quantity, grade }) {
  return t("waitingList.wants", { n: quantity, grade: grade ?? t("waitingList.anyGrade") });
}

/** The newest entry of the person in a schedule; undefined for none. */
export async function newestEntry(scheduleId, signal) {
  const { items } = await get(`${MINE}?${new URLSearchParams({ limit: 1, schedule_id: scheduleId })}`, { signal, noLogin: true });
  return items[0];
}

/** Joins a line; a repetition after a lost answer joins once. */
export function join(scheduleId, wanted, signal) {
  return post(`/v1/schedules/${scheduleId}/waiting-list/entries`, wanted, { key: newKey(), signal });
}

/** Leaves a line. */
export function leave(entry, signal) {
  return remove(`/v1/waiting-list-entries/${entry.entry_id}`, { signal });
}
