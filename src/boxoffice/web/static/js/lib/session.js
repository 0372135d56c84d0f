// The session. All tabs share the token; a page whose token has expired opens the login dialog.

import { localStore } from "./storage.js";

const NAME = "session";
const MEMBER = "member";
const ORGANIZATION = "organization";

function claims(token) {
  try {
    const packed = token.split(".")[1].replaceAll("-", "+").replaceAll("_", "/");
    return JSON.parse(new TextDecoder().decode(Uint8Array.from(atob(packed), (c) => c.charCodeAt(0))));
  } catch {
    return {};
  }
}

class Session extends EventTarget {
  #renewal = null;
  /** Set by `main.js`: opens the login dialog, resolves to whether the login succeeded. */
  ask = async () => false;

  /** The access token, or empty. */
  get token() {
    return localStore.get(NAME)?.token ?? "";
  }

  /** The e-mail address that logged in, or empty. */
  get email() {
    return localStore.get(NAME)?.email ?? "";
  }

  /** Whether a token is stored; the server may have ended it. */
  get isLoggedIn() {
    return this.token !== "";
  }

  /** The role in the token, for display; the server checks it. */
  get role() {
    return claims(this.token).role ?? "";
  }

  /** Whether the console is shown: members of organizations see their concerts, operators see all. */
  get canUseConsole() {
    return this.role === "organizer" || this.isOperator || this.isMember;
  }

  /** Whether the user was a member of an organization when the console was last opened. */
  get isMember() {
    return this.isLoggedIn && localStore.get(MEMBER) === this.email;
  }

  set isMember(is) {
    if (is === this.isMember) return;
    localStore.set(MEMBER, is ? this.email : null);
    this.#changed();
  }

  /** The id of the organization that was chosen for the console, or null; other tabs choose, too. */
  get organization() {
    return localStore.get(ORGANIZATION);
  }

  set organization(id) {
    localStore.set(ORGANIZATION, id);
  }

  /** Names whose data the pages show: the user and the organization. */
  get owner() {
    return JSON.stringify([this.email, this.organization]);
  }

  /** Whether the user is an operator, who sees all concerts and edits none. */
  get isOperator() {
    return this.role === "operator";
  }

  /** Stores a login. */
  open(token, email) {
    localStore.set(NAME, { token, email });
    this.#changed();
  }

  /** Deletes the login; stored requests stay. */
  close() {
    localStore.set(NAME, null);
    this.#changed();
  }

  /** Opens the login dialog after a 401; concurrent callers share it. */
  renew(code) {
    this.#renewal ??= this.ask(code).finally(() => { this.#renewal = null; });
    return this.#renewal;
  }

  #changed() {
    this.dispatchEvent(new Event("change"));
  }
}

export const session = new Session();

addEventListener("storage", (event) => {
  if (event.key === `boxoffice.${NAME}`) session.dispatchEvent(new Event("change"));
});
