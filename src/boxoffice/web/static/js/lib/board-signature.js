// Whether a board is of this shop: a JWS of its text with detached content (RFC 7515, appendix F, and RFC 7797) by one of
// the shop's keys. A browser without Ed25519, or a page without a secure context, cannot verify; it takes boards as they
// are.

import { ignoreProblem } from "./api.js";

const ALGORITHM = "Ed25519";
// The key of RFC 8037, appendix A.2: a browser that imports it can verify.
const KNOWN_KEY = { kty: "OKP", crv: "Ed25519", x: "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo" };
// A set is read again for an unknown key at most this often, and at this age for a known one, which may have leaked.
const KEYS_AGAIN_MS = 5_000;
const KEYS_MAX_MS = 300_000;

/** Verifies boards; `loadKeys()` returns the JWK Set, and is not called where `subtle` cannot verify. */
export class BoardVerifier {
  #loadKeys;
  #subtle;
  #canVerify = null;
  #keys = new Map();
  #loadedAt = -Infinity;

  constructor(loadKeys, subtle = crypto.subtle) {
    this.#loadKeys = loadKeys;
    this.#subtle = subtle;
  }

  /** Returns whether the shop has signed this text, or true where that cannot be verified; throws what `loadKeys` does. */
  async isGenuine(text, signature) {
    this.#canVerify ??= this.#subtle ? this.#import(KNOWN_KEY).then(() => true, () => false) : Promise.resolve(false);
    if (!(await this.#canVerify)) return true;
    const [header, content, signed] = (signature ?? "").split(".");
    if (content !== "" || !signed) return false;
    const key = await this.#key(kidOf(header));
    if (!key) return false;
    const given = bytesOf(signed);
    return given !== null && this.#subtle.verify(ALGORITHM, key, given, new TextEncoder().encode(`${header}.${text}`));
  }

  async #key(kid) {
    const ageMs = performance.now() - this.#loadedAt;
    if (!this.#keys.has(kid)) {
      if (kid !== null && ageMs >= KEYS_AGAIN_MS) await this.#load();
    } else if (ageMs >= KEYS_MAX_MS) {
      // While the set cannot be read, the last one counts.
      await this.#load().catch(ignoreProblem);
    }
    return this.#keys.get(kid) ?? null;
  }

  async #load() {
    this.#loadedAt = performance.now();
    const set = await this.#loadKeys();
    const given = Array.isArray(set?.keys) ? set.keys : [];
    const usable = given.filter((key) => key?.kty === KNOWN_KEY.kty && key.crv === KNOWN_KEY.crv);
    const imported = usable.map(async (key) => [key.kid, await this.#import(key).catch(() => null)]);
    this.#keys = new Map(await Promise.all(imported));
  }

  // Only the members that are needed: browsers disagree on the names in the others.
  #import({ kty, crv, x }) {
    return this.#subtle.importKey("jwk", { kty, crv, x }, ALGORITHM, false, ["verify"]);
  }
}

/** Returns the `kid` of a protected header, null for a header that names none or is not JSON. */
function kidOf(header) {
  const bytes = bytesOf(header);
  try {
    return JSON.parse(new TextDecoder().decode(bytes)).kid ?? null;
  } catch {
    return null;
  }
}

/** Returns the bytes of base64url text (RFC 4648, section 5), null for other text. */
function bytesOf(text) {
  try {
    return Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (letter) => letter.charCodeAt(0));
  } catch {
    return null;
  }
}
