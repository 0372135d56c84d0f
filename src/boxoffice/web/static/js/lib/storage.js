// What outlives a reload. Where the browser keeps nothing (private windows, full disks), a page works on
// with what it remembers itself.

class JsonStorage {
  #area;
  #own = new Map();

  constructor(area) {
    this.#area = area;
  }

  /** Returns the value that was kept under `name`, or null; what cannot be read counts as missing. */
  get(name) {
    const key = `boxoffice.${name}`;
    if (this.#own.has(key)) return this.#own.get(key);
    try {
      return JSON.parse(this.#area().getItem(key));
    } catch {
      return null;
    }
  }

  /** Keeps a value that JSON can carry; null forgets. */
  set(name, value) {
    const key = `boxoffice.${name}`;
    this.#own.delete(key);
    try {
      if (value === null) this.#area().removeItem(key);
      else this.#area().setItem(key, JSON.stringify(value));
    } catch {
      this.#own.set(key, value);
    }
  }

  /** Returns the names under `prefix` for which something is localStore. */
  names(prefix) {
    const start = `boxoffice.${prefix}`;
    try {
      return Object.keys(this.#area()).filter((key) => key.startsWith(start))
        .map((key) => key.slice("boxoffice.".length));
    } catch {
      return [];
    }
  }
}

/** For all tabs, and for the next visit. */
export const localStore = new JsonStorage(() => localStorage);
/** For this tab. */
export const sessionStore = new JsonStorage(() => sessionStorage);
