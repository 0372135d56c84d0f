// Parts of the pages that are loaded when somebody needs them.

import { Problem } from "./api.js";
import { sessionStore } from "./storage.js";

const AGAIN_MS = 10_000;

/** Imports the module at `url`; throws a `Problem` where the network fails. */
export async function importModule(url) {
  try {
    return await import(url.href);
  } catch (error) {
    throw await reasonOf(error, url);
  }
}

// The browser throws the same kind of error for a file that did not come and for one that is at fault.
async function reasonOf(error, url) {
  const answer = await fetch(url, { method: "HEAD" }).catch(() => null);
  if (answer?.ok) return error;
  if (answer?.status === 404) reloadOnce();
  return new Problem(0, "no_answer", { detail: String(error) });
}

// The file belongs to another release: the page comes back as the new one. Not again and again, should the
// file be missing there too.
function reloadOnce() {
  if (Date.now() - (sessionStore.get("reloaded") ?? 0) < AGAIN_MS) return;
  sessionStore.set("reloaded", Date.now());
  location.reload();
}
