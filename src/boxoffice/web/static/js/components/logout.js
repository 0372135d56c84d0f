// Log-out: at once on this device, then on the server, which ends the tokens.

import { remove } from "../lib/api.js";
import { t } from "../lib/i18n.js";
import { session } from "../lib/session.js";
import { announcer } from "./announcer.js";

const TRIES = 3;

// Sends the token that is to end, since the session store no longer has it; a 401 opens no login dialog.
function end(path, token) {
  return remove(path, { headers: { Authorization: `Bearer ${token}` }, anonymous: true, tries: TRIES });
}

/** Logs out. If the server cannot be reached, the session ends on this device and a toast says so. */
export function logOut() {
  const { token } = session;
  session.close();
  end("/v1/sessions", token).catch((error) => {
    if (error.status !== 401) announcer.notify(t("account.notEndedThere"), "bad", { forNextPage: true });
  });
}

/** Ends every session of this user; throws the server's refusal, and then no session has ended. */
export async function logOutEverywhere() {
  const { token } = session;
  try {
    await end("/v1/me/sessions", token);
  } catch (error) {
    // This session was ended elsewhere meanwhile; whether the others have ended is unknown.
    if (error.status === 401) session.close();
    throw error;
  }
  session.close();
}
