// Heartbeats for waiting-room passes: a pass expires without them, so every page sends them.

import { get, pause, Problem } from "../lib/api.js";
import { t } from "../lib/i18n.js";
import { localStore } from "../lib/storage.js";
import { session } from "../lib/session.js";
import { announcer } from "./announcer.js";
import { storeQueuePlace, queuePlace } from "./queue-pass.js";

const AGAIN_S = 10;
const PREFIX = "queue.";

/** Sends heartbeats until the page is closed. */
export async function keepPassesAlive() {
  for (;;) {
    const places = localStore.names(PREFIX).map((name) => name.slice(PREFIX.length));
    await Promise.all(places.map(sign));
    await pause(AGAIN_S * 1000);
  }
}

async function sign(scheduleId) {
  const { ticket, pass, email } = queuePlace(scheduleId);
  if (!ticket || !pass || email !== session.email) return;
  try {
    const standing = await get(`/v1/schedules/${scheduleId}/queue`, { headers: { "Queue-Ticket": ticket }, tries: 1 });
    storeQueuePlace(scheduleId, { ...(standing.queue_ticket && { ticket: standing.queue_ticket }), pass: standing.queue_pass ?? null, leavesAt: standing.leaves_at ?? null });
    if (!standing.queue_pass) announcer.notify(t("queue.over"), "bad", { forNextPage: true });
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    // Paid, left or expired: the next request gets an answer that says how to go on.
    if (error.code === "queue_ticket_expired" || error.code === "queue_ticket_invalid") storeQueuePlace(scheduleId, null);
  }
}
