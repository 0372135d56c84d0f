// Values that survive a reload. If the browser stores nothing (private windows, full disks), they live in
// memory.

class JsonStorage {
  #area;
  #own = new Map();

  constructor(area) {
    this.#area = area;
  }

  /** Returns the value under `name`, or null; an unreadable one counts as missing. */
  get(name) {
    const key = `boxoffice.${name}`;
    if (this.#own.has(key)) return this.#own.get(key);
    try {
      return JSON.parse(this.#area().getItem(key));
    } catch {
      return null;
    }
  }

  /** Stores a JSON value; null deletes it. */
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

/** Shared by all tabs and later visits. */
export const localStore = new JsonStorage(() => localStorage);
/** For this tab. */
export const sessionStore = new JsonStorage(() => sessionStorage);
