// Error messages.

import { Problem } from "../lib/api.js";
import { hasText, t } from "../lib/i18n.js";

/**
 * Returns a sentence for an error of `lib/api.js`, in the reader's language where the code is known. Any
 * other error is a fault of ours: it is called so and is written into the browser's console.
 */
export function errorText(error) {
  if (!(error instanceof Problem)) {
    // For developers; the text of a JavaScript error does not help users.
    console.error(error);
    return t("problem.bug");
  }
  // The numbers are missing where the server could not read them.
  const key = `problem.${error.code}${error.code === "ticket_limit" && "limit" in error.body ? ".known" : ""}`;
  if (hasText(key)) return t(key, { n: error.body?.limit, ...error.body });
  return error.body?.detail ?? t("problem.bug");
}

/** Returns the sentence for a refusal that has a code of its own, empty for the one that many share. */
export function ownErrorText(error) {
  return error.code !== "invalid" && hasText(`problem.${error.code}`) ? errorText(error) : "";
}

/** Returns the request id for support questions, or "". */
export function requestReference(error) {
  const id = error?.body?.request_id;
  return id ? t("problem.reference", { id }) : "";
}
