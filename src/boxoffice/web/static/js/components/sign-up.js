// The sign-up form, on its own page or in a dialog.

import { Problem, post } from "../lib/api.js";
import { currentLanguage, t } from "../lib/i18n.js";
import { Field, form } from "./forms.js";
import { logIn } from "./login.js";
import { newPasswordField } from "./password-fields.js";

/** Returns a sign-up form that logs in and calls `done()` when it has worked. */
export function signUpForm(done) {
  const fields = {
    name: new Field({ label: t("account.name"), required: true, autocomplete: "name", maxlength: 200 }),
    email: new Field({ label: t("account.email"), type: "email", required: true, autocomplete: "username", maxlength: 254 }),
    password: newPasswordField(t("account.password")),
  };
  const submit = async ({ name, email, password }) => {
    await signUp(name.trim(), email.trim(), password);
    done();
  };
  return form({ fields, label: t("account.signUp"), submit });
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
