// The login form, on its own page or in a dialog.

import { h } from "../lib/dom.js";
import { post } from "../lib/api.js";
import { t } from "../lib/i18n.js";
import { session } from "../lib/session.js";
import { ask } from "./dialog.js";
import { Field, form } from "./forms.js";
import { keepMailLanguage } from "./mail-language.js";
import { passwordField } from "./password-fields.js";

/** Exchanges e-mail and password for a session; throws the server's refusal. */
export async function logIn(email, password) {
  const { access_token: token } = await post("/v1/sessions", { email, password }, { anonymous: true, tries: 2 });
  session.open(token, email);
  keepMailLanguage();
}

/** Returns a login form that calls `done()` when it has worked, and `leave()` when the user goes to another page. */
export function loginForm(done, { leave = () => {} } = {}) {
  const fields = {
    email: new Field({ label: t("account.email"), type: "email", required: true, autocomplete: "username", value: session.email, maxlength: 254 }),
    password: passwordField(t("account.password")),
  };
  return form({
    fields,
    label: t("account.logIn"),
    children: [h("p", { class: "small" }, h("a", { href: "/account/forgot", onclick: leave }, t("account.forgot")))],
    submit: async ({ email, password }) => { await logIn(email.trim(), password); done(); },
  });
}

/** Opens the login dialog because of the refusal `code`; returns whether the login succeeded. */
export async function askToLogIn(code) {
  const was = session.email;
  const why = code === "token_expired" ? t("account.expired") : t("account.needed");
  const done = await ask(t("account.logIn"), (close) => [
    h("p", {}, why),
    loginForm(() => close(true), { leave: () => close(null) }),
    h("p", { class: "small" }, h("a", { href: `/signup?to=${encodeURIComponent(location.pathname)}`, onclick: () => close(null) }, t("account.toSignUp"))),
  ]);
  if (!done) return false;
  // Another user has logged in: the page's state belongs to the previous one.
  if (was && was !== session.email) {
    location.reload();
    return false;
  }
  return true;
}
