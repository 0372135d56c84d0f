// Logging out: here at once, and at the shop, which ends the tokens.

import { remove } from "../lib/api.js";
import { t } from "../lib/i18n.js";
import { session } from "../lib/session.js";
import { announcer } from "./announcer.js";

const TRIES = 3;

// With the token that is to end, also when this page has forgotten it; a refusal of it asks for no login.
function end(path, token) {
  return remove(path, { headers: { Authorization: `Bearer ${token}` }, anonymous: true, tries: TRIES });
}

/** Logs out. Where the shop cannot be reached, the person is logged out here all the same, and told. */
export function logOut() {
  const { token } = session;
  session.close();
  end("/v1/sessions", token).catch((error) => {
    if (error.status !== 401) announcer.notify(t("account.notEndedThere"), "bad", { forNextPage: true });
  });
}

/** Ends every session of this person; raises the shop's refusal, and then nobody is logged out. */
export async function logOutEverywhere() {
  const { token } = session;
  try {
    await end("/v1/me/sessions", token);
  } catch (error) {
    // Somebody else has ended this one meanwhile: whether the others have ended is not known.
    if (error.status === 401) session.close();
    throw error;
  }
  session.close();
}
