// Modules that are loaded on demand.

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

// The browser throws the same error for a missing file and for a faulty one.
async function reasonOf(error, url) {
  const answer = await fetch(url, { method: "HEAD" }).catch(() => null);
  if (answer?.ok) return error;
  if (answer?.status === 404) reloadOnce();
  return new Problem(0, "no_answer", { detail: String(error) });
}

// The file belongs to another release: a reload loads the new one. Only once, in case it is missing there too.
function reloadOnce() {
  if (Date.now() - (sessionStore.get("reloaded") ?? 0) < AGAIN_MS) return;
  sessionStore.set("reloaded", Date.now());
  location.reload();
}
