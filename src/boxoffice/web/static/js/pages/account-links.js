// What a person does without a session: ask for a new password, and open the links in mails about accounts.

import { get, ignoreProblem, post } from "../lib/api.js";
import { h, setChildren } from "../lib/dom.js";
import { currentLanguage, t } from "../lib/i18n.js";
import { session } from "../lib/session.js";
import { announcer } from "../components/announcer.js";
import { Field, form } from "../components/forms.js";
import { newPasswordField } from "../components/password-fields.js";

// The token of the link that was opened. It leaves the address bar, and stays for another language of the page.
let token = "";

function takeToken() {
  if (location.hash.length > 1) {
    token = location.hash.slice(1);
    history.replaceState(history.state, "", location.pathname);
  }
  return token;
}

function page(title, ...content) {
  return { title, view: h("section", { class: "card narrow" }, h("h1", {}, title), content) };
}

/** The page that mails a link for a new password; it says the same whether or not there is an account. */
export function forgot() {
  const fields = {
    email: new Field({ label: t("account.email"), type: "email", required: true, autocomplete: "username", value: session.email, maxlength: 254 }),
  };
  const card = h("div", { class: "stack" });
  const submit = async ({ email }) => {
    const body = { email: email.trim(), language: currentLanguage() };
    const { expires_in: seconds } = await post("/v1/password-resets", body, { anonymous: true });
    const sent = h("p", { class: "notice good", role: "status", tabindex: "-1" },
      t("forgot.sent", { email: email.trim(), n: Math.round(seconds / 60) }));
    setChildren(card, sent, h("p", { class: "muted" }, t("forgot.none")));
    sent.focus();
  };
  setChildren(card, h("p", { class: "muted" }, t("forgot.lead")), form({ fields, label: t("forgot.send"), submit }));
  return page(t("forgot.title"), card, h("p", {}, h("a", { href: "/login" }, t("account.logIn"))));
}

/** The page of the link in a mail that sets a new password. */
export function reset({ go }) {
  const own = takeToken();
  const again = h("p", {}, h("a", { href: "/account/forgot" }, t("reset.again")));
  if (!own) return page(t("reset.title"), h("p", {}, t("link.incomplete")), again);
  const fields = { password: newPasswordField(t("password.new")) };
  const submit = async ({ password }) => {
    await post("/v1/password-resets/confirm", { token: own, password }, { anonymous: true });
    token = "";
    // Every session of the account has ended, maybe this one too.
    session.close();
    announcer.notify(t("reset.done"), "good", { forNextPage: true });
    go("/login", { replace: true });
  };
  return page(t("reset.title"), h("p", { class: "muted" }, t("reset.lead")), form({ fields, label: t("reset.save"), submit }), again);
}

/** The page of the link in a mail that verifies or changes an address. A button opens it: programs follow links too. */
export function confirm() {
  const own = takeToken();
  if (!own) return page(t("confirm.title"), h("p", {}, t("link.incomplete")), h("p", {}, h("a", { href: "/account" }, t("confirm.account"))));
  const card = h("div", { class: "stack" });
  const submit = async () => {
    const done = await post("/v1/email-confirmations", { token: own }, { anonymous: true });
    token = "";
    await keepAddress();
    const said = h("p", { class: "notice good", role: "status", tabindex: "-1" }, t(`confirm.${done.outcome}`, { email: done.email }));
    setChildren(card, said, h("div", { class: "actions" }, h("a", { class: "button primary", href: "/" }, t("confirm.concerts"))));
    said.focus();
  };
  setChildren(card, h("p", {}, t("confirm.lead")), form({ fields: {}, label: t("confirm.confirm"), submit }),
    h("p", { class: "small" }, h("a", { href: "/account" }, t("confirm.account"))));
  return page(t("confirm.title"), card);
}

// A session keeps its address for the pages; the account may have another one now.
async function keepAddress() {
  if (!session.isLoggedIn) return;
  const own = await get("/v1/me", { noLogin: true }).catch(ignoreProblem);
  if (own) session.open(session.token, own.email);
}

