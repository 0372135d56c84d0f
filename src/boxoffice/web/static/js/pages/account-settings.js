// The account: address and its verification, password, devices.

import { call, get, remove } from "../lib/api.js";
import { h, setChildren } from "../lib/dom.js";
import { dateTime, t } from "../lib/i18n.js";
import { session } from "../lib/session.js";
import { announcer } from "../components/announcer.js";
import { emailText } from "../components/email-text.js";
import { Field, form } from "../components/forms.js";
import { logOutEverywhere } from "../components/logout.js";
import { newPasswordField, passwordField } from "../components/password-fields.js";
import { errorText } from "../components/problem.js";
import { mailVerification } from "../components/verify-address.js";

/** The page. */
export async function settings({ signal, go, refresh }) {
  if (!session.isLoggedIn && !(await session.renew("unauthenticated"))) {
    return { title: t("settings.title"), view: h("section", { class: "card narrow" }, h("h1", {}, t("settings.title")), h("p", {}, t("account.needed")), h("a", { class: "button primary", href: "/login?to=/account" }, t("account.logIn"))) };
  }
  const [own, { items }] = await Promise.all([get("/v1/me", { signal }), get("/v1/me/sessions", { signal })]);
  if (own.email !== session.email) session.open(session.token, own.email);
  const view = [
    h("div", { class: "me-head" }, h("h1", {}, t("settings.title")), h("p", { class: "muted" }, own.name), h("a", { class: "button", href: "/me" }, t("nav.me"))),
    h("div", { class: "two-columns" },
      h("div", { class: "stack" }, addressCard(own), devicesCard(items, { go, refresh })),
      h("div", { class: "stack" }, passwordCard(refresh), changeAddressCard())),
  ];
  return { title: t("settings.title"), view };
}

function addressCard(own) {
  return h("section", { class: "card stack" }, h("h2", {}, t("account.email")),
    h("p", { class: "account-address" }, emailText(own.email), " ", h("span", { class: "chip" }, t(own.email_verified ? "verify.isVerified" : "verify.isNot"))),
    !own.email_verified && [
      h("p", { class: "muted" }, t("verify.lead")),
      h("div", {}, h("button", { type: "button", class: "button", onclick: mailVerification }, t("verify.send")))]);
}

function devicesCard(items, { go, refresh }) {
  return h("section", { class: "card stack" }, h("h2", {}, t("account.devices")),
    h("ul", { class: "rows" }, items.length ? items.map((one) => device(one, refresh)) : h("li", { class: "muted" }, t("devices.none"))),
    h("p", { class: "muted" }, t("account.devicesHint")), h("div", {}, everywhere(go)));
}

function device(one, refresh) {
  const name = [one.browser || t("devices.browser"), one.system].filter(Boolean).join(" · ");
  const end = (event) => once(event.currentTarget, async () => {
    await remove(`/v1/me/sessions/${one.session_id}`);
    announcer.notify(t("devices.ended", { name }), "good");
    refresh();
  });
  return h("li", {}, h("div", { class: "row-link" },
    h("span", { class: "grow" }, h("strong", {}, name), h("span", { class: "muted small" }, t("devices.since", { time: dateTime(one.started_at) }))),
    one.is_current ? h("span", { class: "chip" }, t("devices.current"))
      : h("button", { type: "button", class: "button", "aria-label": `${t("account.logOut")}: ${name}`, onclick: end }, t("account.logOut"))));
}

function everywhere(go) {
  const act = (event) => once(event.currentTarget, async () => {
    await logOutEverywhere();
    announcer.notify(t("account.loggedOutEverywhere"), "good", { forNextPage: true });
    go("/");
  });
  return h("button", { type: "button", class: "button", onclick: act }, t("account.logOutEverywhere"));
}

// Acts unless the button is busy; a refusal is a toast.
async function once(button, act) {
  if (button.getAttribute("aria-disabled")) return;
  button.setAttribute("aria-disabled", "true");
  try {
    await act();
  } catch (error) {
    announcer.notify(errorText(error), "bad");
  } finally {
    button.removeAttribute("aria-disabled");
  }
}

function passwordCard(refresh) {
  const fields = { password: passwordField(t("password.present")), new_password: newPasswordField(t("password.new")) };
  const submit = async (body) => {
    const { access_token: token } = await call("PUT", "/v1/me/password", { body });
    session.open(token, session.email);
    announcer.notify(t("password.changed"), "good");
    refresh();
  };
  return h("section", { class: "card stack" }, h("h2", {}, t("account.password")), h("p", { class: "muted" }, t("password.lead")),
    form({ fields, label: t("password.change"), submit }));
}

function changeAddressCard() {
  const card = h("section", { class: "card stack" });
  const fields = {
    email: new Field({ label: t("address.new"), type: "email", required: true, autocomplete: "email", maxlength: 254 }),
    password: passwordField(t("password.present")),
  };
  const submit = async ({ email, password }) => {
    const { expires_in: seconds } = await call("PUT", "/v1/me/email", { body: { email: email.trim(), password } });
    const sent = h("p", { class: "notice good", role: "status", tabindex: "-1" }, t("address.sent", { email: email.trim(), n: Math.round(seconds / 60) }));
    setChildren(card, h("h2", {}, t("address.title")), sent);
    sent.focus();
  };
  setChildren(card, h("h2", {}, t("address.title")), h("p", { class: "muted" }, t("address.lead")), form({ fields, label: t("address.change"), submit }));
  return card;
}
