// The verification of an e-mail address.

import { post } from "../lib/api.js";
import { h } from "../lib/dom.js";
import { t } from "../lib/i18n.js";
import { session } from "../lib/session.js";
import { announcer } from "./announcer.js";
import { ask } from "./dialog.js";
import { errorText } from "./problem.js";

/** Has the link mailed again; says so, or why not. */
export async function mailVerification() {
  try {
    const { expires_in: seconds } = await post("/v1/me/email/verification", undefined, { noLogin: true });
    announcer.notify(t("verify.sent", { email: session.email, n: Math.round(seconds / 60) }), "good");
  } catch (error) {
    announcer.notify(errorText(error), error.code === "already_verified" ? "good" : "bad");
  }
}

/** Says why a hold was refused, and mails the link. */
export async function askToVerify(error) {
  const wanted = await ask(t("verify.title"), (close) => [
    h("p", {}, errorText(error)),
    h("p", { class: "muted" }, t("verify.thenAgain")),
    h("div", { class: "actions" },
      h("button", { type: "button", class: "button primary", onclick: () => close(true) }, t("verify.send")),
      h("button", { type: "button", class: "button", onclick: () => close(false) }, t("close"))),
  ]);
  if (wanted) await mailVerification();
}
