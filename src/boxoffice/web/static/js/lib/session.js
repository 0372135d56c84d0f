// Who is logged in. The token is kept for all tabs; a page that finds it ended asks for a new one in place.

import { localStore } from "./storage.js";

const NAME = "session";

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
  /** Set by the pages: asks a person to log in, returns a promise of whether that happened. */
  ask = async () => false;

  /** The access token, or empty. */
  get token() {
    return localStore.get(NAME)?.token ?? "";
  }

  /** The e-mail address that logged in, or empty. */
  get email() {
    return localStore.get(NAME)?.email ?? "";
  }

  /** Whether somebody is logged in, as far as is known here. */
  get isLoggedIn() {
    return this.token !== "";
  }

  /** What the token says of its owner's role; only the shop's own look decides. */
  get role() {
    return claims(this.token).role ?? "";
  }

  /** Whether they see what organizers have: organizers their own, operators everybody's. */
  get canUseConsole() {
    return this.role === "organizer" || this.isOperator;
  }

  /** Whether they run the shop: they look at all, and change nothing of an organizer's. */
  get isOperator() {
    return this.role === "operator";
  }

  /** Remembers who has logged in. */
  open(token, email) {
    localStore.set(NAME, { token, email });
    this.#changed();
  }

  /** Forgets who was logged in; what they were about to do stays. */
  close() {
    localStore.set(NAME, null);
    this.#changed();
  }

  /** Asks for a login because the shop did not accept the token; several callers ask once. */
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
