// What a user who waits without an account is asked for, beside the position: the page goes on counting meanwhile.

import { h, setChildren } from "../lib/dom.js";
import { t } from "../lib/i18n.js";
import { session } from "../lib/session.js";
import { ask } from "./dialog.js";
import { loginForm } from "./login.js";
import { signUpForm } from "./sign-up.js";
import { mailVerification } from "./verify-address.js";

/** The notice; `again()` asks for the position once more, with the account that has logged in. */
export class QueueAccount {
  view = h("div", { class: "queue-account", role: "group" });
  #again;
  #shown = "";

  constructor(again) {
    this.#again = again;
  }

  /** Shows what is missing: `account`, `account-now` at the turn, `address`; null for nothing. `graceS` is in seconds. */
  show(missing, graceS = 0) {
    if (missing === this.#shown) return;
    this.#shown = missing;
    setChildren(this.view, missing === null ? null : missing === "address" ? this.#address() : this.#account(missing, graceS));
  }

  #account(missing, graceS) {
    const isTurn = missing === "account-now";
    return [
      h("p", { class: `notice ${isTurn ? "warn" : ""}`, role: isTurn ? "alert" : null }, isTurn ? t("queue.accountNow", { n: graceS }) : t("queue.accountSoon")),
      h("div", { class: "actions" },
        h("button", { type: "button", class: "button primary", onclick: () => this.#open("account.signUp", signUpForm) }, t("account.signUp")),
        h("button", { type: "button", class: "button", onclick: () => this.#open("account.logIn", loginForm) }, t("account.logIn"))),
    ];
  }

  #open(title, formOf) {
    return ask(t(title), (close) => [h("p", {}, t("queue.accountKept")), formOf(() => close(true))]);
  }

  #address() {
    return [
      h("p", { class: "notice warn" }, t("queue.verify", { email: session.email })),
      h("div", { class: "actions" },
        h("button", { type: "button", class: "button primary", onclick: () => this.#again() }, t("queue.verified")),
        h("button", { type: "button", class: "button", onclick: () => mailVerification() }, t("verify.send"))),
    ];
  }
}
