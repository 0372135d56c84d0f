// The language of mail follows the language of the pages.

import { call, ignoreProblem } from "../lib/api.js";
import { currentLanguage } from "../lib/i18n.js";
import { session } from "../lib/session.js";

/** Sends the server the language of this user's mail; without it mail is in the default language. */
export async function keepMailLanguage() {
  if (!session.isLoggedIn) return;
  const body = { language: currentLanguage() };
  try {
    await call("PUT", "/v1/me/mail-language", { body, noLogin: true, tries: 2 });
  } catch (error) {
    ignoreProblem(error);
  }
}
