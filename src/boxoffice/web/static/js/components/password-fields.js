// Fields for passwords.

import { t } from "../lib/i18n.js";
import { Field } from "./forms.js";

const PASSWORD_MIN = 8;

/** Returns a field for a new password. */
export function newPasswordField(label) {
  return new Field({ label, hint: t("account.passwordHint", { n: PASSWORD_MIN }), type: "password", required: true, autocomplete: "new-password", minlength: PASSWORD_MIN });
}

/** Returns a field for the present password. */
export function passwordField(label) {
  return new Field({ label, type: "password", required: true, autocomplete: "current-password" });
}
