// Sign-up and login pages.

import { h } from "../lib/dom.js";
import { t } from "../lib/i18n.js";
import { loginForm } from "../components/login.js";
import { signUpForm } from "../components/sign-up.js";

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
  const view = h("section", { class: "card narrow" },
    h("h1", {}, t("account.signUp")),
    signUpForm(() => go(to, { replace: true })),
    h("p", {}, h("a", { href: `/login?to=${encodeURIComponent(to)}` }, t("account.toLogIn"))));
  return { title: t("account.signUp"), view };
}
