// Sign-up and login pages.

import { h } from "../lib/dom.js";
import { Problem, post } from "../lib/api.js";
import { currentLanguage, t } from "../lib/i18n.js";
import { Field, form } from "../components/forms.js";
import { logIn, loginForm } from "../components/login.js";
import { newPasswordField } from "../components/password-fields.js";

// Only to pages of this site.
function after(query) {
  const to = query.get("to") ?? "/";
  return /^\/(?![\/\\])/.test(to) ? to : "/";
}

/** The login page; `?to=` says where to go afterwards. */
export function login({ query, go }) {
  const to = after(query);
  const view = h("section", { class: "card narrow" },
    h("h1", {}, t("account.logIn")),
    loginForm(() => go(to, { replace: true })),
    h("p", {}, h("a", { href: `/signup?to=${encodeURIComponent(to)}` }, t("account.toSignUp"))));
  return { title: t("account.logIn"), view };
}

/** The sign-up page. */
export function signup({ query, go }) {
  const to = after(query);
  const fields = {
    name: new Field({ label: t("account.name"), required: true, autocomplete: "name", maxlength: 200 }),
    email: new Field({ label: t("account.email"), type: "email", required: true, autocomplete: "username", maxlength: 254 }),
    password: newPasswordField(t("account.password")),
  };
  const submit = async ({ name, email, password }) => {
    await signUp(name.trim(), email.trim(), password);
    go(to, { replace: true });
  };
  const view = h("section", { class: "card narrow" },
    h("h1", {}, t("account.signUp")),
    form({ fields, label: t("account.signUp"), submit }),
    h("p", {}, h("a", { href: `/login?to=${encodeURIComponent(to)}` }, t("account.toLogIn"))));
  return { title: t("account.signUp"), view };
}

async function signUp(name, email, password) {
  try {
    await post("/v1/users", { name, email, password, language: currentLanguage() }, { anonymous: true });
  } catch (error) {
    // The answer may have been lost after the account was made: then the login works.
    if (!(error instanceof Problem) || !(error.isTemporary || error.code === "email_taken")) throw error;
    await logIn(email, password).catch(() => { throw error; });
    return;
  }
  await logIn(email, password);
}
